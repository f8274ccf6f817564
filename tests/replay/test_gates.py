"""Gates and accounts judged again by an event log: what another policy's would have done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.client.accounts import load_accounts
from proxy.policy.model import Policy
from proxy.replay.result import Result
from tests.replay.test_events import SECRET, logged, rejudged
from tests.replay.traffic import Line, line
from tests.replay.traffic import policy as parsed

OPEN = """
mode: shadow
keys: {missing: block, unknown: provisional}
uninspectable: block
unknown_routes: block
"""
RULES = """
rules: [{name: pace, kind: rate_limit, per: account, limit: 600/minute, burst: 3, action: throttle}]
"""


def closed(**more: str) -> Policy:
    gates = {"keys": "{missing: block, unknown: provisional}", "mode": "enforce"}
    gates |= {"uninspectable": "block", "unknown_routes": "block"} | more
    return parsed("".join(f"{name}: {value}\n" for name, value in gates.items()) + RULES)


def traffic() -> list[Line]:
    return [
        line(0.0),
        line(1.0, path="/v1/nothing"),
        line(2.0, path="/v1/fine_tuning/jobs"),
        line(3.0, body="{no json"),
        line(4.0, key=None),
        line(5.0),
    ]


def told(results: list[Result]) -> list[tuple[str, str | None, str | None]]:
    return [(one.word, one.decision.rule, one.decision.reason) for one in results]


def test_what_only_watched_gates_found_is_refused_by_gates_in_force(tmp_path: Path) -> None:
    file = logged(tmp_path, traffic(), parsed(OPEN + RULES))
    results, notes = rejudged(file, closed())
    assert told(results) == [
        ("allow", None, None),
        ("block", "unknown_routes", "unknown_route"),
        ("block", "unknown_routes", "refused_route"),
        ("block", "uninspectable", "not_json"),
        ("block", "keys", "missing_key"),
        ("allow", None, None),
    ]
    assert [one.rules for one in results[1:3]] == [["unknown_routes"]] * 2
    assert not any("refused" in note and "recorded" in note for note in notes[2:])


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ({"uninspectable": "allow"}, "allow block block allow block allow"),
        ({"unknown_routes": "allow"}, "allow allow block block block allow"),
        ({"also_serve": "[fine_tuning]"}, "allow block allow block block allow"),
        ({"keys": "{missing: allow, unknown: allow}"}, "allow block block block allow allow"),
        ({"keys": "{missing: allow, unknown: block}"}, "block block block block allow block"),
        ({"mode": "shadow"}, "allow allow allow allow allow allow"),
    ],
    ids=str,
)
def test_each_gate_is_the_policys_own(tmp_path: Path, gates: dict[str, str], words: str) -> None:
    file = logged(tmp_path, traffic(), parsed(OPEN + RULES))
    results, _ = rejudged(file, closed(**gates))
    assert " ".join(one.word for one in results) == words


def test_a_watching_policys_gates_are_told_as_shadow(tmp_path: Path) -> None:
    file = logged(tmp_path, traffic(), parsed(OPEN + RULES))
    results, _ = rejudged(file, closed(mode="shadow"))
    gates = [[], ["unknown_routes"], ["unknown_routes"], ["uninspectable"], ["keys"], []]
    assert [one.shadow for one in results] == gates


def test_whether_a_body_could_be_read_is_not_guessed(tmp_path: Path) -> None:
    blind = parsed(
        "mode: enforce\nkeys: {missing: allow, unknown: allow}\nuninspectable: allow\n" + RULES
    )
    file = logged(tmp_path, traffic()[3:4], blind)
    results, notes = rejudged(file, closed())
    assert [one.word for one in results] == ["allow"]
    assert "1 requests have no body that was read, which `uninspectable` may refuse" in notes


def test_what_a_gate_refused_takes_nothing_from_the_callers_limits(tmp_path: Path) -> None:
    lines = [*(line(0.1 * t, path="/v1/nothing") for t in range(9)), *(line(1.0) for _ in range(3))]
    file = logged(tmp_path, lines, parsed(OPEN + RULES))
    results, _ = rejudged(file, closed())
    assert [one.word for one in results] == ["block"] * 9 + ["allow"] * 3


def test_accounts_of_today_are_whose_the_keys_of_the_log_are(tmp_path: Path) -> None:
    """By the ids in both: no secret is needed, for nothing has to be hashed."""
    accounts = tmp_path / "accounts.yaml"
    keys = ", ".join(SECRET.key_id(key.encode()) for key in ("sk-one", "sk-two"))
    accounts.write_text(
        f"version: 1\naccounts:\n  - {{account: acme, tier: pro, profile: rag, "
        f"networks: [203.0.113.0/24], keys: [{keys}]}}\n",
        encoding="utf-8",
    )
    lines = [line(0.01 * t, key=f"sk-{('one', 'two', 'x')[t % 3]}") for t in range(12)]
    file = logged(tmp_path, lines, parsed(OPEN + RULES))
    rules: Any = """
keys: {missing: allow, unknown: allow}
rules:
  - {name: together, kind: rate_limit, per: account, limit: 60/minute, burst: 5, action: throttle,
     match: {account: [acme], tier: pro, profile: rag}}
  - {name: at-home, kind: expression, per: account, expr: client.declared_network, action: log}
"""
    results, _ = rejudged(file, parsed(rules), accounts=load_accounts(accounts))
    assert [one.word for one in results if one.record.account != "x"].count("throttle") == 3
    assert sum("at-home" in one.rules for one in results) == 8
    results, _ = rejudged(file, parsed(rules))
    assert {one.word for one in results} == {"allow"}
