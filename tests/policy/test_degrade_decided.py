"""How degradations join, and what overrules them."""

from __future__ import annotations

import itertools

from proxy.decision import Decision, Degradation, Finding, RuleFinding, Verb
from proxy.policy.decide import decide, weigh
from proxy.policy.load import parse
from proxy.rules.action import parse_action

LESS = Degradation(strip_logprobs=True, cap_output_tokens=512, pace=20.0)
MORE = Degradation(
    hide_reasoning=True,
    cap_output_tokens=900,
    pace=10.0,
    cut_after=5,
    lower_reasoning_effort="high",
)
LOW = Degradation(lower_reasoning_effort="low")


def found(verb: Verb, degradation: Degradation | None = None, **more: object) -> RuleFinding:
    name = f"{verb.word}-{id(degradation)}"
    shadow = bool(more.pop("shadow", False))
    return RuleFinding(
        name, "k", None, shadow, verb, Finding("r", {}), degradation=degradation, **more
    )  # type: ignore[arg-type]


def all_orders(*findings: RuleFinding) -> Decision:
    decisions = [decide(order) for order in itertools.permutations(findings)]
    assert all(one == decisions[0] for one in decisions)
    return decisions[0]


def test_all_that_is_taken_is_taken_together() -> None:
    degrades = (found(Verb.DEGRADE, one) for one in (LESS, MORE, LOW))
    decision = all_orders(*degrades)
    assert decision.verb is Verb.DEGRADE
    assert decision.degradation == Degradation(
        strip_logprobs=True,
        hide_reasoning=True,
        cap_output_tokens=512,
        lower_reasoning_effort="low",
        pace=10.0,
        cut_after=5,
    )


def test_a_degradation_goes_together_with_a_delay() -> None:
    decision = all_orders(found(Verb.DELAY, delay_s=2.0), found(Verb.DEGRADE, LESS))
    assert (decision.verb, decision.delay_s) == (Verb.DEGRADE, 2.0)
    assert decision.degradation == LESS


def test_a_refusal_overrules_it() -> None:
    decision = all_orders(found(Verb.THROTTLE), found(Verb.DEGRADE, LESS))
    assert (decision.verb, decision.degradation) == (Verb.THROTTLE, None)


def test_shadow_takes_nothing_and_says_what_it_would_have_taken() -> None:
    decision = all_orders(found(Verb.DEGRADE, LESS), found(Verb.DEGRADE, MORE, shadow=True))
    assert decision.degradation == LESS
    assert decision.would_degrade == MORE
    assert decide([found(Verb.DEGRADE, LESS, shadow=True)]).degradation is None


def test_what_is_taken_is_written_as_policies_write_it() -> None:
    assert list(MORE.actions.values()) == [
        "hide_reasoning",
        "cap_output_tokens: 900",
        "lower_reasoning_effort: high",
        "pace: 10/second",
        "cut_after: 5",
    ]


def test_one_word_one_mapping_or_a_list() -> None:
    assert parse_action({"degrade": "hide_reasoning"}).degradation == Degradation(
        hide_reasoning=True
    )
    assert parse_action({"degrade": {"pace": "90/minute"}}).degradation == Degradation(pace=1.5)
    both = parse_action({"degrade": ["hide_reasoning", {"cut_after": 5}]})
    assert both.degradation == Degradation(hide_reasoning=True, cut_after=5)
    assert both.verb is Verb.DEGRADE


def test_a_rule_of_one_family_may_degrade() -> None:
    policy = parse(
        "version: 1\nrules:\n  - {name: a, kind: datacenter_ip, per: account, "
        "action: {degrade: hide_reasoning}}\n",
        "p.yaml",
    )
    weighed = weigh(policy.rules[0], Finding("r", {}), None, shadow=False)
    assert (weighed.verb, weighed.degradation) == (Verb.DEGRADE, Degradation(hide_reasoning=True))
