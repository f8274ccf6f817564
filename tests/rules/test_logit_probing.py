"""logit_probing: who measures the model is found, who constrains or evaluates it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.counters.protocol import Tally
from proxy.facts import Ask, Facts
from proxy.rules.logit_probing import LogitProbing
from tests.policy.facts import ROUTE, facts
from tests.rules.judged import judged

ALL = {
    "max_bias_maps": 90,
    "max_single_biases": 50,
    "max_logprobs": 500,
    "max_prompt_logprobs": 20,
}


def rule(**fields: Any) -> LogitProbing:
    return LogitProbing.model_validate(
        {"name": "probing", "per": "account", "score": 30, **(fields or ALL)}
    )


def asked(**fields: Any) -> Facts:
    return replace(facts(), ask=Ask("large", **fields))


def recovery(count: int = 400) -> Iterator[tuple[float, Facts]]:
    """A projection matrix, one biased token at a time (Carlini et al. 2024)."""
    for number in range(count):
        yield (
            number * 2.0,
            asked(
                logprobs=True,
                top_logprobs=5,
                logit_bias=((str(number), 100.0),),
                max_output_tokens=1,
            ),
        )


def constrained(count: int = 3000) -> Iterator[tuple[float, Facts]]:
    """A product that bans a few words with the same few maps, and never looks at probabilities."""
    for number in range(count):
        yield number * 10.0, asked(logit_bias=((str(number % 8), -100.0), ("50256", -100.0)))


def classifier(count: int = 400) -> Iterator[tuple[float, Facts]]:
    """Labels by their probabilities, one map for all."""
    bias = (("9891", 30.0), ("2201", 30.0))
    for number in range(count):
        yield (
            number * 10.0,
            asked(logprobs=True, top_logprobs=2, logit_bias=bias, max_output_tokens=1),
        )


async def test_a_recovery_is_found_by_its_maps_and_by_its_single_tokens() -> None:
    found = await judged(rule(), recovery())
    first = next(at for at, one in enumerate(found) if one is not None)
    assert first == 50, "the 51st single bias"
    last = found[-1]
    assert last is not None
    assert last.reason == "logits_probed"
    assert last.evidence["bias_maps"] == 91, "told as: more than the bound"
    assert last.evidence["single_biases"] == 400


@pytest.mark.parametrize("traffic", [constrained, classifier])
async def test_constrained_decoding_and_classifiers_are_not(traffic: Any) -> None:
    assert not any(await judged(rule(), traffic()))


async def test_a_map_is_the_same_in_any_order() -> None:
    one, other = (("1", 5.0), ("2", -5.0)), (("2", -5.0), ("1", 5.0))
    requests = [(float(at), asked(logit_bias=(one, other)[at % 2])) for at in range(50)]
    assert not any(await judged(rule(max_bias_maps=1), requests))


async def test_probabilities_of_answers_and_of_prompts_have_bounds_of_their_own() -> None:
    answers = [(float(at), asked(logprobs=True)) for at in range(502)]
    found = await judged(rule(), answers)
    assert [one is not None for one in found] == [False] * 500 + [True] * 2
    prompts = [(float(at), asked(prompt_logprobs=True)) for at in range(22)]
    found = await judged(rule(), prompts)
    assert [one is not None for one in found] == [False] * 20 + [True] * 2


async def test_a_choice_that_is_forced_and_read_is_a_single_bias() -> None:
    forced = [
        (float(at), asked(logprobs=True, constrained=True, max_output_tokens=1)) for at in range(60)
    ]
    found = await judged(rule(max_single_biases=50), forced)
    assert sum(one is not None for one in found) == 10


def test_who_asks_for_none_of_it_costs_nothing_and_embeddings_are_no_answers() -> None:
    assert rule().counters(asked(), "account:acme") == ()
    embeddings = replace(asked(logprobs=True), route=replace(ROUTE, operation="embeddings"))
    assert rule().counters(embeddings, "account:acme") == ()
    assert [type(op) for op in rule().counters(asked(logprobs=True), "account:acme")] == [Tally]


def test_a_rule_without_a_bound_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="needs at least one bound"):
        rule(max_bias_maps=None)
