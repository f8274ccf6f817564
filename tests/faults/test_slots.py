"""The slots of `concurrency` are free again whatever becomes of a request, and last as long as it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.forwarding import Forwarding
from tests.redis_servers import RedisServer, wait_until
from tests.redis_servers import redis_server as start_redis
from tests.support.inside import CHAT, STREAMED, Inside, excise_inside, post, read_head
from tests.support.raw_upstream import (
    LAST_CHUNK,
    STREAM_HEAD,
    Call,
    RawUpstream,
    chunk,
    plain,
    raw_upstream,
)

EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
ONE = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: one, kind: concurrency, per: address, slots: 1, lease: 5s, action: throttle}
"""
SECRET = "0123456789abcdef0123456789abcdef"


@asynccontextmanager
async def ended(
    folder: Path, script: Callable[[Call], Awaitable[None]], more: str = "", **settings: object
) -> AsyncIterator[tuple[Inside, RawUpstream]]:
    """The first request is answered by `script`, all others in full; at the end a slot must be free."""
    seen: list[Call] = []

    async def serve(call: Call) -> None:
        seen.append(call)
        await (script(call) if len(seen) == 1 else call.send(plain()))

    async with (
        raw_upstream(serve) as upstream,
        excise_inside(folder, upstream.url, ONE + more, **settings) as excise,
    ):
        yield excise, upstream
        assert (await excise.exchange(post(CHAT)))[0] == 200


async def whole(call: Call) -> None:
    await call.send(plain())


async def hanging(call: Call) -> None:
    await call.hung_up()


async def streaming(call: Call) -> None:
    await call.send(STREAM_HEAD + chunk(EVENT))
    await call.hung_up()


async def test_while_a_request_lasts_its_slot_is_taken(tmp_path: Path) -> None:
    async with ended(tmp_path, streaming) as (excise, _):
        reader, writer = await excise.send(post(STREAMED))
        await reader.readuntil(EVENT)
        status, headers, _ = await excise.exchange(post(CHAT))
        assert (status, headers["retry-after"]) == (429, "1")
        event = await excise.log.wait_for(decision="throttle")
        assert event["evidence"] == {
            "subject": "address",
            "slots": 1,
            "held": 1,
            "retry_after_s": 1.0,
        }
        writer.close()
        await excise.log.wait_for(outcome="client_closed")


async def test_after_a_whole_answer(tmp_path: Path) -> None:
    async with ended(tmp_path, whole) as (excise, _):
        assert (await excise.exchange(post(CHAT)))[0] == 200


async def test_after_a_client_that_left_before_the_first_byte(tmp_path: Path) -> None:
    async with ended(tmp_path, hanging) as (excise, upstream):
        _, writer = await excise.send(post(CHAT))
        await upstream.next_call()
        writer.close()
        await excise.log.wait_for(outcome="client_closed")


