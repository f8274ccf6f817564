"""token_budget: what it reserves and charges, and what it makes of the readings. Traffic both ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Reserve, Settle, Taken, undo
from proxy.decision import Finding
from proxy.facts import Facts, Outcome, Usage
from proxy.rules.token_budget import RESERVED_S, TokenBudget
from tests.policy.facts import facts

T0 = 1_700_000_000.0
SUBJECT = "account:acme"


def rule(**fields: Any) -> TokenBudget:
    given = {"per": "account", "tokens": "output", "limits": "1000/minute", **fields}
    given.setdefault("action", "throttle")
    return TokenBudget.model_validate({"name": "few", **given})


def asks(
    output: int = 0, given: int = 0, thought: int = 0, *, name: str = "r", **more: Any
) -> Facts:
    estimate = Usage(given, output, thought)
    return replace(facts(**more), id=name, estimate=estimate)


def on(operation: str, kind: str = "inspected") -> Facts:
    one = asks(100, 50)
    return replace(one, route=replace(one.route, operation=operation, kind=kind))  # type: ignore[arg-type]


def ended(output: int | None = 0, given: int | None = None, **more: Any) -> Outcome:
    fields: dict[str, Any] = {"refused": False, "served": True, **more}
    thought = fields.pop("thought", None)
    return Outcome(usage=Usage(given, output, thought), **fields)


async def through(
    one: TokenBudget, requests: Iterable[tuple[float, int, int]]
) -> list[Finding | None]:
    """What the rule finds about (seconds, reserved, used) requests, each ended before the next."""
    store = MemoryStore(clock=SystemClock())
    found = []
    for number, (at, reserved, used) in enumerate(requests):
        fact = asks(reserved, name=f"r{number}")
        ops = one.counters(fact, SUBJECT)
        readings = await store.apply(ops, T0 + at)
        finding = one.judge(fact, readings)
        found.append(finding)
        if finding is None:
            await store.apply(one.settle(fact, ops, readings, ended(used)), T0 + at)
        else:
            back = [undo(op, read) for op, read in zip(ops, readings, strict=True)]
            await store.apply([op for op in back if op is not None], T0 + at)
    return found


def charged(one: TokenBudget, fact: Facts, outcome: Outcome) -> list[int]:
    ops = one.counters(fact, SUBJECT)
    settled = one.settle(fact, ops, [Taken(True, 0, 0, 0)] * len(ops), outcome)
    assert all(isinstance(op, Settle) and op.id == fact.id for op in settled)
    return [op.actual for op in settled if isinstance(op, Settle)]


def test_it_reserves_what_a_request_may_use() -> None:
    one = rule()
    (op,) = one.counters(asks(300), SUBJECT)
    assert op == Reserve(SUBJECT, f"{one.key}:60", 1000, 60.0, 1000, 300, "r", RESERVED_S, 0.0)


@pytest.mark.parametrize(
    ("tokens", "estimate"), [("input", 40), ("output", 300), ("reasoning", 200), ("total", 340)]
)
def test_it_counts_the_tokens_that_it_names(tokens: str, estimate: int) -> None:
    one = rule(tokens=tokens)
    (op,) = one.counters(asks(300, 40, 200), SUBJECT)
    assert isinstance(op, Reserve)
    assert op.estimate == estimate
    used = {"input": 41, "output": 301, "reasoning": 201, "total": 342}
    assert charged(one, asks(300, 40, 200), ended(301, 41, thought=201)) == [used[tokens]]


def test_more_than_the_burst_is_reserved_as_the_burst() -> None:
    """So it waits for a full budget, and is not refused for ever."""
    for burst in (None, 400):
        (op,) = rule(burst=burst).counters(asks(128_000), SUBJECT)
        assert isinstance(op, Reserve)
        assert op.estimate == op.burst == (burst or 1000)


def test_each_window_has_its_own_reservation_the_burst_is_the_shortest_ones() -> None:
    one = rule(limits=["20000/day", "1000/minute"], burst=500)
    ops = one.counters(asks(700), SUBJECT)
    assert [(op.amount, op.burst, op.estimate) for op in ops if isinstance(op, Reserve)] == [
        (1000, 500, 500),
        (20000, 20000, 700),
    ]
    assert len({op.key for op in ops if isinstance(op, Reserve)}) == 2


def test_tiers_choose_the_limit_and_share_no_counter() -> None:
    one = rule(limits=[{"by": "tier", "pro": "9000/minute", "else": "1000/minute"}, "5000/hour"])
    pro, other = (one.counters(asks(1, tier=tier), SUBJECT) for tier in ("pro", "free"))
    assert isinstance(pro[0], Reserve)
    assert isinstance(other[0], Reserve)
    assert (pro[0].amount, other[0].amount) == (9000, 1000)
    assert pro[0].key != other[0].key
    assert pro[1] == other[1]


@pytest.mark.parametrize("operation", ["count_tokens", "tokenize"])
def test_counting_tokens_is_free(operation: str) -> None:
    assert rule(tokens="total").counters(on(operation), SUBJECT) == ()
    assert rule(tokens="total").judge(on(operation), []) is None


def test_what_answers_with_no_text_costs_input_alone() -> None:
    assert rule(tokens="output").counters(on("embeddings"), SUBJECT) == ()
    assert len(rule(tokens="total").counters(on("embeddings"), SUBJECT)) == 1


def test_lists_of_models_and_the_like_cost_nothing() -> None:
    assert rule(tokens="total").counters(on("", "passed"), SUBJECT) == ()


def test_a_finding_names_the_limit_that_takes_longest() -> None:
    one = rule(limits=["1000/minute", "2000/day"])
    fact = asks(300)
    readings = [Taken(False, 0, 4.0, 0), Taken(False, 0, 900.5, 0)]
    finding = one.judge(fact, readings)
    assert finding is not None
    assert finding.retry_after_s == 900.5
    assert finding.evidence == {
        "limit": "2000/day",
        "tokens": "output",
        "estimate": 300,
        "retry_after_s": 900.5,
    }
    assert one.judge(fact, [Taken(True, 0, 0, 5), Taken(True, 0, 0, 5)]) is None


def test_with_a_delay_what_conforms_soon_waits() -> None:
    one = rule(action={"delay": {"at_most": "3s", "then": "throttle"}})
    (op,) = one.counters(asks(300), SUBJECT)
    assert isinstance(op, Reserve)
    assert op.max_wait == 3.0
    finding = one.judge(asks(300), [Taken(True, 1.5, 0, 0)])
    assert finding is not None
    assert (finding.wait_s, finding.retry_after_s) == (1.5, None)


def test_what_never_reached_a_model_costs_nothing() -> None:
    one, fact = rule(tokens="total"), asks(300, 40)
    assert charged(one, fact, ended(None, served=False)) == [0]
    assert charged(one, fact, ended(None, failed=True)) == [0]
    assert charged(one, fact, ended(None, refused=True, served=False)) == []  # taken back already


def test_what_nobody_tells_is_charged_as_it_was_estimated() -> None:
    one, fact = rule(tokens="total"), asks(300, 40)
    assert charged(one, fact, ended(7)) == [47]
    assert charged(one, fact, ended(None)) == [340]


def test_reasoning_that_is_not_told_is_no_more_than_the_output() -> None:
    one = rule(tokens="reasoning")
    assert charged(one, asks(300, 0, 200), ended(120)) == [120]
    assert charged(one, asks(300, 0, 200), ended(250)) == [200]


def test_what_was_refused_but_passed_is_not_charged() -> None:
    one, fact = rule(action="log", limits=["1000/minute", "2000/day"]), asks(300)
    ops = one.counters(fact, SUBJECT)
    readings = [Taken(True, 0, 0, 0), Taken(False, 0, 60.0, 0)]
    assert one.settle(fact, ops, readings, ended(300)) == ()
    assert one.all_or_none  # and the judge gives the first window back at once


def test_answers_that_are_fetched_later_cost_their_output() -> None:
    one = rule(tokens="total")
    fetched = replace(on("batch", "metered"), estimate=Usage())
    (op,) = one.counters(fetched, SUBJECT)
    assert isinstance(op, Reserve)
    assert op.estimate == 0
    assert charged(one, fetched, ended(900, 5000)) == [900]
    picture = replace(on("image", "metered"), estimate=Usage())
    assert charged(one, picture, ended(900, 50)) == [950]


def test_asks_of_one_body_share_what_it_used_and_nothing_is_lost() -> None:
    one = rule(tokens="total")
    parts = [replace(asks(10), part=part) for part in range(7)]
    used = [charged(one, fact, ended(100, 33, asks=7))[0] for fact in parts]
    assert sum(used) == 133
    assert max(used) - min(used) <= 2


async def test_a_person_in_a_chat_is_never_found() -> None:
    # A turn every 20 seconds; the client asks for up to 1000 tokens and uses some 250.
    turns = [(20.0 * turn, 1000, 250) for turn in range(200)]
    assert set(await through(rule(limits=["4000/minute", "100000/day"]), turns)) == {None}


async def test_a_coding_agent_below_its_budget_is_never_found() -> None:
    calls = [(6.0 * call, 4096, 300 + call % 500) for call in range(600)]
    assert set(await through(rule(limits=["10000/minute"]), calls)) == {None}


async def test_a_harvester_gets_its_budget_whatever_it_reserves() -> None:
    for reserved in (0, 500, 4000):
        one = rule(limits=["6000/minute"], burst=2000)
        calls = [(at / 2, reserved, 800) for at in range(1200)]
        found = await through(one, calls)
        spent = 800 * found.count(None)
        # Ten minutes: what they give, what may be had at once, and at most the last one's excess.
        assert 0.8 * 60_000 <= spent <= 60_000 + 2000 + 800


async def test_a_late_charge_is_paid_by_later_requests() -> None:
    one = rule(limits="60/second", burst=60)
    found = await through(one, [(0, 10, 600), (0, 10, 10), (8.9, 60, 0), (10.0, 60, 0)])
    assert found[0] is None
    assert found[1] is not None
    # 600 were used, of which 60 could be had at once: the rest takes nine seconds, and 10 more a sixth.
    assert found[1].retry_after_s == pytest.approx(9 + 1 / 6, abs=1e-5)
    assert found[2] is not None
    assert found[3] is None


async def test_the_time_to_come_back_is_exact() -> None:
    one = rule(limits=["600/minute", "1000/hour"])
    found = await through(one, [(0, 600, 600), (0, 400, 0)])
    assert found[1] is not None
    assert found[1].retry_after_s == 40.0
    again = await through(one, [(0, 600, 600), (39.999, 400, 0), (40.0, 400, 0)])
    assert [one is None for one in again] == [True, False, True]
