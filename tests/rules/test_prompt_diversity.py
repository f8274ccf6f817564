"""prompt_diversity: a crawl is found, and people who come back to their topics are not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import NOVEL_BITS, Novel, Novelty, Tallied, Tally
from proxy.decision import Finding
from proxy.facts import Facts, Outcome, Signals
from proxy.rules.prompt_diversity import PromptDiversity
from tests.policy.facts import facts
from tests.rules.judged import T0, judged


def rule(**fields: Any) -> PromptDiversity:
    return PromptDiversity.model_validate({"name": "wide", "per": "account", "score": 25, **fields})


def asks(*marks: int, **client: Any) -> Facts:
    return replace(facts(**client), signals=Signals(prompt=marks))


def prompts(
    count: int, distinct: int, every: float = 1.0, seed: int = 1
) -> Iterator[tuple[float, Facts]]:
    """`count` requests, evenly spread, that draw from `distinct` prompts."""
    chosen = random.Random(seed)
    marks = chosen.sample(range(NOVEL_BITS), distinct) if distinct < NOVEL_BITS else None
    for number in range(count):
        yield number * every, asks(chosen.choice(marks) if marks else chosen.randrange(NOVEL_BITS))


async def first_found(one: PromptDiversity, requests: Iterator[tuple[float, Facts]]) -> int | None:
    """Number of the first request, from one, on which it fires."""
    found = await judged(one, requests)
    return next((at for at, finding in enumerate(found, 1) if finding is not None), None)


async def test_a_crawl_is_found_once_there_is_enough_to_judge() -> None:
    everything = (
        (float(at), asks(mark))
        for at, mark in enumerate(random.Random(7).sample(range(NOVEL_BITS), 300))
    )
    found = await judged(rule(), everything)
    assert [at for at, finding in enumerate(found, 1) if finding][:1] == [200]
    assert found[199] == Finding(
        "prompts_too_diverse",
        {"requests": 200, "distinct": 200, "ratio": 1.0, "max_distinct_ratio": 0.9},
    )


@pytest.mark.parametrize(
    ("count", "distinct"),
    [
        pytest.param(1000, 60, id="a support bot with its sixty questions"),
        pytest.param(3000, 400, id="a busy product whose users circle four hundred topics"),
        pytest.param(199, 8000, id="too few to judge"),
    ],
)
async def test_products_and_people_are_not_found(count: int, distinct: int) -> None:
    assert await first_found(rule(), prompts(count, distinct)) is None


async def test_a_slow_crawl_never_fills_the_floor_of_its_window() -> None:
    """The blind spot that the page tells of: 26 requests a day."""
    slow = prompts(1000, 8000, every=86_400 / 26)
    assert await first_found(rule(), slow) is None
    assert await first_found(
        rule(window="30d", max_distinct_ratio=0.8), prompts(800, 8000, 86_400 / 26)
    )


async def test_each_subject_has_its_own_count() -> None:
    two = [
        (float(at), asks(mark, account="ab"[at % 2]))
        for at, mark in enumerate(random.Random(3).sample(range(NOVEL_BITS), 300))
    ]
    assert not any(await judged(rule(), two))
    assert any(await judged(rule(per="subnet"), two))


async def test_a_declared_eval_is_excused() -> None:
    declared = ((float(at), asks(mark, profile="eval")) for at, mark in enumerate(range(300)))
    assert await judged(rule(excuse=["eval"]), declared) == []


async def test_what_says_nothing_is_not_counted() -> None:
    one = rule()
    assert one.counters(asks(), "account:a") == ()
    assert one.judge(asks(), ()) is None
    mixed = [(float(at), asks(mark) if at % 2 else asks()) for at, mark in enumerate(range(398))]
    assert not any(await judged(one, mixed))


def test_limits_judge_and_windows_count() -> None:
    assert rule().counters(asks(5), "account:a") == (Novel("account:a", rule().key, 3600.0, (5,)),)
    assert rule(min_requests=500, max_distinct_ratio=0.5, score=1).key == rule().key
    assert rule(window="2h").key != rule().key


def test_it_wants_the_prompt_derived() -> None:
    assert rule().wants == {"prompt"}
    assert rule(per=["account", "client_fingerprint"]).wants == {"prompt", "client"}


# Prompts that stand alone


def connected(*chunks: int) -> Facts:
    return replace(facts(), signals=Signals(chunks=chunks))


def conversations(count: int, turns: int) -> Iterator[tuple[float, Facts]]:
    """Chats of so many turns each: the first words come again with every turn."""
    chosen = random.Random(11)
    roots = [chosen.randrange(NOVEL_BITS) for _ in range(count // turns + 1)]
    for number in range(count):
        yield number * 20.0, connected(roots[number // turns])


def looked_up(count: int, passages: int) -> Iterator[tuple[float, Facts]]:
    """A product that answers new questions out of a shelf of passages."""
    chosen = random.Random(12)
    for number in range(count):
        yield (
            number * 20.0,
            connected(chosen.randrange(NOVEL_BITS), *chosen.sample(range(passages), 2)),
        )


MIDNIGHT = 86_400 - T0 % 86_400
"""Seconds until the pane of a day that T0 stands in has ended."""


def alone(count: int, since: float = MIDNIGHT) -> Iterator[tuple[float, Facts]]:
    chosen = random.Random(13)
    for number in range(count):
        yield since + number * 20.0, connected(chosen.randrange(NOVEL_BITS))


UNCONNECTED = {"window": "1d", "min_requests": 1000, "max_unconnected": 0.95}


async def test_requests_that_stand_alone_are_found() -> None:
    assert await first_found(rule(**UNCONNECTED), alone(1200)) == 1000


async def test_who_begins_just_before_a_pane_ends_is_found_a_little_later() -> None:
    """Of the first 320 so much counts as the day still covers, though all are of this day."""
    late = alone(1200, since=MIDNIGHT - 6_400)
    assert await first_found(rule(**UNCONNECTED), late) == 1055


@pytest.mark.parametrize(
    "traffic",
    [
        pytest.param(conversations(2000, 3), id="a chat"),
        pytest.param(looked_up(2000, 600), id="a product that looks things up"),
        pytest.param(alone(999), id="too few to judge"),
    ],
)
async def test_what_goes_on_or_comes_again_is_not(traffic: Iterator[tuple[float, Facts]]) -> None:
    assert await first_found(rule(**UNCONNECTED), traffic) is None


# An account against its own history


async def departures(one: PromptDiversity, requests: Iterator[tuple[float, Facts]]) -> list[bool]:
    store, found = MemoryStore(clock=SystemClock()), []
    served = Outcome(refused=False, served=True)
    for at, request in requests:
        ops = one.counters(request, "account:acme")
        readings = await store.apply(ops, T0 + at)
        found.append(one.judge(request, readings) is not None)
        await store.apply(one.settle(request, ops, readings, served), T0 + at)
    return found


def a_product(count: int, distinct: int, then: int) -> Iterator[tuple[float, Facts]]:
    """A product with its topics, and on the last day a crawl on the same key."""
    yield from prompts(count, distinct, every=60.0)
    crawl = random.Random(5).sample(range(NOVEL_BITS), then)
    for number, mark in enumerate(crawl):
        yield count * 60.0 + number * 10.0, asks(mark)


OWN = {"window": "1h", "min_requests": 100, "max_departure": 0.4}


async def test_an_account_that_leaves_its_own_ground_is_found() -> None:
    found = await departures(rule(**OWN), a_product(3000, 300, 350))
    assert not any(found[:3000])
    assert any(found[3000:])


async def test_who_has_always_asked_something_new_departs_from_nothing() -> None:
    everything = random.Random(6).sample(range(NOVEL_BITS), 2500)
    steady = ((at * 20.0, asks(mark)) for at, mark in enumerate(everything))
    assert not any(await departures(rule(**OWN), steady))


async def test_without_a_history_nothing_is_said_of_a_departure() -> None:
    assert not any(await departures(rule(**OWN), a_product(100, 20, 190)))


def test_what_was_refused_is_not_new_to_the_account() -> None:
    refused = Outcome(refused=True, served=False)
    readings = (Novelty(1.0, 1, T0, 1000, (5,)), Tallied(1, (0,), 0, T0))
    one = rule(**OWN)
    ops = one.counters(asks(5), "account:a")
    assert one.settle(asks(5), ops, readings, refused) == ()
    (noted,) = one.settle(asks(5), ops, readings, Outcome(refused=False, served=True))
    assert isinstance(noted, Tally)
    assert noted.requests == 0


def test_all_measures_that_a_rule_names_must_be_passed() -> None:
    both = rule(max_distinct_ratio=0.9, max_unconnected=0.9, min_requests=10)
    asked = replace(facts(), signals=Signals(prompt=(1,), chunks=(2,)))
    wide, narrow = Novelty(10.0, 10, T0, 1000, (1,)), Novelty(5.0, 10, T0, 1000, (1,))
    assert both.judge(asked, (wide, wide)) is not None
    assert both.judge(asked, (wide, narrow)) is None
    assert both.judge(asked, (narrow, wide)) is None
    assert rule(max_unconnected=0.9).wants == {"chunks"}
    assert not rule().settles


def test_a_history_is_longer_than_the_window() -> None:
    with pytest.raises(ValidationError, match="must be longer than the window"):
        rule(window="1d", history="1d", max_departure=0.3)


def test_only_what_a_model_answers_counts() -> None:
    assert rule().counters(asks(5), "account:a") != ()
    for operation in ("embeddings", "count_tokens"):
        counted = replace(asks(5), route=replace(asks().route, operation=operation))
        assert rule().counters(counted, "account:a") == ()
