"""The real anthropic SDK reads every degraded answer, plain and streamed, and goes on with tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.support.excise import Excise
from tests.support.reasoning_model import (
    SECRET,
    SIGNATURE,
    TEXT,
    TOOL,
    ReasoningModel,
)

MESSAGES: Any = [{"role": "user", "content": "Why?"}]


@pytest.fixture
def client(excise: Excise) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="sk-a", base_url=excise.url, max_retries=0) as made:
        yield made


@pytest.mark.parametrize("name", ["hidden", "inline"])
def test_a_message_without_its_thinking(client: anthropic.Anthropic, name: str) -> None:
    raw = client.messages.with_raw_response.create(model=name, max_tokens=100, messages=MESSAGES)
    assert raw.headers["x-excise-modified"] == "logprobs, reasoning"
    answer = raw.parse()
    assert [block.type for block in answer.content] == ["text", "tool_use"]
    assert answer.content[0].text == TEXT
    assert SECRET not in raw.text()
    assert SIGNATURE not in raw.text()


@pytest.mark.parametrize("name", ["hidden", "inline"])
def test_a_streamed_message_without_its_thinking(client: anthropic.Anthropic, name: str) -> None:
    with client.messages.stream(model=name, max_tokens=100, messages=MESSAGES) as stream:
        events = list(stream)
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["text", "tool_use"]
    assert final.content[0].text == TEXT
    assert final.content[1].input == TOOL["input"]
    assert final.stop_reason == "tool_use"
    assert final.usage.output_tokens == 24
    assert SECRET not in repr(events)
    assert SIGNATURE not in repr(events)


def test_a_block_of_reasoning_alone_is_no_block(client: anthropic.Anthropic) -> None:
    """The API takes no empty text back from the turn that a tool's result answers."""
    answer = client.messages.create(model="unclosed", max_tokens=100, messages=MESSAGES)
    with client.messages.stream(model="unclosed", max_tokens=100, messages=MESSAGES) as stream:
        events = list(stream)
        final = stream.get_final_message()
    assert [block.type for block in answer.content] == ["tool_use"]
    assert [block.type for block in final.content] == ["tool_use"]
    assert final.content[0].input == TOOL["input"]
    assert SECRET not in repr((answer, events))


def test_an_untouched_model_shows_all(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model="plain", max_tokens=100, messages=MESSAGES)
    assert answer.content[0].thinking == SECRET


@pytest.mark.parametrize("name", ["hidden-cut", "inline-cut"])
def test_a_message_ends_at_its_limit(
    excise: Excise, client: anthropic.Anthropic, model: ReasoningModel, name: str
) -> None:
    with client.messages.stream(model=name, max_tokens=100, messages=MESSAGES) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "max_tokens"
    assert [block.type for block in final.content] == ["text"]
    assert final.content[0].text
    assert TEXT.startswith(final.content[0].text)
    assert final.usage.output_tokens == 5
    assert final.usage.input_tokens == 7
    event = excise.wait_for("request", **{"gen_ai.request.model": name})
    assert event["gen_ai.usage.output_tokens"] == 5
    assert event["gen_ai.response.finish_reason"] == "max_tokens"
    assert event["degraded"] == ["output", "reasoning"]
    assert model.written < 30
    plain = client.messages.create(model=name, max_tokens=100, messages=MESSAGES)
    assert plain.stop_reason == "max_tokens"
    assert plain.content[0].text == TEXT[:20]


def test_a_tool_is_used_over_several_turns(
    client: anthropic.Anthropic, model: ReasoningModel
) -> None:
    """What we have hidden cannot be sent back: the turn that lacks its thinking goes on without."""
    thinking: Any = {"type": "enabled", "budget_tokens": 2048}
    first = client.messages.create(
        model="hidden", max_tokens=8192, messages=MESSAGES, thinking=thinking
    )
    assert model.body["thinking"] == thinking
    result: Any = {"type": "tool_result", "tool_use_id": TOOL["id"], "content": "42"}
    turns: Any = [
        *MESSAGES,
        {"role": "assistant", "content": [block.model_dump() for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    client.messages.create(model="hidden", max_tokens=8192, messages=turns, thinking=thinking)
    assert model.body["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("thinking", "more", "wanted"),
    [
        ({"type": "enabled", "budget_tokens": 4096}, {}, {"thinking": {"type": "disabled"}}),
        (
            {"type": "adaptive", "display": "summarized"},
            {},
            {
                "thinking": {"type": "adaptive", "display": "omitted"},
                "output_config": {"effort": "low"},
            },
        ),
        (
            {"type": "adaptive"},
            {"output_config": {"effort": "max"}},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
    ],
)
def test_a_request_is_lowered_before_it_goes_on(
    client: anthropic.Anthropic,
    model: ReasoningModel,
    thinking: Any,
    more: Any,
    wanted: dict[str, Any],
) -> None:
    client.messages.create(
        model="lowered", max_tokens=8192, messages=MESSAGES, thinking=thinking, **more
    )
    assert model.body == {
        "max_tokens": 512,
        "messages": MESSAGES,
        "model": "lowered",
        **wanted,
    }
