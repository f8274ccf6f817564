"""
Beginnings of policies, rules and accounts files, with comments that say what to think of. Pure.

A rule's is made from its kind's own page and fields, so that it cannot tell of anything that is not there.
"""

from __future__ import annotations

from textwrap import fill
from typing import Final

from pydantic.fields import FieldInfo

from proxy.rules.base import RuleKind
from proxy.rules.pages import default_of, example, summary

_WIDTH: Final = 100
_SHADOW: Final = """\
    # It judges and logs, and touches nobody: take this out once the log shows whom it would hit.
    mode: shadow"""
_LINKS_IN_SHADOW: Final = """\
    # The log says whom it would tie (`ties`), and nobody is tied: take this out once that is right.
    mode: shadow"""
_HERE: Final = frozenset({"file"})
"""Fields that name files of the operator's own, which are not there yet."""

POLICY: Final = """\
# Check a change before you ship it:  excise check THIS_FILE   (docs: policies.md)
version: 1
# Everything is judged and logged, nothing is touched. `enforce` once the log shows whom it would hit.
mode: shadow

# The gates stand before all rules.
keys:
  missing: block          # a model route without a key is answered 401
  unknown: provisional    # `block` where the accounts file names every customer
uninspectable: block      # a body that two parsers could read differently is answered 400
unknown_routes: block     # a route that Excise cannot inspect is answered 404

# What refused callers are told besides.
# refusal:
#   message: Too many requests; see our fair-use page.
#   contact_url: https://example.com/fair-use

# Packs of rules; `excise rules` lists the kinds that they are made of.
# include: [library/known-relays.yaml, library/anonymous-networks.yaml]
# override:
#   known-relays.marks: {score: 15}

rules:
  # Why: one key that asks faster than people and products do is the cheapest way to harvest.
  # May hit wrongly: batch jobs and load tests. Give their tier a limit of its own.
  - name: shape-requests
    kind: rate_limit
    per: api_key
    limit: 600/minute
    burst: 60
    action: {delay: {at_most: 2s, then: throttle}}

  # Why: a crawl for training data asks for everything once; people and products come back to their topics.
  # May hit wrongly: a product whose users share one key. It only scores, and alone it leads to nothing.
  - name: wide-crawl
    kind: prompt_diversity
    per: account
    window: 1h
    min_requests: 200
    max_distinct_ratio: 0.9
    excuse: [batch, eval, gateway, multi_tenant]
    score: 25

  # Why: pools of accounts are run from rented servers and through VPNs.
  # May hit wrongly: most customers of an API call it from a cloud, so it weighs little.
  - name: from-datacenter
    kind: datacenter_ip
    kinds: [hosting, tor, vpn]
    score: 15

# What several rules think of one account, added up. One family of evidence alone should refuse nobody.
suspicion:
  subjects: [account]
  half_life: 6h
  thresholds:
    - {at: 25, action: log}
    - {at: 40, action: {delay: {at_most: 2s, then: allow}}}

# Traffic that some rules leave alone, until a day.
# exemptions:
#   - name: acme-migration
#     match: {account: acme}
#     rules: [shape-requests]
#     until: 2027-03-31
#     because: bulk import agreed with sales, ticket 4711
"""

ACCOUNT: Final = """\
# Whose key is it?  EXCISE_ACCOUNTS=THIS_FILE   (docs: accounts.md)
version: 1
accounts:
  - account: acme                 # what events, limits and matches call it
    tier: pro                     # chooses limits: `limit: {by: tier, pro: 600/minute, else: 60/minute}`
    # What it is, where that looks like harvesting: eval, rag, agent, multi_tenant, gateway or batch.
    # profile: rag
    # A customer since: what many old ones share is common, not suspicious.
    # since: 2025-06-01
    # Where its servers stand: datacenter_ip leaves them alone.
    # networks: [203.0.113.0/24]
    # Ids of its keys, never the keys:  excise key-id < keys.txt
    keys: []
"""


def rule_scaffold(kind: type[RuleKind]) -> str:
    """A file with one rule of a kind, to be included or to be copied from."""
    lines = [
        f"# {kind.kind}: {summary(kind)}.",
        f"# What it sees, what it is blind to and whom it may hit wrongly:  excise rules {kind.kind}",
        "version: 1",
        "rules:",
        "  # Why: …",
        "  # May hit wrongly: …",
    ]
    given = set()
    for line in example(kind).splitlines():
        name = line.strip().removeprefix("- ").partition(":")[0]
        given.add(name)
        if name in _HERE:
            lines.append(f"    # Once it is there:\n    # {line.strip()}")
        else:
            lines.append(f"  {line}")
        if name == "kind":
            lines.append(_LINKS_IN_SHADOW if kind.links else _SHADOW)
    given |= {"kind", "mode"}
    lines += ["", "    # What can be said besides:"]
    own = [name for name in kind.model_fields if name not in RuleKind.model_fields]
    for name in (*own, *RuleKind.model_fields):
        if name not in given:
            lines += _field(name, kind.model_fields[name])
    return "\n".join(lines) + "\n"


def _field(name: str, field: FieldInfo) -> list[str]:
    meaning = " ".join((field.description or "").split())
    told = fill(
        meaning,
        _WIDTH,
        initial_indent="    #   ",
        subsequent_indent="    #   ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [f"    # {f'{name}: {default_of(field)}'.rstrip()}", told]
