"""request_shape: a pipeline's parameters are found, a product that shares some of them is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.facts import Ask, Facts, Reasoning, Signals, Turn
from proxy.head import Head
from proxy.policy.yamltree import read_tree
from proxy.rules.request_shape import RequestShape
from tests.policy.facts import ROUTE, facts
from tests.rules.judged import judged

PIPELINES = Path(__file__).parents[2] / "policies/library/marks/pipelines.yaml"


def rule(**fields: Any) -> RequestShape:
    made = RequestShape.model_validate({"name": "shape", "per": "account", "score": 15, **fields})
    data = read_tree(PIPELINES.read_text(encoding="utf-8"), "pipelines").data
    return made.with_data(made.marks, data, lambda *mistake, **_: pytest.fail(str(mistake)))


RULE = rule()
USER = (Turn("user", "Write an instruction."),)
ALPACA = Ask(
    "large", USER, max_output_tokens=3072, temperature=1.0, logit_bias=(("50256", -100.0),)
)
NAMES = ("messages", "model", "frequency_penalty", "logprobs", "max_completion_tokens", "n")
DISTILABEL = Ask(
    "large",
    USER,
    temperature=1.0,
    top_p=1.0,
    parameters=(*NAMES, "presence_penalty", "temperature", "top_p"),
)
TRACES = Ask("large", USER, max_output_tokens=20_000, reasoning=Reasoning(budget_tokens=18_000))
PRODUCT = Ask("large", USER, temperature=1.0, parameters=("model", "messages", "temperature", "n"))


def use(ask: Ask) -> Facts:
    """As the pipeline would derive it."""
    found = RULE.table.find(Head("POST", "/", "", (), ""), ask, b"{}")
    return replace(
        facts(), ask=ask, signals=Signals(marks=((RULE.table.name, found),) if found else ())
    )


def traffic(shaped: Ask, share: float, count: int = 400) -> Iterator[tuple[float, Facts]]:
    for number in range(count):
        hit = int((number + 1) * share) > int(number * share)
        yield number * 20.0, use(shaped if hit else PRODUCT)


@pytest.mark.parametrize(
    ("ask", "name"),
    [(ALPACA, "self-instruct"), (DISTILABEL, "distilabel"), (TRACES, "reasoning-traces")],
)
async def test_a_pipeline_is_found_and_named(ask: Ask, name: str) -> None:
    found = await judged(RULE, traffic(ask, 1.0))
    assert [one is not None for one in found] == [False] * 99 + [True] * 301
    last = found[-1]
    assert last is not None
    assert (last.reason, last.evidence["shapes"]) == ("shape_of_a_pipeline", name)


async def test_a_product_with_some_of_its_parameters_is_not() -> None:
    assert not any(await judged(RULE, traffic(ALPACA, 0.0)))
    assert not any(await judged(RULE, traffic(ALPACA, 0.3)))


@pytest.mark.parametrize(
    "ask",
    [
        replace(ALPACA, temperature=0.7),
        replace(ALPACA, logit_bias=(("50256", -100.0), ("198", -5.0))),
        replace(ALPACA, logit_bias=(("50256", 100.0),)),
        replace(DISTILABEL, parameters=tuple(set(DISTILABEL.parameters) - {"presence_penalty"})),
        replace(DISTILABEL, temperature=0.2),
        replace(TRACES, reasoning=Reasoning(budget_tokens=8_000)),
        replace(TRACES, reasoning=Reasoning("high")),
        replace(TRACES, max_output_tokens=32_000),
    ],
)
async def test_who_comes_near_to_a_pipeline_with_every_request_is_not(ask: Ask) -> None:
    assert not any(await judged(RULE, traffic(ask, 1.0)))


def test_only_what_a_model_answers_counts() -> None:
    embeddings = replace(use(ALPACA), route=replace(ROUTE, operation="embeddings"))
    assert RULE.counters(embeddings, "account:acme") == ()
