"""Suites that tests write, and run."""

from __future__ import annotations

import textwrap
from pathlib import Path

from proxy.scenarios.load import LoadedSuite, load_suite
from proxy.scenarios.run import Outcome, run

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
exemptions:
  - {name: friends, match: {account: friend}, rules: [pace], until: 2027-01-01, because: they are}
rules:
  - name: pace
    kind: rate_limit
    per: api_key
    limit: 60/minute
    burst: 3
    action: throttle
  - name: watched
    kind: rate_limit
    per: address
    limit: 60/minute
    burst: 5
    action: throttle
    mode: shadow
  - name: cloud
    kind: datacenter_ip
    kinds: [hosting]
    score: 30
suspicion:
  thresholds:
    - {at: 30, action: {delay: {at_most: 2s, then: allow}}}
"""


def written(folder: Path, suite: str, policy: str = POLICY) -> Path:
    """A suite beside its policy; what it leaves out of `policy:` is put in."""
    (folder / "policy.yaml").write_text(policy, encoding="utf-8")
    text = textwrap.dedent(suite)
    if "policy:" not in text:
        text = f"policy: policy.yaml\n{text}"
    path = folder / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, suite: str, policy: str = POLICY) -> LoadedSuite:
    return load_suite(written(folder, suite, policy))


def outcomes(folder: Path, suite: str, policy: str = POLICY) -> list[Outcome]:
    return list(run(loaded(folder, suite, policy)))
