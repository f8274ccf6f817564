"""What a body on /v1/responses asks of the model, and what its replies say they used."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy import facts
from proxy.dialects.jsonbody import UnreadableBody
from proxy.dialects.openai_responses import OPENAI_RESPONSES
from proxy.dialects.routes import DIALECTS, find_route
from proxy.facts import Ask, Reasoning, Turn, Usage
from proxy.sample_responses import response_events


def asked(**fields: Any) -> Ask:
    return OPENAI_RESPONSES.read(orjson.dumps({"model": "m", **fields})).ask


def test_the_routes_dialects_are_those_of_the_policy_language() -> None:
    assert sorted(one.name for one in DIALECTS) == sorted(facts.DIALECTS)
    assert find_route("POST", "/v1/responses").dialect == "openai_responses"
    assert find_route("GET", "/v1/responses/resp_1").kind == "metered"


def test_every_field_is_read() -> None:
    ask = asked(
        input="hello",
        instructions="Be brief.",
        stream=True,
        max_output_tokens=64,
        temperature=0.5,
        top_p=0.9,
        top_logprobs=5,
        include=["message.output_text.logprobs"],
        reasoning={"effort": "high", "summary": "auto"},
        tools=[{"type": "function", "name": "look_up"}, {"type": "web_search"}],
        user="u-1",
        safety_identifier="s-1",
    )
    assert ask == Ask(
        model="m",
        turns=(Turn("system", "Be brief."), Turn("user", "hello")),
        system="Be brief.",
        stream=True,
        max_output_tokens=64,
        temperature=0.5,
        top_p=0.9,
        logprobs=True,
        top_logprobs=5,
        reasoning=Reasoning("high"),
        tools=("look_up", "web_search"),
        end_user="s-1",
        parameters=ask.parameters,
    )
    assert ask.parameters[:2] == ("model", "input")


@pytest.mark.parametrize(
    ("item", "turn"),
    [
        ({"role": "user", "content": "a"}, Turn("user", "a")),
        (
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "a"}],
            },
            Turn("developer", "a"),
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": "data:…"},
                    {"type": "input_text", "text": "b"},
                ],
            },
            Turn("user", "a\nb"),
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            Turn("assistant", "no"),
        ),
        (
            {"type": "function_call", "name": "f", "arguments": '{"a":1}'},
            Turn("assistant", '{"a":1}'),
        ),
        ({"type": "custom_tool_call", "input": "raw"}, Turn("assistant", "raw")),
        ({"type": "function_call_output", "output": "42"}, Turn("tool", "42")),
        (
            {"type": "function_call_output", "output": [{"type": "input_text", "text": "42"}]},
            Turn("tool", "42"),
        ),
        (
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "first"}]},
            Turn("assistant", "first"),
        ),
        ({"type": "item_reference", "id": "msg_1"}, Turn("assistant", "")),
    ],
)
def test_each_kind_of_item_is_read_as_who_said_what(item: dict[str, Any], turn: Turn) -> None:
    assert asked(input=[item]).turns == (turn,)


def test_instructions_and_developer_messages_are_the_system_prompt() -> None:
    ask = asked(
        instructions="one",
        input=[{"role": "developer", "content": "two"}, {"role": "user", "content": "hi"}],
    )
    assert ask.system == "one\ntwo"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input": 7}, "input"),
        ({"input": ["a"]}, "input[0]"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": 7, "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [7]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"text": 7}]}]}, "input[0].content[0].text"),
        ({"instructions": 7}, "instructions"),
        ({"stream": "yes"}, "stream"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"include": "logprobs"}, "include"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 7}}, "reasoning.effort"),
        ({"tools": [7]}, "tools[0]"),
        ({"user": 7}, "user"),
    ],
)
def test_a_wrong_type_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(UnreadableBody) as raised:
        asked(**fields)
    assert raised.value.reason == "wrong_type"
    assert raised.value.message.startswith(f"{named} must be ")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","input":"a","Input":"b"}',
        b'{"model":"m","input":[{"role":"user","content":"a","Content":"b"}]}',
    ],
)
def test_keys_that_some_upstream_would_read_otherwise_are_refused(body: bytes) -> None:
    with pytest.raises(UnreadableBody) as raised:
        OPENAI_RESPONSES.read(body)
    assert raised.value.reason == "ambiguous_key"


def streamed(*, cut: bool) -> bytes:
    events = response_events("m", ("a", " b", " c"), 7, cut=cut)
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (one["type"].encode(), orjson.dumps(one)) for one in events
    )


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
@pytest.mark.parametrize(("cut", "end"), [(False, "completed"), (True, "max_output_tokens")])
def test_a_streams_usage_is_read_wherever_its_chunks_end(size: int, cut: bool, end: str) -> None:
    whole = streamed(cut=cut)
    reader = OPENAI_RESPONSES.reply_reader(streamed=True)
    passed = b"".join(reader.feed(whole[at : at + size]) for at in range(0, len(whole), size))
    assert passed + reader.finish() == whole
    assert reader.usage == Usage(7, 3, 0, 0)
    assert reader.finish_reason == end


def test_a_stream_that_breaks_off_is_estimated_from_its_deltas() -> None:
    reader = OPENAI_RESPONSES.reply_reader(streamed=True)
    for event in streamed(cut=False).split(b"\n\n")[:6]:
        reader.feed(event + b"\n\n")
    assert reader.usage is None
    assert reader.estimated_output_tokens() == 2
