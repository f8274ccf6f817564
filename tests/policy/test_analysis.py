"""Warnings: exactly those of the corpus, none of what is meant, and nothing called constant that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.client.accounts import load_accounts
from proxy.dialects.routes import DIALECTS
from proxy.expressions.program import Program, holds
from proxy.facts import Ask, Client, Facts, Route
from proxy.policy.analysis import CODES, analyse
from proxy.policy.analysis.traffic import NAMES_END_USERS, known
from proxy.policy.analysis.truth import Domain, outcomes
from proxy.policy.load import load_source

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WARNED = sorted((HERE / "warned").glob("*.yaml"))
SHIPPED = [
    file
    for file in sorted((ROOT / "policies").rglob("*.yaml"))
    if "\nrules:" in file.read_text(encoding="utf-8")
]
NOW = 1_800_000_000.0


def said(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    named = [line.removeprefix("# accounts: ") for line in lines if line.startswith("# accounts: ")]
    accounts = load_accounts(file.parent / named[0]).listed if named else None
    return [f"{one.code} {one}" for one in analyse(load_source(file), NOW, accounts)]


def wanted(file: Path) -> list[str]:
    """`# warn: 12:5 code: message`, or `other.yaml:12:5 code: message` of an included file."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"# warn: (\S+?:)?(\d+:\d+) ([a-z-]+): (.*)", line):
            inside = file if match[1] is None else file.parent / match[1].rstrip(":")
            found.append(f"{match[3]} {inside}:{match[2]}: {match[4]}")
    return found


@pytest.mark.parametrize("file", WARNED, ids=lambda file: file.stem)
def test_a_policy_is_warned_of_exactly_what_its_file_says(file: Path) -> None:
    assert wanted(file)
    assert said(file) == wanted(file)


def test_every_code_has_its_file_and_its_lines_in_the_guide() -> None:
    shown = {line.partition(" ")[0] for file in WARNED for line in wanted(file)}
    assert shown == set(CODES)
    guide = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"### {code}\n" not in guide] == []


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_no_shipped_policy_is_warned_of(file: Path) -> None:
    assert said(file) == []


LIMIT = "name: a, kind: rate_limit, per: account, action: throttle"
OTHER = "name: b, kind: rate_limit, per: account, limit: 60/minute, action: throttle"


@pytest.mark.parametrize(
    "rules",
    [
        # A ban is more than a refusal.
        (
            f"{LIMIT}, limit: 10/minute",
            OTHER.replace("throttle", "{block: {for: 1h}}, acknowledge_single_family: test"),
        ),
        # A limit of another subject, of some tiers, in shadow, … proves nothing.
        ("name: a, kind: rate_limit, per: api_key, limit: 10/minute, action: throttle", OTHER),
        (f"{LIMIT}, limit: {{by: tier, pro: 99/minute, else: 9/minute}}", OTHER),
        (f"{LIMIT}, limit: 10/minute, mode: shadow", OTHER),
        (f"{LIMIT}, limit: 10/minute, excuse: eval", OTHER),
        (f"{LIMIT}, limit: 10/minute, on_store_failure: allow", OTHER),
        (f"{LIMIT}, limit: 10/minute, match: {{tier: free}}", OTHER),
        # A slower rate with a greater burst lets pass what the other does not.
        (f"{LIMIT}, limit: 10/minute, burst: 50", f"{OTHER}, burst: 5"),
        # Log first, refuse later.
        ("name: a, kind: rate_limit, per: account, limit: 10/minute, action: log", OTHER),
        (
            LIMIT.replace(
                "rate_limit", "token_budget, tokens: output, limits: [5000/minute, 2000000/day]"
            ),
        ),
        (
            f"{LIMIT}, limit: 1/hour, match: {{operation: chat, not: {{tier: free, operation: chat}}}}",
        ),
        (f"{LIMIT}, limit: 1/hour, when: ask.model.contains('x') && !ask.model.contains('x')",),
    ],
)
def test_what_can_be_meant_is_not_warned_of(tmp_path: Path, rules: tuple[str, ...]) -> None:
    file = tmp_path / "p.yaml"
    lines = "".join(f"  - {{{rule}}}\n" for rule in rules)
    file.write_text(f"version: 1\nrules:\n{lines}", encoding="utf-8")
    assert said(file) == []


