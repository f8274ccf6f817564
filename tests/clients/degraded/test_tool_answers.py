"""Answers that are calls of tools are cut and paced as texts are; the real SDKs read what is left."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from tests.support.inside import Inside, excise_inside, post
from tests.support.raw_upstream import LAST_CHUNK, STREAM_HEAD, Call, chunk, plain, raw_upstream

BIG = "word " * 2000
MESSAGES: Any = [{"role": "user", "content": "x"}]
TOOLS: dict[str, Any] = {
    "function": [{"type": "function", "function": {"name": "answer", "parameters": {}}}],
    "custom": [{"type": "custom", "custom": {"name": "answer"}}],
}


def policy(taken: str) -> str:
    return f"""
version: 1
keys: {{missing: allow, unknown: allow}}
rules:
  - {{name: d, kind: datacenter_ip, per: account, kinds: [private], action: {{degrade: {taken}}}}}
"""


def message(kind: str) -> dict[str, Any]:
    """One of chat's messages that say much elsewhere than in a text."""
    arguments = json.dumps({"t": BIG})
    function = {"name": "answer", "arguments": arguments}
    return {
        "function_call": {"function_call": function},
        "function": {"tool_calls": [{"id": "1", "type": "function", "function": function}]},
        "custom": {
            "tool_calls": [
                {"id": "1", "type": "custom", "custom": {"name": "answer", "input": BIG}}
            ]
        },
        "parts": {"content": [{"type": "text", "text": BIG}]},
        "details": {"content": "", "reasoning_details": [{"type": "reasoning.text", "text": BIG}]},
        "blocks": {"content": "", "thinking_blocks": [{"type": "thinking", "thinking": BIG}]},
    }[kind]


def item(kind: str) -> dict[str, Any]:
    """One of a response's items."""
    said = {
        "function_call": {"call_id": "c", "name": "a", "arguments": BIG},
        "mcp_call": {"name": "a", "server_label": "s", "arguments": BIG},
        "custom_tool_call": {"call_id": "c", "name": "a", "input": BIG},
        "code_interpreter_call": {"container_id": "c", "code": BIG, "outputs": []},
        "reasoning": {"summary": [{"type": "summary_text", "text": BIG}]},
        "shell_call": {"call_id": "c", "action": {"commands": [BIG]}},
    }[kind]
    return {"type": kind, "id": "i", "status": "completed", **said}


async def answer(call: Call) -> None:
    """What is asked for stands in the model's name."""
    line, body = call.request_line, json.loads(call.body)
    kind = body.get("model", "")
    if b"/v1/messages" in line:
        block = {"type": "tool_use", "id": "t", "name": "answer", "input": {"text": BIG}}
        found = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
        found |= {"content": [block], "stop_reason": "tool_use", "stop_sequence": None}
        found |= {"usage": {"input_tokens": 3, "output_tokens": 2000}}
    elif b"enerateContent" in line:
        call_ = {"functionCall": {"name": "answer", "args": {"text": BIG}}}
        candidate = {"content": {"role": "model", "parts": [call_]}, "index": 0}
        found = {"candidates": [{**candidate, "finishReason": "STOP"}]}
        if b"streamGenerateContent" in line:
            event = b"data: %b\n\n" % json.dumps(found).encode()
            return await call.send(STREAM_HEAD + chunk(event) + LAST_CHUNK)
    elif b"/v1/responses" in line:
        found = {"id": "r", "object": "response", "output": [item(kind)], "status": "completed"}
    else:
        said = {"role": "assistant", "content": None, **message(kind)}
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        found = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        found |= {"choices": [choice]}
    return await call.send(plain(json.dumps(found).encode()))


@pytest.fixture
async def cut(tmp_path: Path) -> AsyncIterator[Inside]:
    async with (
        raw_upstream(answer) as upstream,
        excise_inside(tmp_path, upstream.url, policy("[{cut_after: 5}]")) as excise,
    ):
        yield excise


@pytest.mark.parametrize(
    "kind", ["function_call", "function", "custom", "parts", "details", "blocks"]
)
async def test_a_chat_answer_by_a_tool_is_cut(cut: Inside, kind: str) -> None:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{cut.url}/v1", max_retries=0) as client:
        found = await client.chat.completions.create(
            model=kind, messages=MESSAGES, tools=TOOLS.get(kind, openai.omit)
        )
    (choice,) = found.choices
    assert choice.finish_reason == "length"
    assert 0 < found.model_dump_json().count("word") <= 5


@pytest.mark.parametrize(
    "kind",
    [
        "function_call",
        "mcp_call",
        "custom_tool_call",
        "code_interpreter_call",
        "reasoning",
        "shell_call",
    ],
)
async def test_a_response_by_a_tool_is_cut(cut: Inside, kind: str) -> None:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{cut.url}/v1", max_retries=0) as client:
        found = await client.responses.create(model=kind, input="x")
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"
    assert 0 < found.model_dump_json().count("word") <= 5


async def test_a_message_by_a_tool_is_cut(cut: Inside) -> None:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=cut.url, max_retries=0) as client:
        found = await client.messages.create(model="m", max_tokens=4000, messages=MESSAGES)
    (block,) = found.content
    assert block.type == "tool_use"
    assert found.stop_reason == "max_tokens"
    assert 0 < str(block.input).count("word") <= 5


