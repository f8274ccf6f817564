"""The pool over real sockets: what is used again, what is cut, what is never sent twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohappyeyeballs import AddrInfoType

from proxy.edge import upstream_dial, upstream_pool
from proxy.edge.upstream import UpstreamError, UpstreamReply, UpstreamRequest
from proxy.edge.upstream_dial import Dial
from proxy.edge.upstream_pool import POOLED_IDLE_S, UpstreamPool
from proxy.edge.upstream_reply import UNREAD_BYTES, Reply
from tests.support.raw_upstream import STREAM_HEAD, Call, chunk, plain, raw_upstream, replying

UVLOOP_READ = 256 * 1024
"""What uvloop reads at once."""


@asynccontextmanager
async def pool_to(url: str, *, connect_timeout: float = 5.0) -> AsyncIterator[UpstreamPool]:
    pool = UpstreamPool(url, connect_timeout=connect_timeout)
    try:
        yield pool
    finally:
        await asyncio.wait_for(pool.close(), 5)


def asking(
    method: str = "POST", path: str = "/v1/x", body: bytes | None = b"{}"
) -> UpstreamRequest:
    return UpstreamRequest(method, path, "", [(b"X-A", b"1"), (b"x-a", b"2")], body)


async def whole(reply: UpstreamReply) -> bytes:
    parts = []
    try:
        while part := await reply.read():
            parts.append(part)
    finally:
        reply.close()
    return b"".join(parts)


async def ask(pool: UpstreamPool, method: str = "POST", body: bytes | None = b"{}") -> bytes:
    async with asyncio.timeout(10):
        return await whole(await pool.send(asking(method, body=body)))


async def failure(pool: UpstreamPool) -> str:
    with pytest.raises(UpstreamError) as error:
        await ask(pool)
    return error.value.kind


async def left(call: Call) -> None:
    """The proxy closes the connection of this call, sooner than an idle one would be."""
    await asyncio.wait_for(call.gone.wait(), POOLED_IDLE_S / 2)


@contextlib.contextmanager
def socket_of(call: Call) -> Iterator[socket.socket]:
    """The upstream's socket itself, to act on before any event loop has its turn."""
    number = call.writer.get_extra_info("socket").fileno()
    with socket.socket(fileno=os.dup(number)) as own:
        yield own


