"""rate_limit with its action, from the counters to the decision: what a burst of callers is told."""

from __future__ import annotations

import pytest

from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Taken
from proxy.decision import Decision, Verb
from proxy.policy.decide import decide, weigh
from proxy.policy.load import PolicyError, parse
from proxy.policy.model import Policy
from proxy.policy.select import select
from tests.counters.stores import T0, StillClock
from tests.policy.facts import facts


def policy(action: str, limit: str = "60/minute", more: str = "burst: 1") -> Policy:
    rule = f"name: shape, kind: rate_limit, per: api_key, limit: {limit}, action: {action}, {more}"
    return parse(f"version: 1\nrules:\n  - {{{rule}}}\n", "policy.yaml")


async def decided(rules: Policy, *times: float) -> list[Decision]:
    """What is decided about requests of one key at these seconds."""
    store = MemoryStore(clock=StillClock())
    decisions = []
    for at in times:
        (selected,) = select(rules, facts(), T0 + at, "all").selected
        finding = selected.rule.judge(facts(), await store.apply(selected.ops, T0 + at))
        found = [] if finding is None else [weigh(selected.rule, finding, None, shadow=False)]
        decisions.append(decide(found))
    return decisions


async def test_those_who_come_early_are_held_ever_longer_and_then_refused() -> None:
    rules = policy("{delay: {at_most: 2s, then: throttle}}")
    told = await decided(rules, 0, 0, 0, 0, 0.5)
    assert [one.verb for one in told] == [
        Verb.ALLOW,
        Verb.DELAY,
        Verb.DELAY,
        Verb.THROTTLE,
        Verb.THROTTLE,
    ]
    assert [one.delay_s for one in told] == [0, 1, 2, 0, 0]
    # To the moment at which it would be held no longer than two seconds.
    assert [one.retry_after_s for one in told[3:]] == pytest.approx([1.0, 0.5], abs=0.001)


async def test_who_comes_back_when_told_is_served() -> None:
    rules = policy("throttle")
    (_, refused) = await decided(rules, 0, 0.25)
    assert refused.retry_after_s is not None
    assert refused.retry_after_s == pytest.approx(0.75, abs=0.001)
    again = 0.25 + refused.retry_after_s
    assert (await decided(rules, 0, 0.25, again))[-1].verb is Verb.ALLOW
    assert (await decided(rules, 0, 0.25, again - 0.01))[-1].verb is Verb.THROTTLE


@pytest.mark.parametrize(
    ("then", "verb", "delay"),
    [
        ("allow", Verb.DELAY, 2.0),
        ("log", Verb.DELAY, 2.0),
        ("throttle", Verb.THROTTLE, 0.0),
        ("block", Verb.BLOCK, 0.0),
    ],
)
async def test_what_would_need_longer_does_what_then_says(
    then: str, verb: Verb, delay: float
) -> None:
    rules = policy(f"{{delay: {{at_most: 2s, then: {then}}}}}")
    last = (await decided(rules, 0, 0, 0, 0))[-1]
    assert (last.verb, last.delay_s) == (verb, delay)


def test_who_is_refused_by_one_rule_is_not_held_by_another() -> None:
    held = policy("{delay: {at_most: 2s, then: log}}").rules[0]
    refused = policy("throttle", more="burst: 9").rules[0]
    waits = held.judge(facts(), [Taken(True, 1.5, 0, 0)])
    again = refused.judge(facts(), [Taken(False, 0, 4.0, 0)])
    assert waits is not None
    assert again is not None
    both = decide(
        [
            weigh(held, waits, None, shadow=False),
            weigh(refused, again, None, shadow=False),
        ]
    )
    assert (both.verb, both.delay_s, both.retry_after_s) == (Verb.THROTTLE, 0.0, 4.0)


@pytest.mark.parametrize("action", ["allow", "log"])
async def test_what_only_tells_keeps_its_evidence(action: str) -> None:
    (_, told) = await decided(policy(action), 0, 0)
    assert told.verb.word == action
    assert told.evidence == {"limit": "60/minute", "retry_after_s": 1.0}


async def test_a_burst_is_free_and_the_next_is_not() -> None:
    told = await decided(policy("block", more="burst: 4"), 0, 0, 0, 0, 0)
    assert [one.verb for one in told] == [*[Verb.ALLOW] * 4, Verb.BLOCK]


async def test_without_a_burst_a_tenth_is_free() -> None:
    told = await decided(policy("block", more="mode: enforce"), *[0] * 7)
    assert [one.verb for one in told] == [*[Verb.ALLOW] * 6, Verb.BLOCK]


@pytest.mark.parametrize(
    ("limit", "column", "said"),
    [
        ("60", 12, "must be a rate such as `60/minute`"),
        ("60/fortnight", 12, "must be a rate such as `60/minute`"),
        ("[60/minute]", 12, "must be a rate such as `60/minute`"),
        ("2000000000/minute", 12, "must be at most 1000000000 in a period"),
        ("1/40d", 12, "period must be between 1 second and 31 days"),
        ("{else: 1/s}", 12, "`by` must be one of tier, account, profile, model"),
        ("{by: teir, else: 1/s}", 13, "`by` must be one of tier, account, profile, model"),
        ("{by: tier, pro: 1/s}", 12, "a limit by tiers needs `else`"),
        ("{by: tier, pro: fast, else: 1/s}", 28, "must be a rate such as `60/minute`"),
        ("{by: tier, else: fast}", 29, "must be a rate such as `60/minute`"),
        ("{by: profile, rga: 1/s, else: 1/s}", 26, "`rga` is not one of agent, batch, eval"),
    ],
)
def test_a_limit_that_is_none_is_told_with_its_place(limit: str, column: int, said: str) -> None:
    rule = "name: a\n    kind: rate_limit\n    per: api_key\n    action: log"
    with pytest.raises(PolicyError) as raised:
        parse(f"version: 1\nrules:\n  - {rule}\n    limit: {limit}\n", "p.yaml")
    (mistake,) = raised.value.mistakes
    assert (mistake.line, mistake.column) == (7, column)
    assert said in mistake.message
