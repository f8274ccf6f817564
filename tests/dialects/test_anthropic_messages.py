"""Anthropic messages bodies: what is read and what is refused."""

import json
from typing import Any

import orjson
import pytest

from proxy.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from proxy.dialects.base import UnreadableBody
from proxy.facts import Ask, Reasoning, Turn

HELLO = [{"role": "user", "content": "Hello"}]


def read(**fields: Any) -> Ask:
    body = {"model": "m", "messages": HELLO, **fields}
    return ANTHROPIC_MESSAGES.read(json.dumps(body).encode()).ask


def test_a_full_body_is_read_into_an_ask() -> None:
    body = {
        "model": "large-1",
        "max_tokens": 1024,
        "system": [
            {"type": "text", "text": "Be brief."},
            {"type": "text", "text": "No lists.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "system", "content": "New rule."},
        ],
        "stream": True,
        "temperature": 1,
        "top_p": 0.5,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"effort": "low"},
        "tools": [{"name": "search", "input_schema": {}}, {"type": "bash", "name": "bash"}],
        "metadata": {"user_id": "u-1"},
        "unheard_of": [],
    }
    got = ANTHROPIC_MESSAGES.read(orjson.dumps(body))
    assert got.parsed == body
    assert got.ask == Ask(
        model="large-1",
        turns=(
            Turn("system", "Be brief.\nNo lists."),
            Turn("user", "Hello"),
            Turn("assistant", "Hi"),
            Turn("system", "New rule."),
        ),
        system="Be brief.\nNo lists.\nNew rule.",
        stream=True,
        max_output_tokens=1024,
        temperature=1.0,
        top_p=0.5,
        reasoning=Reasoning("low", 2048),
        tools=("search", "bash"),
        end_user="u-1",
        parameters=tuple(body),
    )


def test_a_minimal_body_has_the_defaults_of_an_ask() -> None:
    assert read() == Ask(
        model="m", turns=(Turn("user", "Hello"),), parameters=("model", "messages")
    )


def test_null_is_read_as_absent() -> None:
    names = "model max_tokens system stream temperature top_p thinking output_config tools metadata"
    ask = read(**dict.fromkeys(names.split()))
    assert ask == Ask(model=None, turns=(Turn("user", "Hello"),), parameters=ask.parameters)


def test_a_system_string_is_the_first_turn() -> None:
    ask = read(system="Be brief.")
    assert ask.system == "Be brief."
    assert ask.turns[0] == Turn("system", "Be brief.")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "text", "text": "a", "cache_control": None}], "a"),
        ([{"type": "image", "source": {"type": "base64", "data": "aGk="}}], ""),
        ([{"type": "thinking", "thinking": "hm", "signature": "s"}], "hm"),
        ([{"type": "redacted_thinking", "data": "aGk="}], ""),
        ([{"type": "tool_use", "id": "t", "name": "f", "input": {"q": "é"}}], '{"q":"é"}'),
        (
            [{"type": "tool_use", "id": "t", "name": "f", "input": {"q": 2**70}}],
            f"{{'q': {2**70}}}",
        ),
        ([{"type": "tool_result", "tool_use_id": "t", "content": "42"}], "42"),
        ([{"type": "tool_result", "tool_use_id": "t"}], ""),
        (
            [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}],
                }
            ],
            "4\n2",
        ),
        ([{"type": "document", "source": {"type": "text", "data": "doc"}, "title": "T"}], "T\ndoc"),
        ([{"type": "document", "source": {"type": "base64", "data": "aGk="}}], ""),
        (
            [
                {
                    "type": "document",
                    "context": "C",
                    "source": {"type": "content", "content": [{"type": "text", "text": "doc"}]},
                }
            ],
            "C\ndoc",
        ),
        (
            [
                {
                    "type": "search_result",
                    "source": "https://example.com",
                    "title": "T",
                    "content": [{"type": "text", "text": "found"}],
                }
            ],
            "T\nfound",
        ),
        (
            [
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "t",
                    "content": {"type": "web_search_tool_result_error", "error_code": "x"},
                }
            ],
            "",
        ),
    ],
)
def test_a_turn_holds_all_text_that_the_model_would_read(content: object, text: str) -> None:
    assert read(messages=[{"role": "user", "content": content}]).turns == (Turn("user", text),)