@pytest.mark.parametrize("streamed", [False, True])
async def test_gemini_by_a_tool_is_cut(cut: Inside, streamed: bool) -> None:
    client = genai.Client(api_key="k", http_options={"base_url": cut.url}).aio
    if streamed:
        stream = await client.models.generate_content_stream(model="m", contents="x")
        (found,) = [one async for one in stream]
    else:
        found = await client.models.generate_content(model="m", contents="x")
    assert found.candidates
    assert found.candidates[0].finish_reason == "MAX_TOKENS"
    assert 0 < found.model_dump_json().count("word") <= 5


PIECE = "word "
DELTAS: dict[str, dict[str, Any]] = {
    "custom": {"tool_calls": [{"index": 0, "type": "custom", "custom": {"input": PIECE}}]},
    "function": {"tool_calls": [{"index": 0, "function": {"arguments": PIECE}}]},
    "parts": {"content": [{"type": "text", "text": PIECE}]},
    "details": {"reasoning_details": [{"type": "reasoning.text", "text": PIECE}]},
    "twice": {"reasoning": PIECE, "reasoning_details": [{"text": PIECE}]},
}


async def streaming(tmp_path: Path, kind: str, taken: str, pieces: int) -> tuple[list[Any], float]:
    """The chunks of a stream, and how long it took."""

    async def script(call: Call) -> None:
        choice = {"index": 0, "delta": DELTAS[kind], "finish_reason": None}
        event = {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}
        data = b"data: %b\n\n" % json.dumps(event).encode()
        await call.send(STREAM_HEAD + chunk(data * pieces + b"data: [DONE]\n\n") + LAST_CHUNK)

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, policy(taken)) as excise,
        openai.AsyncOpenAI(api_key="k", base_url=f"{excise.url}/v1", max_retries=0) as client,
    ):
        began = time.monotonic()
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        found = [one async for one in stream]
        return found, time.monotonic() - began


@pytest.mark.parametrize("kind", DELTAS)
async def test_a_streamed_call_is_cut(tmp_path: Path, kind: str) -> None:
    found, _ = await streaming(tmp_path, kind, "[{cut_after: 5}]", 400)
    assert len(found) == 6
    assert found[-1].choices[0].finish_reason == "length"


@pytest.mark.parametrize("kind", DELTAS)
async def test_a_streamed_call_is_paced(tmp_path: Path, kind: str) -> None:
    """40 tokens at 40 a second, of which the bucket may hold some back at once."""
    found, took = await streaming(tmp_path, kind, "[{pace: 40/second}]", 40)
    assert len(found) == 40
    assert 0.5 < took < 5


RESPONSE_DELTAS = {
    "mcp_call": ("response.mcp_call_arguments.delta", {"arguments": ""}),
    "code_interpreter_call": ("response.code_interpreter_call_code.delta", {"code": ""}),
    "reasoning": ("response.reasoning_summary_text.delta", {"summary": []}),
    "function_call": ("response.function_call_arguments.delta", {"arguments": ""}),
    "shell_call": ("", {"action": {"commands": [BIG]}}),
}


@pytest.mark.parametrize("kind", RESPONSE_DELTAS)
async def test_a_streamed_response_by_a_tool_is_cut_and_holds_what_has_passed(
    tmp_path: Path, kind: str
) -> None:
    name, empty = RESPONSE_DELTAS[kind]
    begun = {"type": kind, "id": "i", "status": "in_progress", **empty}
    at = {"output_index": 0, "item_id": "i", "summary_index": 0}
    part = {"type": "summary_text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "r", "object": "response", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun | {"action": {}}},
        {"type": "response.reasoning_summary_part.added", **at, "part": part},
        *([{"type": name, **at, "delta": PIECE}] * 400 if name else ()),
        {"type": "response.output_item.done", "output_index": 0, "item": begun},
    ]
    if kind != "reasoning":
        del events[2]

    async def script(call: Call) -> None:
        data = b"".join(
            b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode())
            for one in events
        )
        await call.send(STREAM_HEAD + chunk(data) + LAST_CHUNK)

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, policy("[{cut_after: 5}]")) as excise,
        openai.AsyncOpenAI(api_key="k", base_url=f"{excise.url}/v1", max_retries=0) as client,
    ):
        stream = await client.responses.create(model="m", input="x", stream=True)
        found = [one async for one in stream]
    assert [one.type for one in found].count(name) == (5 if name else 0)
    last = found[-1]
    assert last.type == "response.incomplete"
    assert 0 < last.response.model_dump_json().count("word") <= 5
    assert found[-2].type == "response.output_item.done"
    assert found[-2].item.status == "incomplete"


async def test_what_tells_the_tokens_once_more_ends_with_the_answer(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        told = {"content": [{"token": "word ", "logprob": -1, "top_logprobs": []}] * 2000}
        said = {"role": "assistant", "content": BIG}
        choice = {"index": 0, "message": said, "logprobs": told, "finish_reason": "stop"}
        await call.send(plain(json.dumps({"id": "c", "choices": [choice]}).encode()))

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, policy("[{cut_after: 5}]")) as excise,
    ):
        body = json.dumps({"model": "m", "messages": MESSAGES, "logprobs": True}).encode()
        status, _, found = await excise.exchange(post(body, headers=("Authorization: Bearer k",)))
        assert status == 200
        assert found.count(b"word") <= 5
