"""prompt_template: a sweep of one wrapper is found, what many old customers write is common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from proxy.counters.protocol import Different, Distinct, Tallied, Tally
from proxy.facts import Facts, Signals
from proxy.rules.base import Learnt
from proxy.rules.prompt_template import PromptTemplate
from tests.policy.facts import ROUTE, facts
from tests.rules.judged import T0, judged

DAY = 86_400.0
OLD = T0 - 400 * DAY


def rule(**fields: Any) -> PromptTemplate:
    return PromptTemplate.model_validate({"name": "one", "per": "account", "score": 10, **fields})


def begins(template: str | None, *, common: bool = False, **client: Any) -> Facts:
    return replace(
        facts(**client), signals=Signals(template=template), now=T0, common_template=common
    )


def sweep(share: float, count: int = 800, **kind: Any) -> Iterator[tuple[float, Facts]]:
    """So many prompts with one beginning, the others each with their own."""
    for number in range(count):
        same = int((number + 1) * share) > int(number * share)
        yield number * 5.0, begins("tpl_same" if same else f"tpl_{number}", **kind)


async def test_a_sweep_is_found_once_there_is_enough_to_judge() -> None:
    found = await judged(rule(), sweep(1.0))
    assert [at for at, one in enumerate(found, 1) if one][:1] == [500]
    last = found[-1]
    assert last is not None
    assert last.reason == "prompts_from_one_template"
    assert last.evidence["template"] == "tpl_same"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
async def test_a_caller_of_many_beginnings_is_not(share: float) -> None:
    assert not any(await judged(rule(), sweep(share)))


async def test_a_common_beginning_says_nothing() -> None:
    assert not any(await judged(rule(), sweep(1.0, common=True)))


async def test_raw_questions_have_no_template() -> None:
    raw = ((float(at), begins(None)) for at in range(800))
    assert not any(await judged(rule(), raw))


async def test_only_old_accounts_of_the_file_make_a_template_common() -> None:
    def kinds(**client: Any) -> list[type]:
        return [type(op) for op in rule().counters(begins("tpl_a", **client), "account:a")]

    assert kinds(since=OLD) == [Tally, Distinct]
    assert kinds(since=T0 - 10 * DAY) == [Tally], "a customer since last week"
    assert kinds() == [Tally], "nobody vouches for its age"
    known = begins("tpl_a", since=OLD, common=True)
    assert [type(op) for op in rule().counters(known, "account:a")] == [Tally]


def test_it_is_learnt_when_the_last_of_them_has_used_it() -> None:
    asked = begins("tpl_a", since=OLD)
    tally = Tallied(1, (1,), 1, T0)
    assert rule().learnt(asked, (tally,)) is None
    assert rule().learnt(asked, (tally, Different(19, T0, None))) is None
    assert rule().learnt(asked, (tally, Different(20, T0, None))) == Learnt(
        "template:tpl_a", 30 * DAY, "20 long-standing accounts use it"
    )


def test_only_what_a_model_answers_counts() -> None:
    embeddings = replace(begins("tpl_a"), route=replace(ROUTE, operation="embeddings"))
    assert rule().counters(embeddings, "account:a") == ()
