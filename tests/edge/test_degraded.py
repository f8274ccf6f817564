"""Degraded replies on real sockets: pace, cuts, what cannot be read, and who leaves meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.inside import CHAT, STREAMED, Inside, excise_inside, post, read_head
from tests.support.raw_upstream import (
    LAST_CHUNK,
    OK,
    STREAM_HEAD,
    Call,
    chunk,
    plain,
    raw_upstream,
    replying,
)


def policy(taken: str, more: str = "") -> str:
    return f"""
version: 1
keys: {{missing: allow, unknown: allow}}
{more}
rules:
  - name: lesser
    kind: datacenter_ip
    per: address
    kinds: [private]
    action: {{degrade: {taken}}}
"""


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c", "choices": [choice]}).encode()


async def answer(excise: Inside, data: bytes) -> tuple[int, dict[str, str], bytes]:
    return await excise.exchange(data)


@pytest.mark.parametrize("taken", ["hide_reasoning", "strip_logprobs", "{cut_after: 9}"])
async def test_a_compressed_reply_does_not_slip_through(tmp_path: Path, taken: str) -> None:
    squeezed = plain(gzip.compress(OK), headers=b"Content-Encoding: gzip\r\n")
    async with (
        raw_upstream(replying(squeezed)) as upstream,
        excise_inside(tmp_path, upstream.url, policy(taken)) as excise,
    ):
        headers = ("Accept-Encoding: gzip, br",)
        status, _, body = await answer(excise, post(CHAT, headers=headers))
        assert status == 502
        assert b"upstream_unreadable" in body
        assert upstream.calls[0].header(b"accept-encoding") == b"identity"
        told = await excise.log.wait_for()
        assert told["outcome"] == "upstream_error"


async def test_a_request_alone_leaves_a_compressed_reply_in_peace(tmp_path: Path) -> None:
    squeezed = plain(gzip.compress(OK), headers=b"Content-Encoding: gzip\r\n")
    async with (
        raw_upstream(replying(squeezed)) as upstream,
        excise_inside(tmp_path, upstream.url, policy("{cap_output_tokens: 9}")) as excise,
    ):
        status, headers, body = await answer(excise, post(CHAT))
        assert (status, gzip.decompress(body)) == (200, OK)
        assert headers["x-excise-modified"] == "max_completion_tokens"
        assert json.loads(upstream.calls[0].body)["max_completion_tokens"] == 9


async def test_a_reply_that_cannot_be_read_does_not_slip_through(tmp_path: Path) -> None:
    broken = b'{"choices":[{"message":{"reasoning":"why"'
    async with (
        raw_upstream(replying(plain(broken))) as upstream,
        excise_inside(tmp_path, upstream.url, policy("hide_reasoning")) as excise,
    ):
        status, _, body = await answer(excise, post(CHAT))
        assert status == 502
        assert b"why" not in body


async def test_events_that_cannot_be_read_are_dropped(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        bad = b'data: {"choices":[{"delta":{"reasoning":"why"}\n\n'
        parts = [b": ping\n\n", bad, event({"content": "hi"}), b"data: [DONE]\n\n"]
        await call.send(STREAM_HEAD + b"".join(map(chunk, parts)) + LAST_CHUNK)

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, policy("hide_reasoning")) as excise,
    ):
        status, _, body = await answer(excise, post(STREAMED))
        assert status == 200
        assert b"why" not in body
        assert body == b": ping\n\n" + event({"content": "hi"}) + b"data: [DONE]\n\n"


async def test_errors_of_the_upstream_pass(tmp_path: Path) -> None:
    error = gzip.compress(b'{"error":{}}')
    reply = plain(error, b"429 Too Many", b"Content-Encoding: gzip\r\n")
    async with (
        raw_upstream(replying(reply)) as upstream,
        excise_inside(tmp_path, upstream.url, policy("hide_reasoning")) as excise,
    ):
        status, _, body = await answer(excise, post(CHAT))
        assert (status, body) == (429, error)


async def test_a_cut_closes_the_upstream_at_once(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD)
        for _ in range(4):
            await call.send(chunk(event({"content": "word "})))
        await call.hung_up()
        gone.set()

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, policy("{cut_after: 3}")) as excise,
    ):
        status, headers, body = await answer(excise, post(STREAMED))
        assert status == 200
        assert headers["x-excise-modified"] == "output"
        assert body.count(b"word ") == 3
        assert body.endswith(b"data: [DONE]\n\n")
        async with asyncio.timeout(5):
            await gone.wait()
        told = await excise.log.wait_for()
        assert told["gen_ai.usage.output_tokens"] == 3
        assert told["outcome"] == "complete"


async def test_a_paced_stream_stops_reading_and_outlives_the_idle_limit(tmp_path: Path) -> None:
    """Our own pauses are no silence; and what the upstream has ready waits with the upstream."""
    sent = 0
    padding = b": " + b"x" * 65_000 + b"\n\n"

    async def script(call: Call) -> None:
        nonlocal sent
        await call.send(STREAM_HEAD)
        for _ in range(400):
            await call.send(chunk(event({"content": "w "}) + padding))
            sent += 1
        await call.send(LAST_CHUNK)

    async with (
        raw_upstream(script) as upstream,
        excise_inside(
            tmp_path,
            upstream.url,
            policy("{pace: 2/second}"),
            upstream={"idle_timeout": 0.2},
        ) as excise,
    ):
        reader, writer = await excise.send(post(STREAMED))
        await read_head(reader)
        began = time.monotonic()
        seen = b""
        while seen.count(b'"w "') < 4:
            seen += await reader.read(65536)
        assert time.monotonic() - began > 1.0
        assert sent < 300  # 26 MB in all: they stand in the sockets, not in our memory
        writer.close()
        told = await excise.log.wait_for()
        assert told["outcome"] == "client_closed"
        assert told["degraded"] == ["pace"]


async def test_a_client_that_leaves_a_held_reply_ends_it_at_once(tmp_path: Path) -> None:
    usage = OK.replace(b'"completion_tokens":2', b'"completion_tokens":2000')
    async with (
        raw_upstream(replying(plain(usage))) as upstream,
        excise_inside(tmp_path, upstream.url, policy("{pace: 1/second}")) as excise,
    ):
        _, writer = await excise.send(post(CHAT))
        await upstream.next_call()
        writer.transport.abort()
        told = await excise.log.wait_for()
        assert told["outcome"] == "client_closed"
        assert told["duration_ms"] < 5000


async def test_shadow_and_watching_take_nothing(tmp_path: Path) -> None:
    words = policy("[hide_reasoning, {cap_output_tokens: 9}]", "mode: shadow")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, words) as excise,
    ):
        _, headers, body = await answer(excise, post(CHAT))
        assert body == OK
        assert upstream.calls[0].body == CHAT
        assert "x-excise-modified" not in headers
        told = await excise.log.wait_for()
        assert told["would_degrade"] == ["hide_reasoning", "cap_output_tokens: 9"]
        assert "degraded" not in told


async def test_nothing_is_said_where_the_policy_says_so(tmp_path: Path) -> None:
    words = policy("{cap_output_tokens: 9}", "disclose: none")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, words) as excise,
    ):
        _, headers, _ = await answer(excise, post(CHAT))
        assert "x-excise-modified" not in headers
        assert b"max_completion_tokens" in upstream.calls[0].body
        assert b'excise_degraded_total{what="cap_output_tokens"} 1.0' in await excise.metrics()


async def test_what_was_let_through_unread_is_refused_once_it_should_be_degraded(
    tmp_path: Path,
) -> None:
    words = policy("{cap_output_tokens: 9}", "uninspectable: allow")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, words) as excise,
    ):
        status, _, body = await answer(excise, post(b'{"model":"m","model":"n"}'))
        assert status == 400
        assert b"undegradable" in body
        assert upstream.calls == []


async def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    odd = (
        b'{"model":"m","n":2,"seed":123456789012345678901234567890,"top_p":0.10000000000000000001,'
    )
    odd += b'"temperature":1e0,"messages":[]}'
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy("single_choice")) as excise,
    ):
        await answer(excise, post(odd))
        assert upstream.calls[0].body == odd.replace(b'"n":2', b'"n":1')


async def test_a_stored_response_is_degraded_too(tmp_path: Path) -> None:
    stored = (
        b'{"object":"response","output":[{"type":"reasoning","id":"r","summary":[{"text":"why"}]}]}'
    )
    async with (
        raw_upstream(replying(plain(stored))) as upstream,
        excise_inside(tmp_path, upstream.url, policy("hide_reasoning")) as excise,
    ):
        asked = b"GET /v1/responses/resp_1 HTTP/1.1\r\nHost: x\r\n\r\n"
        status, _, body = await answer(excise, asked)
        assert status == 200
        assert json.loads(body)["output"] == [{"type": "reasoning", "id": "r", "summary": []}]


async def test_each_line_of_an_uploaded_batch_is_lowered(tmp_path: Path) -> None:
    line = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":%b}'
    lines = b"\n".join([line % CHAT, line % CHAT.replace(b'"m"', b'"m","n":3')])
    form = (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n'
        + lines
        + b"\r\n--b--\r\n"
    )
    got = bytearray()

    async def script(call: Call) -> None:
        while not got.endswith(b"0\r\n\r\n"):
            got.extend(await call.reader.read(65536))
        await call.send(plain(b'{"id":"file-1"}'))

    head = (
        b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    )
    head += b"Content-Length: %d\r\n\r\n" % len(form)
    async with (
        raw_upstream(script) as upstream,
        excise_inside(
            tmp_path, upstream.url, policy("[single_choice, {cap_output_tokens: 9}]")
        ) as excise,
    ):
        status, _, _ = await answer(excise, head + form)
        assert status == 200
        assert got.count(b'"max_completion_tokens":9') == 2
        assert b'"n":1' in got
        assert b'"n":3' not in got
        told = await excise.log.wait_for()
        assert set(told["degraded"]) == {"n", "max_completion_tokens"}
