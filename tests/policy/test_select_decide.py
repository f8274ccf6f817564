"""Which rules apply to whom, and what becomes of their findings."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest

from proxy.counters.protocol import Take
from proxy.decision import Finding, Verb
from proxy.facts import Facts
from proxy.policy.decide import JITTER, PAUSE_S, decide, jitter_of, weigh
from proxy.policy.load import parse
from proxy.policy.model import Policy
from proxy.policy.select import select
from tests.policy.facts import facts

NOW = 1_800_000_000.0


def policy(rules: str, rest: str = "") -> Policy:
    return parse(f"version: 1\n{rest}rules:\n{rules}", "p.yaml")


def rule(name: str = "a", **fields: str) -> str:
    all_fields = {
        "kind": "rate_limit",
        "per": "account",
        "limit": "60/minute",
        "action": "throttle",
    }
    all_fields |= fields
    listed = ", ".join(f"{key}: {value}" for key, value in all_fields.items())
    return f"  - {{name: {name}, {listed}}}\n"


def applies(match: str, given: Facts) -> bool:
    return bool(select(policy(rule(match=match)), given, NOW, "all").selected)


@pytest.mark.parametrize(
    ("match", "client", "expected"),
    [
        ("{account: acme}", {}, True),
        ("{account: [other, acme]}", {}, True),
        ("{account: other}", {}, False),
        ("{account: acme, tier: free}", {"tier": "free"}, True),
        ("{account: acme, tier: free}", {"tier": "pro"}, False),
        ("{tier: free}", {}, False),
        ("{not: {tier: free}}", {"tier": "pro"}, True),
        ("{not: {tier: free}}", {"tier": "free"}, False),
        ("{not: {tier: free}}", {}, False),
        ("{network: [203.0.113.0/24]}", {}, True),
        ("{network: [10.0.0.0/8]}", {}, False),
        ("{address: 203.0.113.7}", {}, True),
        ("{model: large}", {}, True),
        ("{model: small}", {}, False),
        ("{stream: false}", {}, True),
        ("{stream: true}", {}, False),
        ("{dialect: openai_chat, operation: chat}", {}, True),
    ],
)
def test_match_is_and_across_keys_or_within_and_absence_never_matches(
    match: str, client: dict[str, Any], expected: bool
) -> None:
    assert applies(match, facts(**client)) is expected


def test_an_excused_profile_is_left_alone() -> None:
    made = policy(rule(excuse="[gateway]"))
    assert select(made, facts(profile="gateway"), NOW, "all").selected == ()
    assert len(select(made, facts(profile="rag"), NOW, "all").selected) == 1


def test_a_rule_without_its_subject_says_so() -> None:
    selection = select(policy(rule(per="end_user")), facts(), NOW, "all")
    assert (selection.selected, selection.no_subject) == ((), ("a",))


def test_rules_that_need_the_body_wait_for_it() -> None:
    made = policy(
        rule("early") + rule("late", match="{model: large}") + rule("user", per="end_user")
    )
    assert [one.rule.name for one in select(made, facts(None), NOW, "identity").selected] == [
        "early"
    ]
    assert [one.rule.name for one in select(made, facts(), NOW, "body").selected] == ["late"]
    assert [one.rule.name for one in select(made, facts(), NOW, "all").selected] == [
        "early",
        "late",
    ]


def test_an_exemption_holds_through_its_last_day_and_not_a_second_longer() -> None:
    made = policy(
        rule(),
        "exemptions:\n  - {name: x, match: {account: acme}, rules: [a], until: 2027-03-31, because: t}\n",
    )
    end = datetime.datetime(2027, 4, 1, tzinfo=datetime.UTC).timestamp()
    during = select(made, facts(), end - 0.001, "all")
    assert (during.selected, during.exempted_by) == ((), ("x",))
    assert len(select(made, facts(), end, "all").selected) == 1
    assert len(select(made, facts(account="other"), NOW, "all").selected) == 1


def key_of(text: str) -> str:
    (selected,) = select(policy(text), facts(tier="free"), NOW, "all").selected
    return selected.ops[0].key


def test_changing_a_limit_or_an_action_keeps_the_counts() -> None:
    first = key_of(rule())
    assert first == key_of(rule(limit="90/minute", burst="5", action="log", mode="shadow"))
    assert first != key_of(rule(per="api_key"))
    assert first != key_of(rule(match="{tier: free}"))
    assert first != key_of(rule("b"))


@pytest.mark.parametrize(
    ("per", "client", "subject"),
    [
        ("api_key", {}, "api_key:key_a"),
        ("account", {}, "account:acme"),
        ("account", {"account": "a{b} c"}, "account:a%7Bb%7D%20c"),
        ("[account, model]", {}, "account:acme|model:large"),
        ("address", {}, "address:203.0.113.7"),
        ("subnet", {}, "subnet:203.0.113.0/24"),
        ("api_key", {"provisional": True}, "unproven:203.0.113.7"),
        ("account", {"provisional": True}, "unproven:203.0.113.7"),
    ],
)
def test_subjects_are_named_safely(per: str, client: dict[str, Any], subject: str) -> None:
    (selected,) = select(policy(rule(per=per)), facts(**client), NOW, "all").selected
    assert selected.ops[0].subject == subject


def test_a_long_subject_is_hashed() -> None:
    made = policy(rule())
    (selected,) = select(made, facts(account="x" * 65), NOW, "all").selected
    assert selected.ops[0].subject.startswith("account:h.")
    assert len(selected.ops[0].subject) < 64


def test_the_tier_chooses_the_rate() -> None:
    made = policy(rule(limit="{by: tier, free: 20/minute, else: 60/minute}", burst="7"))
    for tier, amount in (("free", 20), ("pro", 60), (None, 60)):
        (selected,) = select(made, facts(tier=tier), NOW, "all").selected
        take = selected.ops[0]
        assert isinstance(take, Take)
        assert (take.amount, take.period, take.burst) == (amount, 60.0, 7)


def found(*rules: str, **finding: Any) -> Any:
    made = policy("".join(rules))
    values = {"retry_after_s": 2.0, **finding}
    return decide(
        [
            weigh(one, Finding("why", {}, **values), None, shadow=one.mode == "shadow")
            for one in made.rules
        ]
    )


def test_no_finding_allows() -> None:
    assert decide([]).verb is Verb.ALLOW


def test_the_strongest_enforced_finding_decides_whatever_the_order() -> None:
    actions = ["log", "throttle", "{delay: {at_most: 2s}}", "block"]
    rules = [rule(f"r{at}", action=action) for at, action in enumerate(actions)]
    for order in itertools.permutations(rules):
        decision = found(*order)
        assert (decision.verb, decision.rule) == (Verb.BLOCK, "r3")
        assert len(decision.findings) == 4


def test_shadow_is_listed_and_never_acts() -> None:
    decision = found(rule("loud"), rule("quiet", action="block", mode="shadow"))
    assert (decision.verb, decision.rule, decision.shadow) == (Verb.THROTTLE, "loud", ("quiet",))


def test_a_throttle_that_knows_no_wait_asks_for_a_pause() -> None:
    assert found(rule(), retry_after_s=None).retry_after_s == PAUSE_S
    assert found(rule(action="block"), retry_after_s=None).retry_after_s is None


def test_a_delay_without_a_known_wait_is_as_long_as_it_may_be() -> None:
    held = found(rule(action="{delay: {at_most: 2s, then: throttle}}"), retry_after_s=None)
    assert (held.verb, held.delay_s) == (Verb.DELAY, 2.0)


def test_a_wait_within_bounds_delays_and_beyond_them_does_what_then_says() -> None:
    shaped = rule(action="{delay: {at_most: 2s, then: throttle}}")
    within = found(shaped, retry_after_s=None, wait_s=1.5)
    assert (within.verb, within.delay_s, within.delay_then) == (Verb.DELAY, 1.5, Verb.THROTTLE)
    beyond = found(shaped, retry_after_s=0.7)
    assert (beyond.verb, beyond.retry_after_s, beyond.delay_s) == (Verb.THROTTLE, 0.7, 0.0)
    lenient = found(rule(action="{delay: {at_most: 2s, then: allow}}"), retry_after_s=9.0)
    assert (lenient.verb, lenient.delay_s) == (Verb.DELAY, 2.0)


def test_the_longest_wait_of_those_that_refuse_is_told() -> None:
    made = policy(rule("a") + rule("b"))
    a, b = made.rules
    decision = decide(
        [
            weigh(a, Finding("x", {}, retry_after_s=1.0), None, shadow=False),
            weigh(b, Finding("y", {}, retry_after_s=5.0), None, shadow=False),
        ]
    )
    assert (decision.retry_after_s, decision.rule) == (5.0, "b")


def test_a_rule_waits_for_the_body_where_an_exemption_from_it_does() -> None:
    text = rule(per="address") + (
        "exemptions:\n"
        "  - {name: m, match: {model: large}, rules: [a], until: 9999-12-31, because: tests}\n"
    )
    assert select(policy(text), facts(None), NOW, "identity").selected == ()
    assert select(policy(text), facts("large"), NOW, "body").selected == ()
    assert len(select(policy(text), facts("other"), NOW, "body").selected) == 1


def test_delays_that_no_limit_dictates_differ_from_request_to_request() -> None:
    (slow,) = policy(rule(action="{delay: {at_most: 3s}}")).rules
    fired, waits = Finding("why", {}), Finding("why", {}, wait_s=1.5)

    def delay(number: int, finding: Finding) -> float:
        jitter = jitter_of(f"request-{number}")
        return weigh(slow, finding, None, shadow=False, jitter=jitter).delay_s

    drawn = [delay(number, fired) for number in range(2000)]
    assert 2.0 <= min(drawn) < 2.02
    assert 2.98 < max(drawn) <= 3.0, "never beyond `at_most`"
    assert sum(drawn) / len(drawn) == pytest.approx(2.5, abs=0.02)
    assert {delay(number, waits) for number in range(50)} == {1.5}, "a limit's own wait is exact"
    assert jitter_of("a") == jitter_of("a")
    assert 1 - JITTER <= jitter_of("b") <= 1 + JITTER
