"""Gemini requests and streams on their way through: byte for byte, at once, with the right credential."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from proxy.client.secret import Secret
from tests.support.inside import excise_inside, post, read_head
from tests.support.raw_upstream import LAST_CHUNK, Call, chunk, plain, raw_upstream, replying

BODY = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
STREAM = "/v1beta/models/m:streamGenerateContent"
ARRAY_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
FIRST = (
    b'[{"candidates":[{"content":{"parts":[{"text":"a"}]}}],'
    b'"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2}}\n'
)
REST = b',\r\n{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":4}}]'


async def test_an_array_streams_pieces_pass_at_once_and_count_as_a_stream(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(ARRAY_HEAD + chunk(FIRST))
        await go_on.wait()
        await call.send(chunk(REST) + LAST_CHUNK)

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        reader, writer = await excise.send(post(BODY, STREAM))
        assert (await read_head(reader))[0] == 200
        await asyncio.wait_for(reader.readuntil(FIRST), 5)
        assert b"excise_open_streams 1.0" in await excise.metrics()
        go_on.set()
        await asyncio.wait_for(reader.readuntil(REST + b"\r\n" + LAST_CHUNK), 5)
        event = await excise.log.wait_for()
        assert event["gen_ai.usage.output_tokens"] == 4
        assert event["gen_ai.usage.input_tokens"] == 9
        assert event["gen_ai.response.finish_reason"] == "STOP"
        writer.close()


async def test_a_caller_who_hangs_up_has_used_what_had_passed(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(ARRAY_HEAD + chunk(FIRST))
        await call.hung_up()

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        reader, writer = await excise.send(post(BODY, STREAM))
        await asyncio.wait_for(reader.readuntil(FIRST), 5)
        writer.close()
        event = await excise.log.wait_for()
        assert event["outcome"] == "client_closed"
        assert event["gen_ai.usage.output_tokens"] == 2


async def test_path_query_and_body_arrive_as_they_were_judged(tmp_path: Path) -> None:
    body = b'{ "contents" : [{"parts":{"text":"hi"}}],\n"generation_config":{"top_p":"0.5"}}'
    async with (
        raw_upstream(replying(plain(b"{}"))) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        target = "/v1beta/models/m-1.5@2:generateContent?key=AIza-k&%24fields=candidates"
        assert (await excise.exchange(post(body, target)))[0] == 200
        call = await upstream.next_call()
    assert call.request_line == f"POST {target} HTTP/1.1".encode()
    assert call.body == body


async def test_our_own_key_takes_the_place_of_the_callers_wherever_it_stands(
    tmp_path: Path,
) -> None:
    secret = "s" * 32
    key_id = Secret(secret.encode()).key_id(b"AIza-caller")
    accounts, own = tmp_path / "accounts.yaml", tmp_path / "own"
    accounts.write_text(f"version: 1\naccounts:\n  - {{account: acme, keys: [{key_id}]}}\n")
    own.write_text("AIza-own\n")
    credential = {"header": "x-goog-api-key", "prefix": "", "file": own}
    settings: dict[str, Any] = {
        "secret": secret,
        "accounts": accounts,
        "upstream": {"credential": credential},
    }
    async with (
        raw_upstream(replying(plain(b"{}"))) as upstream,
        excise_inside(tmp_path, upstream.url, **settings) as excise,
    ):
        target = STREAM + "?alt=sse&key=AIza-caller&%24key=AIza-caller&access_token=AIza-caller"
        assert (await excise.exchange(post(BODY, target)))[0] == 200
        call = await upstream.next_call()
    assert call.request_line == f"POST {STREAM}?alt=sse HTTP/1.1".encode()
    assert call.header(b"x-goog-api-key") == b"AIza-own"
