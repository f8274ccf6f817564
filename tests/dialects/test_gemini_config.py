"""Gemini's generationConfig: numbers in every form, limits, and what is asked of the reasoning."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.dialects.gemini_generate import GEMINI_GENERATE
from proxy.dialects.jsonbody import UnreadableBody
from proxy.facts import Ask, Reasoning


def config(**fields: Any) -> Ask:
    body = orjson.dumps({"contents": "hi", "generationConfig": fields})
    return GEMINI_GENERATE.read(body, "/v1beta/models/gemini-x:generateContent").ask


@pytest.mark.parametrize("written", [128, 128.0, "128", "128.0", "1.28e2", "1.28E+2"])
def test_a_number_may_be_written_as_a_string(written: object) -> None:
    ask = config(
        maxOutputTokens=written,
        candidateCount=written,
        logprobs=written,
        temperature=written,
        thinkingConfig={"thinkingBudget": written},
    )
    assert ask.max_output_tokens == ask.choices == ask.top_logprobs == 128
    assert ask.temperature == 128.0
    assert ask.reasoning == Reasoning(None, 128)


@pytest.mark.parametrize(
    "written",
    ["", " 1", "1 ", "+1", "01", "0x10", "1_000", "many", "\u0661", "NaN", "1.5", "1e999", True],
)
def test_what_is_no_integer_is_refused(written: object) -> None:
    with pytest.raises(UnreadableBody) as refused:
        config(maxOutputTokens=written)
    assert refused.value.message == "generationConfig.maxOutputTokens must be an integer."


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity", "1e999", "", "1,5", "9" * 65])
def test_what_is_no_finite_number_is_refused(written: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        config(temperature=written)
    assert refused.value.message == "generationConfig.temperature must be a finite number."


@pytest.mark.parametrize("written", [0, -1, "0", -0.0])
def test_an_output_limit_of_nothing_is_no_limit(written: object) -> None:
    assert config(maxOutputTokens=written).max_output_tokens is None


@pytest.mark.parametrize("written", [0, -3, None])
def test_there_is_always_at_least_one_choice(written: object) -> None:
    assert config(candidateCount=written).choices == 1


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        ({}, None),
        ({"includeThoughts": False}, None),
        ({"includeThoughts": True}, Reasoning("include_thoughts")),
        ({"thinkingLevel": "HIGH"}, Reasoning("high")),
        ({"thinkingLevel": 2}, Reasoning("2")),
        ({"thinking_level": "low", "include_thoughts": True}, Reasoning("low")),
        ({"thinkingBudget": 0}, Reasoning(None, 0)),
        ({"thinkingBudget": -1}, Reasoning("dynamic")),
        ({"thinkingBudget": "-1", "thinkingLevel": "LOW"}, Reasoning("low")),
    ],
)
def test_what_is_asked_of_the_reasoning(
    thinking: dict[str, Any], reasoning: Reasoning | None
) -> None:
    assert config(thinkingConfig=thinking).reasoning == reasoning