@contextlib.contextmanager
def deaf_address() -> Iterator[tuple[str, int]]:
    """An address that takes no further connections and does not refuse them either."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address


async def test_the_request_is_written_as_it_was_judged() -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        pool_to(f"{upstream.url}/base/") as pool,
    ):
        reply = await pool.send(
            UpstreamRequest(
                "POST", "/a//b/../%2f", "q=%20&r", [(b"X-B", b"1"), (b"x-b", b"")], b"{}"
            )
        )
        await whole(reply)
        assert (await upstream.next_call()).head == (
            b"POST /base/a//b/../%%2f?q=%%20&r HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"X-B: 1\r\nx-b: \r\nContent-Length: 2" % upstream.port
        )


@pytest.mark.parametrize(
    ("method", "said"),
    [("GET", None), ("OPTIONS", None), ("DELETE", b"0"), ("POST", b"0"), ("PUT", b"0")],
)
async def test_only_methods_that_mean_a_body_say_that_there_is_none(
    method: str, said: bytes | None
) -> None:
    async with raw_upstream(replying(plain())) as upstream, pool_to(upstream.url) as pool:
        await ask(pool, method, None)
        assert (await upstream.next_call()).header(b"content-length") == said


async def test_a_line_break_in_a_head_is_never_sent() -> None:
    async with raw_upstream(replying(plain())) as upstream, pool_to(upstream.url) as pool:
        for headers in ([(b"X-A", b"1\r\nX-B: 2")], [(b"X-A\n", b"1")]):
            with pytest.raises(ValueError, match="line break"):
                await pool.send(UpstreamRequest("GET", "/", "", headers, None))
        assert upstream.connections == 0


async def test_a_body_of_any_size_arrives_whole_and_the_answer_too() -> None:
    async def script(call: Call) -> None:
        await call.send(plain(call.body))

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        for size in (1, 16 * 1024, 16 * 1024 + 1, 5_000_000):
            body = os.urandom(size)
            assert await ask(pool, body=body) == body
        assert upstream.connections == 1


async def test_the_connection_used_last_is_used_first() -> None:
    async with raw_upstream(replying(plain(b"{}"))) as upstream, pool_to(upstream.url) as pool:
        first, second = [await pool.send(asking()) for _ in range(2)]
        await whole(first)
        await whole(second)
        last = upstream.calls[1].writer
        await ask(pool)
        assert upstream.connections == 2
        assert upstream.calls[2].writer is last


async def test_as_many_connections_as_there_are_requests() -> None:
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        await go_on.wait()
        await call.send(plain(b"{}"))

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        asked = [asyncio.create_task(ask(pool)) for _ in range(80)]
        for _ in asked:
            await upstream.next_call()
        go_on.set()
        assert await asyncio.gather(*asked) == [b"{}"] * 80
        assert upstream.connections == 80


async def test_what_has_been_idle_for_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_pool, "POOLED_IDLE_S", 0.1)
    monkeypatch.setattr(upstream_pool, "SWEEP_S", 0.02)

    async def script(call: Call) -> None:
        await call.send(plain(b"{}"))
        if len(upstream.calls) == 1:
            await call.hung_up()

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        await ask(pool)
        await left(await upstream.next_call())
        await ask(pool)
        assert upstream.connections == 2


async def test_a_connection_past_its_time_is_not_taken_even_before_it_is_swept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_pool, "POOLED_IDLE_S", 0.0)
    monkeypatch.setattr(upstream_pool, "SWEEP_S", 60.0)
    async with raw_upstream(replying(plain(b"{}"))) as upstream, pool_to(upstream.url) as pool:
        await ask(pool)
        await ask(pool)
        assert upstream.connections == 2


def say_more(own: socket.socket) -> None:
    own.send(plain(b'{"stolen":1}'))


def say_a_line_break(own: socket.socket) -> None:
    own.send(b"\r\n")


def leave(own: socket.socket) -> None:
    own.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("act", [say_more, say_a_line_break, leave])
async def test_what_happened_on_an_idle_connection_is_seen_before_a_request_is_written(
    act: Callable[[socket.socket], None],
) -> None:
    async with raw_upstream(replying(plain(b"{}"))) as upstream, pool_to(upstream.url) as pool:
        await ask(pool)
        with socket_of(upstream.calls[0]) as own:
            act(own)  # and no event loop runs until the next request is on its way
            assert await ask(pool) == b"{}"
        assert (upstream.connections, len(upstream.calls)) == (2, 2)


async def test_surplus_cuts_the_connection() -> None:
    async def script(call: Call) -> None:
        await call.send(plain(b"{}") + plain(b'{"stolen":1}'))
        await call.hung_up()

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        for number in range(1, 4):
            assert await ask(pool) == b"{}"
            assert upstream.connections == number
        for call in upstream.calls:
            await left(call)


async def test_an_upstream_that_wants_no_more_requests_gets_none() -> None:
    said = plain(b"{}", headers=b"Connection: close\r\n")
    async with raw_upstream(replying(said)) as upstream, pool_to(upstream.url) as pool:
        await ask(pool)
        await ask(pool)
        assert upstream.connections == 2


async def test_two_requests_never_share_a_connection_however_often_a_reply_is_closed() -> None:
    async with raw_upstream(replying(plain(b"{}"))) as upstream, pool_to(upstream.url) as pool:
        first = await pool.send(asking())
        first.close()
        first.close()
        await asyncio.gather(ask(pool), ask(pool))
        assert upstream.connections == 2


async def test_what_came_before_a_broken_chunk_is_passed_on_before_it_is_told() -> None:
    said = STREAM_HEAD + chunk(b"one") + b"zz\r\n"
    async with raw_upstream(replying(said)) as upstream, pool_to(upstream.url) as pool:
        reply = await pool.send(asking())
        assert (reply.status, await reply.read()) == (200, b"one")
        with pytest.raises(UpstreamError, match="malformed"):
            await whole(reply)


async def test_what_broke_before_its_first_byte_was_never_an_answer() -> None:
    async with (
        raw_upstream(replying(STREAM_HEAD + b"zz\r\n")) as upstream,
        pool_to(upstream.url) as pool,
    ):
        with pytest.raises(UpstreamError, match="malformed"):
            await pool.send(asking())


async def test_what_went_out_once_is_never_sent_again() -> None:
    async def script(call: Call) -> None:
        if len(upstream.calls) == 2:
            call.writer.close()
        else:
            await call.send(plain(b"{}"))

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        await ask(pool)
        assert await failure(pool) == "reset"
        assert (upstream.connections, len(upstream.calls)) == (1, 2)
        assert await ask(pool) == b"{}"


async def test_an_upstream_that_resets_is_a_reset() -> None:
    async def script(call: Call) -> None:
        call.reset()

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        assert await failure(pool) == "reset"


async def test_head_leaves_the_connection_fit_for_the_next_request() -> None:
    async def script(call: Call) -> None:
        said = plain(b"{}")
        await call.send(said[:-2] if call.request_line.startswith(b"HEAD") else said)

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        for _ in range(2):
            reply = await pool.send(asking("HEAD", body=None))
            assert (reply.length, await whole(reply)) == (2, b"")
            assert await ask(pool) == b"{}"
        assert upstream.connections == 1


async def test_a_body_until_the_end_of_the_connection() -> None:
    async def script(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        call.writer.close()

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        for number in (1, 2):
            assert await ask(pool) == b"x" * 100_000
            assert upstream.connections == number


async def test_a_reset_does_not_end_such_a_body() -> None:
    async def script(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await call.hung_up()

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        reply = await pool.send(asking())
        assert await reply.read() == b"half"
        with socket_of(upstream.calls[0]) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            upstream.calls[0].reset()
        with pytest.raises(UpstreamError, match="reset"):
            await asyncio.wait_for(whole(reply), 5)


@asynccontextmanager
async def answering_heads(
    said: bytes,
) -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """An upstream that answers before any body: (URL, set it to let it read on, the proxy has left)."""
    go_on, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(said)
            await go_on.wait()
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            while await reader.read(65536):
                pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", go_on, gone
        finally:
            go_on.set()


async def test_an_answer_before_the_whole_request_is_heard_and_the_connection_cut() -> None:
    said = plain(b"{}", b"413 Content Too Large")
    async with answering_heads(said) as (url, go_on, gone), pool_to(url) as pool:
        reply = await asyncio.wait_for(pool.send(asking(body=b"x" * 50_000_000)), 10)
        assert (reply.status, await whole(reply)) == (413, b"{}")
        go_on.set()  # it reads what was written, and must find the end behind it
        await asyncio.wait_for(gone.wait(), POOLED_IDLE_S / 2)


async def test_a_reader_that_rests_stops_the_upstream() -> None:
    async def script(call: Call) -> None:
        part = chunk(b"x" * 65536)
        with contextlib.suppress(ConnectionError):
            await call.send(STREAM_HEAD)
            for _ in range(400):
                await call.send(part)
            await call.send(b"0\r\n\r\n")

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        reply = await pool.send(asking())
        assert isinstance(reply, Reply)
        async with asyncio.timeout(10):
            while reply.unread <= UNREAD_BYTES:  # noqa: ASYNC110 -- nobody is told that it rests
                await asyncio.sleep(0)
            for _ in range(300):
                await asyncio.sleep(0)
                assert reply.unread <= UNREAD_BYTES + UVLOOP_READ
            assert len(await whole(reply)) == 400 * 65536
        await upstream.next_call()
        assert len(upstream.calls) == 1


@pytest.mark.parametrize("said", [b"", STREAM_HEAD, STREAM_HEAD + chunk(b"x" * 100)])
async def test_who_gives_up_cuts_the_connection(said: bytes) -> None:
    async def script(call: Call) -> None:
        await call.send(said)
        await call.hung_up()

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        asked = asyncio.create_task(ask(pool))
        call = await upstream.next_call()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await left(call)


async def test_a_reply_that_is_closed_before_its_end_cuts_the_connection() -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(b"x"))
        await call.hung_up()

    async with raw_upstream(script) as upstream, pool_to(upstream.url) as pool:
        reply = await pool.send(asking())
        reply.close()
        reply.close()
        assert await reply.read() in {b"x", b""}
        await left(await upstream.next_call())


async def test_a_whole_reply_that_nobody_read_gives_its_connection_back() -> None:
    async with raw_upstream(replying(plain(b"{}"))) as upstream, pool_to(upstream.url) as pool:
        for _ in range(3):
            (await pool.send(asking())).close()
        assert upstream.connections == 1


async def test_closing_the_pool_ends_idle_connections_and_those_at_work() -> None:
    async def script(call: Call) -> None:
        if call.request_line.startswith(b"GET"):
            await call.send(plain(b"{}"))
        await call.hung_up()

    async with raw_upstream(script) as upstream:
        async with pool_to(upstream.url) as pool:
            asked = asyncio.create_task(failure(pool))
            busy = await upstream.next_call()
            await ask(pool, "GET", None)
            idle = await upstream.next_call()
        assert await asked == "reset"
        for call in (busy, idle):
            await left(call)


async def test_a_reply_that_outlives_the_pool_leaves_no_connection_behind() -> None:
    async def script(call: Call) -> None:
        await call.send(plain(b"{}"))
        await call.hung_up()

    async with raw_upstream(script) as upstream:
        async with pool_to(upstream.url) as pool:
            reply = await pool.send(asking())
        assert await whole(reply) == b"{}"
        await left(await upstream.next_call())


async def test_one_that_speaks_before_it_is_asked_is_no_http_upstream() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, pool_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as pool:
        assert await failure(pool) == "malformed"


async def test_a_port_that_refuses_is_unreachable() -> None:
    async with pool_to("http://127.0.0.1:1") as pool:
        assert await failure(pool) == "unreachable"


async def test_a_port_that_never_takes_the_connection_is_unreachable_in_time() -> None:
    with deaf_address() as (host, port):
        async with pool_to(f"http://{host}:{port}", connect_timeout=0.2) as pool:
            assert await asyncio.wait_for(failure(pool), 5) == "unreachable"


async def test_a_name_that_cannot_be_looked_up_is_unreachable() -> None:
    async with pool_to(f"http://{'a' * 64}.test:80") as pool:
        assert await failure(pool) == "unreachable"


async def test_one_deaf_address_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw_upstream(replying(plain(b"{}"))) as upstream:
        with deaf_address() as deaf:

            async def both(_: Dial) -> list[AddrInfoType]:
                kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
                return [(*kinds, deaf), (*kinds, ("127.0.0.1", upstream.port))]

            monkeypatch.setattr(Dial, "_ask", both)
            monkeypatch.setattr(upstream_dial, "ATTEMPT_DELAY_S", 0.01)
            async with pool_to("http://two.test:1") as pool:
                assert await ask(pool) == b"{}"


async def test_a_burst_of_connections_is_one_question_to_dns_and_a_failure_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0
    target = ("127.0.0.1", 1)

    async def count(_: Dial) -> list[AddrInfoType]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", target)]

    monkeypatch.setattr(Dial, "_ask", count)
    async with raw_upstream(replying(plain(b"{}"))) as upstream, pool_to("http://x.test") as pool:
        assert await asyncio.gather(*(failure(pool) for _ in range(5))) == ["unreachable"] * 5
        assert asked == 1
        target = ("127.0.0.1", upstream.port)
        assert await asyncio.gather(*(ask(pool) for _ in range(5))) == [b"{}"] * 5
        assert asked == 2


@asynccontextmanager
async def gated_names(patch: pytest.MonkeyPatch, port: int) -> AsyncIterator[asyncio.Event]:
    """Names are looked up once the event is set."""
    gate = asyncio.Event()

    async def ask_late(_: Dial) -> list[AddrInfoType]:
        await gate.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    patch.setattr(Dial, "_ask", ask_late)
    yield gate


async def test_who_leaves_takes_nobody_elses_question_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        raw_upstream(replying(plain(b"{}"))) as upstream,
        gated_names(monkeypatch, upstream.port) as gate,
        pool_to("http://x.test") as pool,
    ):
        leaving, staying = [asyncio.create_task(ask(pool)) for _ in range(2)]
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.set()
        assert await staying == b"{}"


async def test_a_connection_that_comes_after_the_end_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        raw_upstream(replying(plain(b"{}"))) as upstream,
        gated_names(monkeypatch, upstream.port) as gate,
        pool_to("http://x.test") as pool,
    ):
        asked = asyncio.create_task(failure(pool))
        await asyncio.sleep(0)
        await pool.close()
        gate.set()
        assert await asked == "reset"
        assert upstream.calls == []


async def test_a_name_is_looked_up_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_dial, "ADDRESSES_S", -1.0)
    async with (
        raw_upstream(replying(plain(b"{}"))) as old,
        raw_upstream(replying(plain(b"[]"))) as new,
    ):
        ports = iter((old.port, new.port))

        async def move(_: Dial) -> list[AddrInfoType]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", next(ports)))]

        monkeypatch.setattr(Dial, "_ask", move)
        async with pool_to("http://x.test") as pool:
            first, second = [await pool.send(asking()) for _ in range(2)]
            assert (await whole(first), await whole(second)) == (b"{}", b"[]")


async def test_all_addresses_of_a_name_get_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        raw_upstream(replying(plain(b"{}"))) as one,
        raw_upstream(replying(plain(b"{}"))) as other,
    ):

        async def both(_: Dial) -> list[AddrInfoType]:
            kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kinds, ("127.0.0.1", upstream.port)) for upstream in (one, other)]

        monkeypatch.setattr(Dial, "_ask", both)
        async with pool_to("http://two.test") as pool:
            for reply in [await pool.send(asking()) for _ in range(4)]:
                reply.close()
        assert (one.connections, other.connections) == (2, 2)


async def test_an_upstream_on_ipv6() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(plain(b"{}"))
        await reader.read()
        writer.close()

    heads: list[bytes] = []
    try:
        server = await asyncio.start_server(serve, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    port = server.sockets[0].getsockname()[1]
    async with server, pool_to(f"http://[::1]:{port}") as pool:
        assert await ask(pool, "GET", None) == b"{}"
    assert heads[0].startswith(b"GET /v1/x HTTP/1.1\r\nHost: [::1]:%d\r\n" % port)