def test_in_shadow_no_gate_and_no_refused_route_keeps_a_rule_from_firing(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    text = (
        "version: 1\nmode: {mode}\nkeys: {{unknown: block}}\nrules:\n"
        "  - {{name: a, kind: rate_limit, per: address, match: {{route: unknown}}, limit: 1/hour,"
        " action: log}}\n"
        "  - {{name: b, kind: rate_limit, per: address, when: client.account_source == 'key',"
        " limit: 1/hour, action: log}}\n"
    )
    file.write_text(text.format(mode="enforce"), encoding="utf-8")
    assert [line.partition(" ")[0] for line in said(file)] == ["no-served-route", "never-true"]
    file.write_text(text.format(mode="shadow"), encoding="utf-8")
    assert said(file) == []


EXPRESSIONS = (
    "client.asn == 64496",
    "client.asn != 64496",
    "!(client.asn == 64496)",
    "has(client.asn) || client.asn == 1",
    "client.tier == 'free' ? ask.turns > 1 : ask.stream",
    "ask.turns > 2 && ask.turns < 2",
    "ask.turns >= 1 || ask.turns < 1",
    "ask.temperature > 0.2 && ask.temperature < 0.21",
    "64496 < client.asn",
    "client.tier in ['free', 'trial'] && client.tier != 'free'",
    "1 > 2",
    "true",
    "ask.turns + 1 > 2",
    "size(ask.tools) > 0 && has(ask.tools)",
    "ask.tools.exists(t, t == 'x')",
    "client.provisional",
    "client.declared_network == false",
)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_never_comes_to_what_was_called_impossible(text: str) -> None:
    program, shown = Program(text), set()
    for asn in (None, 1, 64496, 64497):
        for tier in (None, "free", "trial", "pro"):
            for turns in range(4):
                for temperature in (None, 0.205, 0.5):
                    client = Client("192.0.2.1", "192.0.2.0/24", asn=asn, tier=tier)
                    ask = Ask("m", (None,) * turns, temperature=temperature)  # type: ignore[arg-type]
                    route = Route("inspected", "openai_chat", "chat", "/v1/chat/completions")
                    shown.add(holds(program, Facts(client, route, ask), "test"))
    domains = dict.fromkeys(program.paths, Domain(absent=True))
    assert shown <= outcomes(text, domains)


@pytest.mark.parametrize(
    ("text", "domain", "comes_to"),
    [
        ("ask.turns < 0", Domain(least=0), {False}),
        ("ask.turns >= 0", Domain(least=0), {True}),
        ("ask.turns >= 0", Domain(least=0, absent=True), {True, False}),
        ("ask.turns > 3", Domain(least=0, most=3), {False}),
        ("client.tier == 'a'", Domain(frozenset({"a"})), {True}),
        ("client.tier == 'a'", Domain(excluded=frozenset({"a"})), {False}),
        ("client.tier == 'a' || client.tier != 'a'", Domain(), {True}),
        ("client.tier == 'a' || client.tier != 'a'", Domain(absent=True), {True, False}),
        ("has(client.tier)", Domain(frozenset(), absent=True), {False}),
    ],
)
def test_what_a_fact_can_be_decides_what_an_expression_can(
    text: str, domain: Domain, comes_to: set[bool]
) -> None:
    assert outcomes(text, dict.fromkeys(Program(text).paths, domain)) == comes_to


def test_only_dialects_that_are_there_name_end_users() -> None:
    names = {one.name for one in DIALECTS}
    assert names >= NAMES_END_USERS
    assert {name for name in names - NAMES_END_USERS if not name.startswith("gemini_")} == set()
    assert {route.dialect for route in known()} <= names | {""}
