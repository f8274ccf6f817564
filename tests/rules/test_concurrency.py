"""concurrency: slots held while requests last. Traffic both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Held, Lease, Release
from proxy.facts import Outcome
from proxy.rules.concurrency import Concurrency
from tests.policy.facts import facts

T0 = 1_700_000_000.0
DONE = Outcome(refused=False, served=True)


def rule(**fields: Any) -> Concurrency:
    given = {"per": "account", "slots": 2, "action": "throttle", **fields}
    return Concurrency.model_validate({"name": "few", **given})


async def most_at_once(one: Concurrency, requests: list[tuple[float, float]]) -> tuple[int, int]:
    """(admitted, refused) of requests by (seconds, how long each lasts)."""
    store = MemoryStore(clock=SystemClock())
    ends: list[tuple[float, tuple[Any, ...]]] = []
    admitted = refused = 0
    for number, (at, lasts) in enumerate(sorted(requests)):
        for end, ops in sorted(ends, key=lambda entry: entry[0]):
            if end <= at:
                await store.apply(ops, T0 + end)
        ends = [entry for entry in ends if entry[0] > at]
        fact = replace(facts(), id=f"r{number}")
        ops = one.counters(fact, "account:acme")
        readings = await store.apply(ops, T0 + at)
        if one.judge(fact, readings) is None:
            admitted += 1
            ends.append((at + lasts, one.settle(fact, ops, readings, DONE)))
        else:
            refused += 1
    return admitted, refused


def test_it_leases_a_slot_under_the_requests_id() -> None:
    one = rule(lease="12s")
    fact = replace(facts(), id="req")
    assert one.counters(fact, "s") == (Lease("s", one.key, 2, "req", 12.0),)
    assert not one.needs_body


def test_further_asks_of_a_body_take_no_slot() -> None:
    one = rule()
    further = replace(facts(), id="req.1", part=1)
    assert one.counters(further, "s") == ()
    assert one.judge(further, []) is None
    assert one.settle(further, (), (), DONE) == ()


def test_tiers_choose_the_slots() -> None:
    one = rule(slots={"by": "tier", "pro": 50, "else": 2})
    pro, other = (one.counters(facts(tier=tier), "s")[0] for tier in ("pro", None))
    assert isinstance(pro, Lease)
    assert isinstance(other, Lease)
    assert (pro.slots, other.slots) == (50, 2)
    assert pro.key != other.key
    assert rule(slots={"by": "model", "large": 1, "else": 2}).needs_body


def test_beyond_the_slots_it_says_how_many_and_when_to_come_back() -> None:
    finding = rule(retry_after="3s").judge(facts(), [Held(False, 2)])
    assert finding is not None
    assert finding.retry_after_s == 3.0
    assert finding.evidence == {"slots": 2, "held": 2, "retry_after_s": 3.0}
    assert rule().judge(facts(), [Held(True, 2)]) is None


def test_with_a_delay_it_waits_and_takes_no_slot() -> None:
    one = rule(action={"delay": {"at_most": "2s"}})
    finding = one.judge(facts(), [Held(False, 2)])
    assert finding is not None
    assert (finding.wait_s, finding.retry_after_s) == (2.0, None)
    ops = one.counters(facts(), "s")
    assert one.settle(facts(), ops, [Held(False, 2)], DONE) == ()


def test_the_slot_is_given_back_once() -> None:
    one, fact = rule(), replace(facts(), id="req")
    ops = one.counters(fact, "s")
    assert one.settle(fact, ops, [Held(True, 1)], DONE) == (Release("s", one.key, "req"),)
    # Of a refused request it is taken back as all else that was counted.
    assert one.settle(fact, ops, [Held(True, 1)], replace(DONE, refused=True, served=False)) == ()


async def test_a_person_with_two_tabs_is_never_found() -> None:
    tabs = [(30.0 * turn + shift, 12.0) for turn in range(50) for shift in (0.0, 5.0)]
    assert await most_at_once(rule(), tabs) == (100, 0)


async def test_a_fan_out_of_fifty_gets_its_slots_and_not_one_more() -> None:
    assert await most_at_once(rule(slots=8), [(0.01 * at, 20.0) for at in range(50)]) == (8, 42)
