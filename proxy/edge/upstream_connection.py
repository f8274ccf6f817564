"""
One connection to the upstream: writes one request at a time and takes its reply apart as it arrives.

llhttp (through httptools) reads the bytes, strictly; what it leaves to its user is decided here: which
answers are none, where an answer ends without a length, and that nothing after it is ever believed.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.edge.upstream import FailureKind, UpstreamError
from proxy.head import RawHeaders

UNREAD_BYTES = 256 * 1024
"""Reply bytes that may wait for a slow client before we stop reading from the upstream."""

JOINED_BYTES = 16 * 1024
"""Bodies up to here are copied behind their head, which is cheaper than two pieces on the wire."""

MAX_INTERIM = 16
"""Interim answers (1xx) before the answer proper; a real upstream sends one or two."""

_BODILESS = frozenset({204, 304})
_FIRST_BYTE = b"H"[0]


class _NoAnswer(Exception):  # noqa: N818 -- never leaves the parser, which wraps what callbacks raise
    """Well-formed for the parser, and still nothing that could be passed on."""


class Reply:
    """A reply whose head has arrived; one reader. `close` always."""

    __slots__ = (
        "_connection",
        "_parts",
        "_unread",
        "failure",
        "headers",
        "length",
        "over",
        "reason",
        "status",
    )

    def __init__(self, connection: UpstreamConnection) -> None:
        self._connection: UpstreamConnection | None = connection
        self._parts: list[bytes] = []
        self._unread = 0
        self.status = 0
        self.reason = ""
        self.headers: RawHeaders = ()
        self.length: int | None = None
        self.over = False
        """Nothing more will come: the body is complete or `failure` says why not."""
        self.failure: FailureKind | None = None

    async def read(self) -> bytes:
        """The next bytes as soon as there are any; b"" at the end. Raises UpstreamError."""
        parts = self._parts
        connection = self._connection
        while not parts:
            if self.failure is not None:
                raise UpstreamError(self.failure)
            if self.over or connection is None:
                return b""
            await connection.arrival()
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._unread = 0
        if connection is not None:
            connection.resume()
        return data

    def close(self) -> None:
        """Give the connection back after a complete body; otherwise cut it at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release(sound=self.over and self.failure is None)

    def add(self, data: bytes) -> bool:
        """Keep a part of the body; True where more waits than should."""
        self._parts.append(data)
        self._unread += len(data)
        return self._unread > UNREAD_BYTES

    def end(self, failure: FailureKind | None = None) -> None:
        """Nothing more will come."""
        self.over = True
        self.failure = failure