def test_blocks_nested_as_deep_as_the_parser_bears_are_read() -> None:
    # Each tool_result costs two levels; the object, its messages and its message cost three.
    block = b'{"type":"tool_result","content":['
    depth = 97
    body = b'{"messages":[{"role":"user","content":[%b%b]}]}' % (block * depth, b"]}" * depth)
    assert ANTHROPIC_MESSAGES.read(body).ask.turns == (Turn("user", ""),)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "disabled"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, Reasoning(None, 9)),
        ({"thinking": {"type": "adaptive"}}, Reasoning("adaptive")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Reasoning("max")),
        ({"output_config": {"effort": "high"}}, Reasoning("high")),
        ({"output_config": {"format": {}}}, None),
    ],
)
def test_reasoning_is_an_effort_a_budget_or_both(
    fields: dict[str, Any], reasoning: Reasoning | None
) -> None:
    assert read(**fields).reasoning == reasoning


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messages": None}, "messages must be an array."),
        ({"messages": [1]}, "messages[0] must be an object."),
        ({"messages": [{"role": 1, "content": "a"}]}, "messages[0].role must be a string."),
        (
            {"messages": [{"role": "user", "content": 1}]},
            "messages[0].content must be a string or an array.",
        ),
        (
            {"messages": [{"role": "user", "content": ["a"]}]},
            "messages[0].content[0] must be an object.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text must be a string.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 1}]}]},
            "messages[0].content[0].content must be a string or an array.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"source": {"type": "text"}}]}]},
            "messages[0].content[0].source.data must be a string.",
        ),
        ({"model": 1}, "model must be a string."),
        ({"system": 1}, "system must be a string or an array."),
        ({"system": ["a"]}, "system[0] must be an object."),
        ({"max_tokens": "1"}, "max_tokens must be an integer."),
        ({"stream": "true"}, "stream must be a boolean."),
        ({"temperature": "1"}, "temperature must be a finite number."),
        ({"top_p": "1"}, "top_p must be a finite number."),
        ({"thinking": "yes"}, "thinking must be an object."),
        ({"thinking": {"type": 1}}, "thinking.type must be a string."),
        ({"thinking": {"budget_tokens": "1"}}, "thinking.budget_tokens must be an integer."),
        ({"output_config": "x"}, "output_config must be an object."),
        ({"output_config": {"effort": 1}}, "output_config.effort must be a string."),
        ({"tools": {}}, "tools must be an array."),
        ({"tools": [1]}, "tools[0] must be an object."),
        ({"metadata": "x"}, "metadata must be an object."),
        ({"metadata": {"user_id": 1}}, "metadata.user_id must be a string."),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read(**fields)
    assert (refused.value.reason, refused.value.message) == ("wrong_type", message)


@pytest.mark.parametrize(
    "fields",
    [
        {"System": "b"},
        {"messages": [{"role": "user", "content": "a", "Content": "b"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "TEXT": "b"}]}]},
        {"system": [{"type": "text", "text": "a", "TEXT": "b"}]},
    ],
)
def test_text_cannot_hide_behind_the_case_of_a_key(fields: dict[str, Any]) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read(**fields)
    assert refused.value.reason == "ambiguous_key"


def test_streams_report_their_usage_unasked() -> None:
    body = orjson.dumps({"messages": HELLO, "stream": True})
    read_ask = ANTHROPIC_MESSAGES.read(body)
    assert read_ask.ask.asks_usage
    assert ANTHROPIC_MESSAGES.ask_usage(body, read_ask.parsed) is None