async def test_after_an_upstream_that_broke_off(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        call.reset()

    async with ended(tmp_path, script) as (excise, _):
        reader, _ = await excise.send(post(STREAMED))
        await read_head(reader)
        await excise.log.wait_for(outcome="upstream_error")


async def test_after_an_upstream_that_took_too_long(tmp_path: Path) -> None:
    timeouts = {"first_byte_timeout": 0.3}
    async with ended(tmp_path, hanging, upstream=timeouts) as (excise, _):
        assert (await excise.exchange(post(CHAT)))[0] == 504


async def test_after_an_upstream_that_cannot_be_reached(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1", ONE) as excise:
        for _ in range(3):
            assert (await excise.exchange(post(CHAT)))[0] == 502


async def test_after_a_refusal_by_another_rule(tmp_path: Path) -> None:
    more = "  - {name: not-x, kind: rate_limit, per: address, match: {model: [x]}, limit: 1/hour,"
    more += " burst: 1, action: block}\n"
    async with ended(tmp_path, whole, more) as (excise, _):
        body = CHAT.replace(b'"m"', b'"x"')
        assert (await excise.exchange(post(body)))[0] == 200
        for _ in range(3):
            assert (await excise.exchange(post(body)))[0] == 403


async def test_after_a_body_that_nobody_can_read(tmp_path: Path) -> None:
    async with ended(tmp_path, whole) as (excise, _):
        for _ in range(3):
            assert (await excise.exchange(post(b"{")))[0] == 400
        assert (await excise.exchange(post(CHAT)))[0] == 200


async def test_after_a_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("after all was counted")

    async with ended(tmp_path, whole) as (excise, _):
        with monkeypatch.context() as patched:
            patched.setattr(Forwarding, "of", broken)
            for _ in range(3):
                assert (await excise.exchange(post(CHAT)))[0] == 500


async def test_after_a_client_that_left_while_it_was_held_back(tmp_path: Path) -> None:
    """And while it is held, its slot is taken."""
    more = "  - {name: slow, kind: rate_limit, per: address, match: {model: [x]}, limit: 6/minute,"
    more += " burst: 1, action: {delay: {at_most: 30s, then: throttle}}}\n"
    async with ended(tmp_path, whole, more) as (excise, upstream):
        body = CHAT.replace(b'"m"', b'"x"')
        assert (await excise.exchange(post(body)))[0] == 200
        _, writer = await excise.send(post(body))
        async with asyncio.timeout(5):
            while b"\nexcise_delayed_requests 1.0\n" not in await excise.metrics():
                pass
        assert (await excise.exchange(post(CHAT)))[0] == 429
        writer.close()
        await excise.log.wait_for(outcome="client_closed")
        assert len(upstream.calls) == 1


async def test_a_batch_is_one_request_and_so_is_an_upload(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}]
    params = {"model": "m", "max_tokens": 5, "messages": turns}
    batch = {"requests": [{"custom_id": str(one), "params": params} for one in range(20)]}
    line = {
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": turns},
    }
    lines = b"".join(
        json.dumps({"custom_id": str(one), **line}).encode() + b"\n" for one in range(20)
    )
    form = (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        + lines
        + b"\r\n--b--\r\n"
    )
    async with ended(tmp_path, whole) as (excise, _):
        path = "/v1/messages/batches"
        assert (await excise.exchange(post(json.dumps(batch).encode(), path)))[0] == 200
        upload = b"POST /v1/files HTTP/1.1\r\nHost: x\r\n"
        upload += b"Content-Type: multipart/form-data; boundary=b\r\n"
        upload += b"Content-Length: %d\r\n\r\n" % len(form)
        assert (await excise.exchange(upload + form))[0] == 200


async def test_after_a_drain_that_cuts_a_stream_the_store_holds_no_slot(tmp_path: Path) -> None:
    async def serve(call: Call) -> None:
        await streaming(call)

    with start_redis() as redis:
        shared = {"redis_url": redis.url, "secret": SECRET}
        async with raw_upstream(serve) as upstream:
            async with excise_inside(
                tmp_path, upstream.url, ONE, drain={"grace": 0.1}, **shared
            ) as excise:
                reader, _ = await excise.send(post(STREAMED))
                await reader.readuntil(EVENT)
                assert holders(redis) == 1
            assert holders(redis) == 0


def holders(redis: RedisServer) -> int:
    """Leases that the store holds, ended or not."""
    with redis.client() as client:
        keys = [key for key in client.keys("*one:*") if client.type(key) == "zset"]
        return sum(int(client.zcard(key)) - 1 for key in keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("store", ["redis", "gone"])
async def test_a_stream_that_outlasts_its_lease_keeps_its_slot(tmp_path: Path, store: str) -> None:
    """With the store gone, in the replica's own memory."""
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        await go_on.wait()
        await call.send(chunk(EVENT) + LAST_CHUNK)

    with start_redis() as redis:
        shared = {"redis_url": redis.url, "secret": SECRET}
        async with ended(tmp_path, script, **shared) as (excise, _):
            if store == "gone":
                redis.stop()
            reader, writer = await excise.send(post(STREAMED))
            await reader.readuntil(EVENT)
            end = asyncio.get_running_loop().time() + 7.0
            while asyncio.get_running_loop().time() < end:
                # Each asks the real clock's question anew: is the slot still taken?
                assert (await excise.exchange(post(CHAT)))[0] == 429
                await asyncio.sleep(0.2)
            go_on.set()
            await reader.readuntil(b"0\r\n\r\n")
            writer.close()
            await excise.log.wait_for(outcome="complete", **{"http.response.status_code": 200})


async def test_a_store_that_has_forgotten_learns_who_holds_slots(tmp_path: Path) -> None:
    with start_redis() as redis:
        shared = {"redis_url": redis.url, "secret": SECRET}
        async with ended(tmp_path, streaming, **shared) as (excise, _):
            reader, writer = await excise.send(post(STREAMED))
            await reader.readuntil(EVENT)
            redis.restart()
            again = "the lease is taken again"
            await asyncio.to_thread(wait_until, lambda: holders(redis) == 1, again)
            assert (await excise.exchange(post(CHAT)))[0] == 429
            writer.close()
            await excise.log.wait_for(outcome="client_closed")
