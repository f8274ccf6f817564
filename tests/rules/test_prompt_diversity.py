"""prompt_diversity: a crawl is found, and people who come back to their topics are not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from proxy.counters.protocol import Novel
from proxy.decision import Finding
from proxy.facts import Facts, Signals
from proxy.rules.prompt_diversity import PromptDiversity
from tests.policy.facts import facts
from tests.rules.judged import judged


def rule(**fields: Any) -> PromptDiversity:
    return PromptDiversity.model_validate({"name": "wide", "per": "account", "score": 25, **fields})


def asks(*marks: int, **client: Any) -> Facts:
    return replace(facts(**client), signals=Signals(prompt=marks))


def prompts(
    count: int, distinct: int, every: float = 1.0, seed: int = 1
) -> Iterator[tuple[float, Facts]]:
    """`count` requests, evenly spread, that draw from `distinct` prompts."""
    chosen = random.Random(seed)
    marks = chosen.sample(range(8192), distinct) if distinct < 8192 else None
    for number in range(count):
        yield number * every, asks(chosen.choice(marks) if marks else chosen.randrange(8192))


async def first_found(one: PromptDiversity, requests: Iterator[tuple[float, Facts]]) -> int | None:
    """Number of the first request, from one, on which it fires."""
    found = await judged(one, requests)
    return next((at for at, finding in enumerate(found, 1) if finding is not None), None)


async def test_a_crawl_is_found_once_there_is_enough_to_judge() -> None:
    everything = (
        (float(at), asks(mark)) for at, mark in enumerate(random.Random(7).sample(range(8192), 300))
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
        for at, mark in enumerate(random.Random(3).sample(range(8192), 300))
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
