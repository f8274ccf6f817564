"""OpenAI chat bodies: what is read and what is refused."""

from typing import Any

import orjson
import pytest

from proxy.dialects.base import UnreadableBody
from proxy.dialects.openai_chat import OPENAI_CHAT
from proxy.facts import Ask, Reasoning, Turn

HELLO = [{"role": "user", "content": "Hello"}]


def read(**fields: Any) -> Ask:
    body = {"model": "m", "messages": HELLO, **fields}
    return OPENAI_CHAT.read(orjson.dumps(body)).ask


def turn(**message: Any) -> Turn:
    return read(messages=[message]).turns[0]


def test_a_full_body_is_read_into_an_ask() -> None:
    body = {
        "model": "large-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "No lists."}]},
            {"role": "user", "content": "Hello"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 10,
        "max_completion_tokens": 20,
        "n": 2,
        "temperature": 1,
        "top_p": 0.5,
        "logprobs": True,
        "top_logprobs": 5,
        "logit_bias": {"50256": -100, "7": 1.5},
        "reasoning_effort": "high",
        "tools": [
            {"type": "function", "function": {"name": "search"}},
            {"type": "custom", "custom": {"name": "shell"}},
        ],
        "functions": [{"name": "old"}],
        "user": "u-1",
        "unheard_of": {"anything": []},
    }
    got = OPENAI_CHAT.read(orjson.dumps(body))
    assert got.parsed == body
    assert got.ask == Ask(
        model="large-1",
        turns=(
            Turn("system", "Be brief."),
            Turn("developer", "No lists."),
            Turn("user", "Hello"),
        ),
        system="Be brief.\nNo lists.",
        stream=True,
        max_output_tokens=20,
        choices=2,
        temperature=1.0,
        top_p=0.5,
        logprobs=True,
        top_logprobs=5,
        logit_bias=(("50256", -100.0), ("7", 1.5)),
        reasoning=Reasoning("high"),
        tools=("search", "shell", "old"),
        end_user="u-1",
        asks_usage=True,
        parameters=tuple(body),
    )


def test_a_minimal_body_has_the_defaults_of_an_ask() -> None:
    assert read() == Ask(
        model="m", turns=(Turn("user", "Hello"),), parameters=("model", "messages")
    )


def test_null_is_read_as_absent() -> None:
    fields = [
        "model stream stream_options max_tokens max_completion_tokens n temperature top_p logprobs",
        "top_logprobs logit_bias reasoning_effort tools functions user safety_identifier",
    ]
    names = " ".join(fields).split()
    ask = read(**dict.fromkeys(names))
    assert ask == Ask(model=None, turns=(Turn("user", "Hello"),), parameters=ask.parameters)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "a"}, "a"),
        ({"content": None}, ""),
        ({}, ""),
        ({"content": []}, ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        (
            {
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:…"}},
                    {"type": "text", "text": "a"},
                    {"type": "refusal", "refusal": "no"},
                ]
            },
            "a\nno",
        ),
        ({"role": "tool", "tool_call_id": "c", "content": "result"}, "result"),
        ({"content": "a", "name": "bob"}, "a"),
        ({"content": None, "refusal": "no"}, "no"),
        ({"content": "a", "reasoning_content": "because"}, "a\nbecause"),
        (
            {
                "content": None,
                "tool_calls": [
                    {"function": {"name": "f", "arguments": '{"q":1}'}},
                    {"type": "custom", "custom": {"name": "g", "input": "ls"}},
                ],
            },
            '{"q":1}\nls',
        ),
        ({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "{}"),
    ],
)
def test_a_turn_holds_all_text_that_the_model_would_read(
    message: dict[str, Any], text: str
) -> None:
    role = message.pop("role", "assistant")
    assert turn(role=role, **message) == Turn(role, text)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 5}, 5),
        ({"max_tokens": 9, "max_completion_tokens": 5}, 9),
        ({"max_tokens": 5, "max_completion_tokens": 9}, 9),
        ({"max_tokens": -1}, None),
        ({"max_tokens": -1, "max_completion_tokens": 9}, None),
        ({"max_tokens": -1, "max_completion_tokens": -1}, None),
        ({"n_predict": 7}, 7),
        ({"max_new_tokens": 7}, 7),
        ({"max_tokens": 5, "n_predict": 9}, 9),
        ({"max_tokens": 9, "n_predict": 5}, 9),
        ({"max_tokens": 5, "max_completion_tokens": 6, "n_predict": 8, "max_new_tokens": 7}, 8),
        ({"max_tokens": 5, "n_predict": -1}, None),
        ({"max_tokens": 5, "n_predict": None}, 5),
        ({"max_tokens": 0}, 0),
    ],
)
def test_the_largest_output_limit_counts(fields: dict[str, int], expected: int | None) -> None:
    assert read(**fields).max_output_tokens == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n_cmpl": 3}, 3),
        ({"n": 2, "n_cmpl": 3}, 3),
        ({"n": 4, "n_cmpl": 1}, 4),
        ({"n": 1, "best_of": 5, "n_cmpl": 3}, 5),
        ({"n": 0}, 1),
        ({"n": None, "n_cmpl": None}, 1),
    ],
)
def test_the_largest_count_of_answers_counts(fields: dict[str, int | None], expected: int) -> None:
    assert read(**fields).choices == expected


