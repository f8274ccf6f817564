"""machine_pace: clocks, round-the-clock riding and impatient retries are found, people are not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.decision import Finding
from proxy.facts import Facts, Outcome, Signals
from proxy.rules.machine_pace import MachinePace
from tests.policy.facts import facts
from tests.rules.judged import T0, judged

HOUR = 3600.0


def rule(**fields: Any) -> MachinePace:
    return MachinePace.model_validate({"name": "pace", "per": "account", "score": 15, **fields})


def clock(gap: float, count: int, jitter: float = 0.0) -> Iterator[tuple[float, Facts]]:
    rng = random.Random(1)
    for number in range(count):
        yield number * gap + rng.uniform(0, jitter * gap), facts()


def people(hours: float = 24, rate: float = 60, seed: int = 3) -> Iterator[tuple[float, Facts]]:
    """Sessions by day: bursts of questions, pauses to read, and nights."""
    rng, at = random.Random(seed), 0.0
    while at < hours * HOUR:
        awake = 8 <= (at / HOUR) % 24 < 23
        at += rng.expovariate(rate / HOUR) if awake else rng.expovariate(1 / HOUR)
        for _ in range(rng.randint(1, 4)):
            at += rng.lognormvariate(2.5, 1.0)
            yield at, facts()


async def test_a_clock_is_found_and_a_clock_with_some_chance_too() -> None:
    for jitter in (0.0, 0.1):
        found = await judged(rule(min_variation=0.2), clock(15, 400, jitter))
        assert found[-1] is not None
        assert found[-1].reason == "pace_of_a_machine"
        assert found[-1].evidence["variation"] < 0.1  # type: ignore[operator]
        assert not any(found[:200]), "nothing is said of a few"


async def test_people_and_chance_are_no_clock() -> None:
    assert not any(await judged(rule(min_variation=0.2), people()))
    rng, at, by_chance = random.Random(5), 0.0, []
    for _ in range(2000):
        at += rng.expovariate(0.1)
        by_chance.append((at, facts()))
    assert not any(await judged(rule(min_variation=0.5), by_chance))


async def test_who_never_sleeps_and_rides_the_limit_shows_two_signs() -> None:
    both = rule(max_busy_hours=20, riding="60/minute", max_riding_hours=4, min_signs=2)
    found = await judged(both, clock(1.0, int(24 * HOUR)))
    first = next(at for at, one in enumerate(found) if one is not None)
    # T0 is 800 s into an hour: twenty-one busy hours have begun by then.
    assert 19 * HOUR < first < 21 * HOUR
    last = found[-1]
    assert last is not None
    assert last.evidence["busy_hours"] == 23, "the present hour has just begun"
    assert last.evidence["riding_hours"] >= 22  # type: ignore[operator]
    half_as_fast = clock(2.0, int(12 * HOUR))
    assert not any(await judged(both, half_as_fast)), "busy, and far from the limit"


async def test_people_sleep() -> None:
    assert not any(await judged(rule(max_busy_hours=20), people(48)))


async def test_a_night_job_is_not_around_the_clock() -> None:
    night = ((at, request) for at, request in clock(1.0, int(6 * HOUR)))
    assert not any(await judged(rule(max_busy_hours=20), night))


async def patience(
    waits: float, again: float, *, prompts: int = 1, times: int = 40
) -> list[Finding | None]:
    """A caller that is refused, told to wait for so long, and comes again after so long."""
    judge = rule(max_early=10, min_requests=20)
    store, found, at = MemoryStore(clock=SystemClock()), list[Finding | None](), T0
    for number in range(times):
        request = replace(facts(), signals=Signals(prompt=(number % prompts, 9)))
        ops = judge.counters(request, "account:acme")
        readings = await store.apply(ops, at)
        found.append(judge.judge(request, readings))
        refused = Outcome(refused=True, served=False, retry_after_s=waits)
        await store.apply(judge.settle(request, ops, readings, refused), at)
        at += again
    return found


async def test_who_does_not_wait_as_told_is_found() -> None:
    found = await patience(30, 5)
    assert found[-1] is not None
    assert found[-1].evidence["early"] > 10  # type: ignore[operator]


async def test_who_waits_is_not_and_neither_is_who_asks_something_else() -> None:
    assert not any(await patience(30, 31))
    assert not any(await patience(30, 5, prompts=40))


async def test_a_refusal_is_remembered_by_its_prompt_and_by_nothing_else() -> None:
    judge = rule(max_early=10)
    told = replace(facts(), signals=Signals(prompt=(1,)))
    ops = judge.counters(told, "account:acme")
    readings = await MemoryStore(clock=SystemClock()).apply(ops, T0)
    assert judge.settle(told, ops, readings, Outcome(refused=False, served=True)) == ()
    unread = replace(facts(), signals=Signals())
    ops = judge.counters(unread, "account:acme")
    assert len(ops) == 1, "a prompt too short to tell is not kept"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "needs at least one sign"),
        ({"riding": "60/minute"}, "go together"),
        ({"max_busy_hours": 20, "min_signs": 2}, "more than the 1 signs given"),
    ],
)
def test_a_rule_says_what_it_looks_for(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        rule(**fields)


def test_the_asks_of_one_body_arrive_together() -> None:
    assert rule(max_busy_hours=20).counters(replace(facts(), part=3), "account:acme") == ()