class UpstreamConnection(asyncio.Protocol):
    """
    A transport's protocol, and what httptools calls back (`on_…`).

    `put_back` is called when an answer has ended well and the connection can carry another request,
    `lost` once when it has ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        put_back: Callable[[UpstreamConnection], None],
        lost: Callable[[UpstreamConnection], None],
        max_header_bytes: int,
    ) -> None:
        self.usable = False
        """Whether the connection stands; both sides may still write."""
        self.idle_since = 0.0
        """When it was put back last, by the loop's clock."""
        self._loop = loop
        self._put_back = put_back
        self._lost = lost
        self._max_header_bytes = max_header_bytes
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        # What follows is about the request in work.
        self._reply: Reply | None = None
        self._without_body = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._interim = 0
        self._headless_bytes = 0
        self._until_close = False
        self._keep_alive = False

    # What the pool and the reply call.

    async def ask(self, head: bytes, body: bytes | None, *, without_body: bool) -> Reply:
        """
        Send a request and wait for the head of its reply. Raises UpstreamError.

        Nothing waits for the request to be written: `body` is in memory anyway, and an upstream that
        answers before it has read all of it is to be heard.
        """
        reply = self._reply = Reply(self)
        self._without_body = without_body
        self._interim = 0
        self._until_close = False
        if not self.usable:
            self._reply = None
            raise UpstreamError("reset")
        try:
            self._write(head, body)
            while not reply.status:
                if reply.failure is not None:
                    raise UpstreamError(reply.failure)
                await self.arrival()
        except BaseException:
            self._reply = None
            self.cut()
            raise
        return reply

    def is_silent(self) -> bool:
        """
        Whether nothing waits to be read: neither bytes that nobody asked for nor the upstream's end.

        Asked of the kernel right before a request is written, for the loop may not have come to it
        yet: such bytes would be taken for the answer, and such an end would cost the request.
        """
        return not self._poll.poll(0)

    async def arrival(self) -> None:
        """Wait until something has come from the upstream."""
        waiter = self._waiter = self._loop.create_future()
        await waiter

    def resume(self) -> None:
        """Read on after a pause."""
        if self._paused:
            self._paused = False
            if self.usable and self._transport is not None:
                self._transport.resume_reading()

    def release(self, *, sound: bool) -> None:
        """End the exchange: back to the pool, or cut where anything speaks against it."""
        self._reply = None
        if sound and self._keep_alive and self._can_carry_another():
            if self._without_body:
                # The parser has not been told that no body follows; it would wait for one.
                self._parser = HttpResponseParser(self)
            self._put_back(self)
        else:
            self.cut()

    def cut(self) -> None:
        """End the connection now, whatever is under way."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End an idle connection in good manners."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Feed the parser; whatever comes when nothing is owed ends the connection."""
        reply = self._reply
        if reply is None or reply.over:
            self.cut()
            return
        if not self._headless_bytes and not reply.status and data[0] != _FIRST_BYTE:
            self._fail(reply, "malformed")  # llhttp would read RTSP, ICE and empty lines
            return
        self._headless_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if reply.over:
                self.cut()  # the answer is whole; what came behind it is not looked at
            else:
                self._fail(reply, "malformed")
        else:
            # Heads, but also chunk extensions and trailers: bytes that give nothing to pass on.
            if self._headless_bytes > self._max_header_bytes and not reply.over:
                self._fail(reply, "malformed")
        self._wake()

    def eof_received(self) -> None:
        """The upstream says no more; None lets the transport close."""
        self._ended(clean=self.usable)

    def connection_lost(self, exc: Exception | None) -> None:
        """The upstream has closed, or we have."""
        self._ended(clean=self.usable and exc is None)
        self._transport = None
        self._lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Raises where an answer has been given already: this one belongs to nobody."""
        self._believe()
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        """A piece of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or after the body a trailer, which is dropped."""
        reply = self._reply
        if reply is not None and not reply.status:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is whole: is it an answer, and how long is its body?"""
        reply = self._believe()
        self._check_size()
        parser = self._parser
        status = parser.get_status_code()
        length, chunked = self._framing()
        if not 200 <= status <= 599:
            self._interim += 1
            framed = chunked or length is not None
            if (
                status not in range(100, 200)
                or status == 101
                or framed
                or self._interim > MAX_INTERIM
            ):
                raise _NoAnswer
            return
        if parser.get_http_version() not in {"1.1", "1.0"}:
            raise _NoAnswer
        self._keep_alive = parser.should_keep_alive()
        reply.headers = tuple(self._headers)
        reply.length = length
        reply.reason = self._reason.decode("latin-1")
        reply.status = status
        self._headless_bytes = 0
        if self._without_body or status in _BODILESS:
            reply.end()
        else:
            self._until_close = length is None and not chunked

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._headless_bytes = 0
        if self._believe().add(data) and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The answer is whole, or an interim one is."""
        reply = self._reply
        if reply is not None and reply.status:
            self._headless_bytes = 0
            reply.end()

    # The rest.

    def _ended(self, *, clean: bool) -> None:
        self.usable = False
        reply = self._reply
        if reply is not None and not reply.over:
            whole = clean and reply.status and self._until_close
            reply.end(None if whole else "reset")
            self._wake()

    def _can_carry_another(self) -> bool:
        """Read on, written out and standing."""
        transport = self._transport
        if transport is None or not self.usable or self._paused:
            return False
        return transport.get_write_buffer_size() == 0

    def _believe(self) -> Reply:
        """The reply that is owed; what comes after it raises."""
        reply = self._reply
        if reply is None or reply.over:
            raise _NoAnswer
        return reply

    def _check_size(self) -> None:
        limit = self._max_header_bytes
        # The bytes counted may belong to the body already, so they only say when to count exactly.
        if self._headless_bytes > limit:
            size = sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size + len(self._reason) > limit:
                raise _NoAnswer

    def _framing(self) -> tuple[int | None, bool]:
        """Declared length, and whether the body comes in chunks. llhttp has refused what contradicts."""
        length: int | None = None
        chunked = False
        for name, value in self._headers:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                length = int(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise _NoAnswer  # another coding, which nobody here takes off
                chunked = True
        return length, chunked

    def _write(self, head: bytes, body: bytes | None) -> None:
        transport = self._transport
        assert transport is not None
        if body is None:
            transport.write(head)
        elif len(body) <= JOINED_BYTES:
            transport.write(head + body)
        else:
            # Two pieces, not `writelines`: asyncio's joins them, uvloop gathers pieces by itself.
            transport.write(head)
            transport.write(body)

    def _fail(self, reply: Reply, kind: FailureKind) -> None:
        reply.end(kind)
        self.cut()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