@pytest.mark.parametrize(
    ("fields", "end_user"),
    [
        ({"user": "a"}, "a"),
        ({"safety_identifier": "b"}, "b"),
        ({"user": "a", "safety_identifier": "b"}, "b"),
        ({"user": "a", "safety_identifier": ""}, "a"),
        ({"user": ""}, None),
    ],
)
def test_the_end_user_is_named_by_either_field(
    fields: dict[str, str], end_user: str | None
) -> None:
    assert read(**fields).end_user == end_user


@pytest.mark.parametrize("n", [0, -3])
def test_there_is_always_at_least_one_choice(n: int) -> None:
    assert read(n=n).choices == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messages": None}, "messages must be an array."),
        ({"messages": "hi"}, "messages must be an array."),
        ({"messages": ["hi"]}, "messages[0] must be an object."),
        ({"messages": [{"content": "a"}]}, "messages[0].role must be a string."),
        (
            {"messages": [*HELLO, {"role": "user", "content": 5}]},
            "messages[1].content must be a string or an array.",
        ),
        (
            {"messages": [{"role": "user", "content": ["a"]}]},
            "messages[0].content[0] must be an object.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages[0].content[0].text must be a string.",
        ),
        (
            {"messages": [{"role": "assistant", "content": "a", "tool_calls": {}}]},
            "messages[0].tool_calls must be an array.",
        ),
        (
            {"messages": [{"role": "assistant", "content": "a", "tool_calls": [{"function": 1}]}]},
            "messages[0].tool_calls[0].function must be an object.",
        ),
        (
            {"messages": [{"role": "assistant", "content": "a", "function_call": 1}]},
            "messages[0].function_call must be an object.",
        ),
        ({"model": 5}, "model must be a string."),
        ({"stream": "true"}, "stream must be a boolean."),
        ({"stream": 1}, "stream must be a boolean."),
        ({"stream": True, "stream_options": []}, "stream_options must be an object."),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "stream_options.include_usage must be a boolean.",
        ),
        ({"max_tokens": "16"}, "max_tokens must be an integer."),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens must be an integer."),
        ({"n": "2"}, "n must be an integer."),
        ({"temperature": "1"}, "temperature must be a finite number."),
        ({"top_p": True}, "top_p must be a finite number."),
        ({"logprobs": 5}, "logprobs must be a boolean."),
        ({"top_logprobs": True}, "top_logprobs must be an integer."),
        ({"logit_bias": [1]}, "logit_bias must be an object."),
        ({"logit_bias": {"secret": "x"}}, "logit_bias must be a finite number."),
        ({"reasoning_effort": 1}, "reasoning_effort must be a string."),
        ({"tools": {}}, "tools must be an array."),
        ({"tools": [1]}, "tools[0] must be an object."),
        ({"tools": [{"function": 1}]}, "tools[0].function must be an object."),
        ({"functions": [1]}, "functions[0] must be an object."),
        ({"user": 5}, "user must be a string."),
        ({"safety_identifier": 5}, "safety_identifier must be a string."),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read(**fields)
    assert (refused.value.reason, refused.value.message) == ("wrong_type", message)


@pytest.mark.parametrize(
    "fields",
    [
        {"Messages": HELLO},
        {"messages": [{"role": "user", "content": "a", "Content": "b"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "Text": "b"}]}]},
    ],
)
def test_text_cannot_hide_behind_the_case_of_a_key(fields: dict[str, Any]) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read(**fields)
    assert refused.value.reason == "ambiguous_key"
