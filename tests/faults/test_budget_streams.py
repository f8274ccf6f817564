"""What a stream is charged that its caller leaves midway: by what it has said, in whatever form."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.faults.test_budgets import first, missing, policy
from tests.support.inside import excise_inside, post
from tests.support.raw_upstream import STREAM_HEAD, Call, chunk, raw_upstream

TEXT = "words " * 100
"""150 tokens by its bytes."""

CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chat(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **more}
    return b"data: %b\n\n" % json.dumps({**CHUNK, "choices": [choice]}).encode()


def response(kind: str, delta: str, **more: Any) -> bytes:
    event = {"type": kind, "item_id": "i", "output_index": 0, "delta": delta, **more}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(event).encode())


CHAT = "/v1/chat/completions", {"max_tokens": 3500, "messages": [{"role": "user", "content": "x"}]}
LEGACY = "/v1/completions", {"max_tokens": 3500, "prompt": "x"}
RESPONSES = "/v1/responses", {"max_output_tokens": 3500, "input": "x"}
CALL = {"index": 0, "function": {"arguments": TEXT}}
LEGACY_TEXT = json.dumps({"choices": [{"index": 0, "text": TEXT, "finish_reason": None}]}).encode()
# Twenty candidates for one token: its log probabilities are none of it.
PROBABLE = {"content": [{"token": "word", "top_logprobs": [{"token": "w" * 30}] * 20}]}


@pytest.mark.parametrize(
    ("surface", "piece", "tokens"),
    [
        (CHAT, chat({"content": TEXT}), 150),
        (CHAT, chat({"role": "assistant", "content": None, "reasoning_content": TEXT}), 150),
        (CHAT, chat({"reasoning": TEXT, "reasoning_details": [{"text": TEXT}]}), 150),
        (CHAT, chat({"tool_calls": [CALL]}), 150),
        (CHAT, chat({"content": [{"type": "text", "text": TEXT}]}), 150),
        (CHAT, chat({"content": "four"}, logprobs=PROBABLE), 1),
        (CHAT, chat({"content": "深"}), 1),
        (CHAT, chat({"audio": {"data": "A" * 6000}}), 1),
        (LEGACY, b"data: %b\n\n" % LEGACY_TEXT, 150),
        (RESPONSES, response("response.output_text.delta", TEXT), 150),
        (RESPONSES, response("response.function_call_arguments.delta", TEXT), 150),
        (RESPONSES, response("response.output_text.delta", "four", obfuscation="x" * 90), 1),
    ],
)
async def test_a_stream_left_midway_costs_what_its_pieces_hold(
    tmp_path: Path, surface: tuple[str, dict[str, Any]], piece: bytes, tokens: int
) -> None:
    path, body = surface

    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(piece * 10))
        await call.hung_up()

    async with (
        raw_upstream(first(script)) as upstream,
        excise_inside(tmp_path, upstream.url, policy()) as excise,
    ):
        asked = json.dumps({"model": "m", "stream": True, **body}).encode()
        reader, writer = await excise.send(post(asked, path))
        async with asyncio.timeout(10):
            for _ in range(10):
                await reader.readuntil(piece)
        writer.transport.abort()
        event = await excise.log.wait_for(outcome="client_closed")
        assert tokens * 10 <= event["gen_ai.usage.output_tokens"] <= tokens * 10 + 2
        assert await missing(excise) == event["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize(
    "kind",
    [
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.reasoning_summary_text.delta",
        "response.refusal.delta",
    ],
)
async def test_a_response_left_by_the_sdk_is_paid_whatever_it_is_made_of(
    tmp_path: Path, kind: str
) -> None:
    created = {"type": "response.created", "response": {"id": "r", "object": "response"}}
    begun = b"event: response.created\ndata: %b\n\n" % json.dumps(created).encode()
    piece = response(kind, "word", content_index=0, summary_index=0, sequence_number=1)

    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(begun + piece * 800))
        await call.hung_up()

    async with (
        raw_upstream(first(script)) as upstream,
        excise_inside(tmp_path, upstream.url, policy()) as excise,
        openai.AsyncOpenAI(api_key="k", base_url=f"{excise.url}/v1", max_retries=0) as client,
    ):
        stream = await client.responses.create(
            model="m", input="x", stream=True, max_output_tokens=3000
        )
        taken = 0
        async for event in stream:
            taken += event.type == kind
            if taken == 800:
                break
        await stream.close()
        told = await excise.log.wait_for(outcome="client_closed")
        assert told["gen_ai.usage.output_tokens"] == 800
        assert await missing(excise) == 800
