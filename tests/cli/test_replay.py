"""`excise replay` as it is run: its tables, its files, its mistakes, and the same bytes each time."""

from __future__ import annotations

import gzip
import json
import os
import random
import string
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.client.secret import Secret
from tests.replay.traffic import line, written

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: pace, kind: rate_limit, per: api_key, limit: 2/minute, burst: 2, action: throttle}
  - {name: wide, kind: prompt_diversity, per: account, window: 1h, min_requests: 10,
     max_distinct_ratio: 0.5, score: 40}
suspicion: {subjects: [account], thresholds: [{at: 40, action: {delay: {at_most: 2s, then: allow}}}]}
"""


def _question(draw: random.Random) -> str:
    words = ("".join(draw.choices(string.ascii_lowercase, k=6)) for _ in range(20))
    return " ".join(words)


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    draw = random.Random(5)
    lines = [
        line(t * 7.0, _question(draw), key=f"sk-{t % 3}", account=f"a-{t % 3}") for t in range(60)
    ]
    for at in (20, 40):
        lines[at] |= {"label": "harvest", "population": "crawl", "if_refused": at - 3}
    return written(tmp_path / "traffic.jsonl", lines)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    return file


def run(*words: object, stdin: bytes | None = None) -> str:
    result = CliRunner().invoke(main, ["replay", *map(str, words)], input=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_tables_say_what_would_have_happened(traffic: Path, policy: Path) -> None:
    shown = run(traffic, "--policy", policy, "--top", 2)
    assert "60 lines over 6.9 min" in shown
    assert "people" in shown
    assert "pace" in shown
    assert "harvesting accounts with an enforced action" in shown
    assert shown.isascii() or "─" in shown


def test_decisions_are_one_line_each_in_order(traffic: Path, policy: Path, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    run(traffic, "--policy", policy, "--decisions", file)
    rows = [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()]
    assert [row["i"] for row in rows] == list(range(60))
    fields = ["i", "decision", "delay_s", "output_tokens", "rules", "shadow", "campaign", "ban"]
    assert {tuple(row) for row in rows} == {tuple(fields)}
    assert {row["decision"] for row in rows} >= {"allow", "throttle", "skipped"}


def test_the_summary_as_json_goes_to_a_file_or_alone_to_stdout(
    traffic: Path, policy: Path, tmp_path: Path
) -> None:
    told = json.loads(run(traffic, "--policy", policy, "--json", "-"))
    assert (told["format"], told["lines"]) == (1, 60)
    file = tmp_path / "summary.json"
    assert "By population" in run(traffic, "--policy", policy, "--json", file)
    assert json.loads(file.read_text(encoding="utf-8")) == told


def test_standard_input_gives_the_same_as_a_file(
    traffic: Path, policy: Path, tmp_path: Path
) -> None:
    packed = gzip.compress(traffic.read_bytes())
    ours, theirs = tmp_path / "a", tmp_path / "b"
    run(traffic, "--policy", policy, "--decisions", ours)
    run("-", "--policy", policy, "--decisions", theirs, stdin=packed)
    assert ours.read_bytes() == theirs.read_bytes()


def test_another_policy_is_compared(traffic: Path, policy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("2/minute", "600/minute"), encoding="utf-8")
    shown = run(traffic, "--policy", policy, "--against", other)
    assert "newly refused: " in shown
    assert "throttle by pace: rate_exceeded" in shown
    assert "freed: nobody" in shown


@pytest.mark.parametrize("seed", ["0", "7"])
def test_the_same_bytes_from_run_to_run(
    traffic: Path, policy: Path, tmp_path: Path, seed: str
) -> None:
    """In other processes, whose dictionaries and sets are seeded differently."""
    told = []
    for number in ("1", "77"):
        decisions = tmp_path / f"decisions-{number}"
        words = ["replay", traffic, "--policy", policy, "--against", policy]
        words += ["--decisions", decisions, "--json", "-", "--seed", seed]
        done = subprocess.run(
            [sys.executable, "-m", "proxy.cli", *words],
            env=os.environ | {"PYTHONHASHSEED": number},
            capture_output=True,
            check=True,
        )
        told.append((decisions.read_bytes(), done.stdout))
    assert told[0] == told[1]
    assert b'"delay"' in told[0][0]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda text: text.replace('"t": 7.0', '"t": "x"'), "traffic.jsonl:2: `t` must be seconds"),
        (lambda text: text[:-40], "traffic.jsonl:60: is no JSON"),
    ],
)
def test_a_bad_line_is_told_with_its_place(
    traffic: Path, policy: Path, break_it: object, message: str
) -> None:
    assert callable(break_it)
    traffic.write_text(break_it(traffic.read_text(encoding="utf-8")), encoding="utf-8")
    result = CliRunner().invoke(main, ["replay", str(traffic), "--policy", str(policy)])
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_bad_policy_is_told_with_its_place(traffic: Path, policy: Path) -> None:
    policy.write_text(POLICY.replace("per: api_key", "per: api_kye"), encoding="utf-8")
    result = CliRunner().invoke(main, ["replay", str(traffic), "--policy", str(policy)])
    assert result.exit_code == 1
    assert "policy.yaml:5:41: `per` must be one of" in result.stderr


def test_standard_output_takes_one_of_both(traffic: Path, policy: Path) -> None:
    words = ["replay", str(traffic), "--policy", str(policy), "--json", "-", "--decisions", "-"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "cannot both go to standard output" in result.stderr


def test_an_accounts_file_needs_its_secret(traffic: Path, policy: Path, tmp_path: Path) -> None:
    secret = b"0123456789abcdef"
    key_id = Secret(secret).key_id(b"sk-0")
    accounts, kept = tmp_path / "accounts.yaml", tmp_path / "secret"
    accounts.write_text(f"version: 1\naccounts: [{{account: acme, tier: vip, keys: [{key_id}]}}]\n")
    kept.write_bytes(secret)
    policy.write_text(POLICY.replace("kind: rate_limit,", "kind: rate_limit, match: {tier: vip},"))
    words = ["replay", str(traffic), "--policy", str(policy), "--accounts", str(accounts)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "need the secret that they were made with: --secret-file" in result.stderr
    told = json.loads(run(*words[1:], "--secret-file", kept, "--json", "-"))
    (rule,) = [rule for rule in told["rules"] if rule["rule"] == "pace"]
    assert rule["accounts_enforced"] == 1


def test_when_a_record_begins_decides_which_exemptions_still_run(
    traffic: Path, policy: Path
) -> None:
    exemption = (
        "exemptions: [{name: e, rules: [pace], until: 2026-02-01, because: they move, "
        "match: {network: 203.0.113.0/24}}]\n"
    )
    policy.write_text(POLICY + exemption, encoding="utf-8")
    before = json.loads(run(traffic, "--policy", policy, "--json", "-"))
    after = json.loads(
        run(traffic, "--policy", policy, "--json", "-", "--start", "2026-03-01T00:00:00Z")
    )
    assert "pace" not in {rule["rule"] for rule in before["rules"]}
    assert "pace" in {rule["rule"] for rule in after["rules"]}
