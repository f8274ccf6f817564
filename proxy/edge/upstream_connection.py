"""One connection to the upstream: writes one request at a time and hands its reply on as it arrives."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator
from typing import Protocol, cast

from proxy.edge.upstream import FailureKind, UpstreamError
from proxy.edge.upstream_parser import ReplyParser
from proxy.edge.upstream_reply import UNREAD_BYTES, Reply

JOINED_BYTES = 16 * 1024
"""Bodies up to here are copied behind their head, which is cheaper than two pieces on the wire."""


class Keeper(Protocol):
    """Who keeps connections."""

    def opened(self, connection: UpstreamConnection) -> None:
        """One stands; `lost` will be called for it, once."""
        ...

    def put_back(self, connection: UpstreamConnection) -> None:
        """Its answer has ended well, and it can carry another request."""
        ...

    def lost(self, connection: UpstreamConnection) -> None:
        """One has ended."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """A transport's protocol."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, keeper: Keeper, max_header_bytes: int
    ) -> None:
        self.usable = False
        """Whether the connection stands, as far as is known."""
        self.idle_since = 0.0
        """When it was put back last, by the loop's clock."""
        self._loop = loop
        self._keeper = keeper
        self._parser = ReplyParser(max_header_bytes)
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._full = False
        """Whether what is to be written waits for the upstream to read."""
        self._owes = False
        """Whether a body has been begun and not ended."""
        self._alone = False
        """Whether the request in work is its last."""
        self._reply: Reply | None = None
        """The reply in work."""
        self._unfit: FailureKind = "reset"
        """What to say of a connection that has ended before it was asked anything."""

    async def ask(
        self,
        head: bytes,
        body: bytes | None,
        *,
        without_body: bool,
        parts: AsyncIterator[bytes] | None = None,
        alone: bool = False,
    ) -> Reply:
        """
        Send a request and wait for the head of its reply. Raises UpstreamError.

        Nothing waits for the request to be written: `body` is in memory anyway, and an upstream that
        answers before it has read all of it is to be heard. `parts` are written chunked as they come, at
        the upstream's pace; what they raise ends the connection and goes on to the caller. After a request
        that is `alone` the connection carries no other.
        """
        if not self.usable:
            raise UpstreamError(self._unfit)
        self._alone = alone
        reply = self._reply = Reply(self)
        self._parser.expect(reply, without_body=without_body)
        try:
            self._write(head, body)
            if parts is not None:
                await self._write_parts(parts, reply)
            while not (reply.status or reply.over):
                await self.arrival()
        except BaseException:
            self.release(sound=False)
            raise
        if reply.failure is not None and not reply.unread:
            self.release(sound=False)
            raise UpstreamError(reply.failure)
        return reply

    async def _write_parts(self, parts: AsyncIterator[bytes], reply: Reply) -> None:
        self._owes = True
        async for part in parts:
            if reply.status or reply.over:
                return  # it has answered already, and the connection can carry nothing else
            self._send(b"%x\r\n%b\r\n" % (len(part), part))
            while self._full and not (reply.status or reply.over):
                await self.arrival()
        self._send(b"0\r\n\r\n")
        self._owes = False

    def _send(self, data: bytes) -> None:
        if self.usable and self._transport is not None:
            self._transport.write(data)

    def pause_writing(self) -> None:
        """The upstream takes no more for now."""
        self._full = True

    def resume_writing(self) -> None:
        """It takes more."""
        self._full = False
        self._wake()

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
        if sound and self._can_carry_another():
            self._keeper.put_back(self)
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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.usable = True
        self._keeper.opened(self)

    def data_received(self, data: bytes) -> None:
        """Part of the reply; whatever comes when none is owed ends the connection."""
        reply = self._reply
        if reply is None or reply.over:
            self._unfit = "malformed"
            self.cut()
            return
        if not self._parser.feed(data):
            self.cut()
        elif reply.unread > UNREAD_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The upstream says no more; returning nothing lets the transport close."""
        self._ended(clean=self.usable)

    def connection_lost(self, exc: Exception | None) -> None:
        """The upstream has closed, or we have."""
        self._ended(clean=self.usable and exc is None)
        self._transport = None
        self._keeper.lost(self)

    def _ended(self, *, clean: bool) -> None:
        self.usable = False
        if self._reply is not None:
            self._parser.close(clean=clean)
            self._wake()

    def _can_carry_another(self) -> bool:
        """Standing, read on, written out, and the upstream has nothing against it."""
        transport = self._transport
        if not (self.usable and self._parser.keep_alive) or self._paused or transport is None:
            return False
        if self._owes or self._alone:
            return False
        return transport.get_write_buffer_size() == 0

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

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
