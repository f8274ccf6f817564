"""What becomes of a request when the upstream fails, at every moment at which it can."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.inside import CHAT, STREAMED, excise_inside, post, read_answer, read_head
from tests.support.raw_upstream import (
    LAST_CHUNK,
    STREAM_HEAD,
    Call,
    chunk,
    plain,
    raw_upstream,
    replying,
)

EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


async def error_of(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    status, _, body = answer
    return status, json.loads(body)["error"]["code"]


async def test_an_upstream_that_is_down_is_a_502_in_the_dialects_format(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1") as excise:
        answer = await excise.exchange(post(CHAT))
        assert await error_of(answer) == (502, "upstream_unreachable")
        event = await excise.log.wait_for()
        assert (event["outcome"], event["level"]) == ("upstream_error", "error")
        assert event["decision"] == "allow"


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (b"", 502, "upstream_reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 502, "upstream_reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 502, "upstream_reset"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", 502, "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 502, "upstream_malformed"),
    ],
)
async def test_a_reply_that_breaks_before_its_first_byte_reached_the_client_is_a_clean_502(
    tmp_path: Path, said: bytes, status: int, code: str
) -> None:
    async def script(call: Call) -> None:
        await call.send(said)
        call.writer.close()

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        assert await error_of(await excise.exchange(post(CHAT))) == (status, code)
        assert (await excise.log.wait_for())["outcome"] == "upstream_error"


async def test_a_stream_that_breaks_off_aborts_the_clients_connection(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        call.reset()

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        reader, _ = await excise.send(post(STREAMED))
        assert (await read_head(reader))[0] == 200
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await read_answer_body(reader)
        event = await excise.log.wait_for()
        assert event["outcome"] == "upstream_error"
        assert event["usage.estimated"] is True
        assert event["gen_ai.usage.output_tokens"] == 1


async def read_answer_body(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


async def test_a_close_without_the_last_chunk_is_no_clean_end(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        call.writer.close()

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        reader, _ = await excise.send(post(STREAMED))
        await read_head(reader)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await read_answer_body(reader)


async def test_a_silent_upstream_is_a_504_after_the_first_byte_timeout(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.hung_up()

    limits = {"first_byte_timeout": 0.2}
    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, upstream=limits) as excise,
    ):
        assert await error_of(await excise.exchange(post(CHAT))) == (504, "upstream_timeout")
        assert (await excise.log.wait_for())["outcome"] == "upstream_timeout"
        call = await upstream.next_call()
        await asyncio.wait_for(call.gone.wait(), 5)


async def test_a_stream_that_falls_silent_is_cut_after_the_idle_timeout(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        await call.hung_up()

    limits = {"idle_timeout": 0.2}
    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, upstream=limits) as excise,
    ):
        reader, _ = await excise.send(post(STREAMED))
        await read_head(reader)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await read_answer_body(reader)
        assert (await excise.log.wait_for())["outcome"] == "upstream_timeout"


async def test_a_malformed_chunk_aborts_the_clients_connection_at_once(tmp_path: Path) -> None:
    relayed = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        await relayed.wait()
        await call.send(b"zz\r\nnot a chunk\r\n")
        await call.hung_up()

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        reader, _ = await excise.send(post(STREAMED))
        await read_head(reader)
        await reader.readuntil(EVENT)
        relayed.set()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"0\r\n\r\n")
        assert (await excise.log.wait_for())["outcome"] == "upstream_error"


async def test_surplus_bytes_of_one_answer_never_reach_the_next_request(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(plain() + plain(b'{"stolen":1}'))

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        for _ in range(3):
            status, _, body = await excise.exchange(post(CHAT))
            assert status == 200
            assert b"stolen" not in body
        assert upstream.connections == 3


async def test_surplus_that_comes_late_cuts_the_pooled_connection(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(plain())
        await call.send(plain(b'{"stolen":1}'))
        await call.hung_up()

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        await excise.exchange(post(CHAT))
        first = await upstream.next_call()
        await asyncio.wait_for(first.gone.wait(), 5)
        _, _, body = await excise.exchange(post(CHAT))
        assert b"stolen" not in body


async def test_a_sound_connection_is_used_again(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        for _ in range(3):
            assert (await excise.exchange(post(CHAT)))[0] == 200
        assert upstream.connections == 1


async def test_chunks_reach_the_client_while_the_stream_goes_on(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        await go_on.wait()
        await call.send(chunk(b"data: [DONE]\n\n") + LAST_CHUNK)

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        reader, writer = await excise.send(post(STREAMED))
        await read_head(reader)
        size = int(await reader.readline(), 16)
        assert (await reader.readexactly(size + 2))[:-2] == EVENT
        go_on.set()
        assert await read_answer_body(reader) == b"data: [DONE]\n\n"
        writer.close()
        assert (await excise.log.wait_for())["outcome"] == "complete"


async def test_an_upstreams_own_error_passes_untouched(tmp_path: Path) -> None:
    said = plain(b'{"error":{"message":"no"}}', b"529 Overloaded", b"retry-after: 7\r\n")
    async with (
        raw_upstream(replying(said)) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        status, headers, body = await excise.exchange(post(CHAT))
        assert (status, headers["retry-after"]) == (529, "7")
        assert body == b'{"error":{"message":"no"}}'


async def test_a_head_request_and_a_304_keep_their_framing(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        if call.request_line.startswith(b"HEAD"):
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        else:
            await call.send(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        reader, writer = await excise.send(
            b"HEAD /v1/models HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        status, headers = await read_head(reader)
        assert (status, headers["content-length"]) == (200, "999")
        status, headers = await read_head(reader)
        assert (status, headers["etag"]) == (304, "x")
        writer.close()


async def test_answers_of_a_pipelining_client_come_in_order(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(plain(call.body))

    bodies = [b'{"model":"%d","messages":[]}' % number for number in range(5)]
    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        reader, writer = await excise.send(b"".join(post(body) for body in bodies))
        got = [(await read_answer(reader))[2] for _ in bodies]
        writer.close()
        assert got == bodies


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 600 Other\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none_is_a_502(tmp_path: Path, answer: bytes) -> None:
    async with (
        raw_upstream(replying(answer)) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        status, _, body = await excise.exchange(post(CHAT))
        assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_malformed")


async def test_a_short_reply_may_take_long_as_long_as_it_goes_on(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.2)  # the pace of a slow upstream: 1.6 s in all
            await call.send(b"x")

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, upstream={"idle_timeout": 1.2}) as excise,
    ):
        assert (await excise.exchange(post(CHAT)))[::2] == (200, b"xxxxxxxx")


async def test_a_reason_phrase_with_control_bytes_is_replaced(tmp_path: Path) -> None:
    answer = plain(status=b"200 fine\x01bad")
    async with (
        raw_upstream(replying(answer)) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        reader, writer = await excise.send(post(CHAT))
        line = await reader.readline()
        assert line == b"HTTP/1.1 200 OK\r\n"
        writer.close()
