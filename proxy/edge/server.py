"""
The data listener: aiohttp's low-level server, closed where it is lenient.

Closed here: no time limit on slow heads, parser errors answered in aiohttp's words and outside of our
events, tracebacks and versions shown to callers. What concerns one request is in `exchange.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from proxy.edge.watch import Watch, Watched
from proxy.edge.wire import Answered
from proxy.errors import Refusal

Handler = Callable[[web.BaseRequest], Awaitable[Answered]]
Reject = Callable[[str, str, Refusal, BaseException | None], bytes]
"""(peer address, target as far as it came, refusal, cause) → the answer's bytes; records the event."""

MALFORMED = Refusal(400, "malformed_request", "The request is not valid HTTP.", close=True)
HEAD_TOO_LARGE = Refusal(
    431, "headers_too_large", "The request line or headers are larger than allowed.", close=True
)
HEAD_TOO_SLOW = Refusal(408, "headers_too_slow", "The request did not arrive in time.", close=True)
INTERNAL = Refusal(500, "internal_error", "The request could not be handled.", close=True)


MAX_LINE = 8 * 1024
"""Bytes of a head that are kept to tell whose error format its sender reads."""
TOO_MANY_HEADERS = "Too many headers"
"""How aiohttp words it; it has no exception of its own for it."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bytes and seconds of one connection."""

    header_bytes: int = 32 * 1024
    header_count: int = 100
    receive_timeout: float = 30.0
    idle_timeout: float = 75.0


class DataConnection(web.RequestHandler):
    """One client connection."""

    __slots__ = ("_head_bytes", "_head_wait", "_line", "_server")

    def __init__(self, server: DataServer, loop: asyncio.AbstractEventLoop) -> None:
        limits = server.limits
        super().__init__(
            server,
            loop=loop,
            access_log=cast("Any", None),
            auto_decompress=False,
            keepalive_timeout=limits.idle_timeout,
            lingering_time=1.0,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.header_count,
        )
        self._server = server
        self._head_wait: Watched | None = None
        self._head_bytes = 0
        self._line = b""

    @property
    def peer(self) -> str:
        """IP address of the TCP peer; empty once it has gone."""
        name = self.peername
        return name[0] if isinstance(name, tuple) else ""

    @property
    def _awaits_head(self) -> bool:
        """Whether bytes belong to a head: a body may come before aiohttp's task wakes to its head."""
        return self._waiter is not None and not self._waiter.done()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and bound the time that an unfinished head may take."""
        before = self._request_count
        if self._awaits_head and not self._head_bytes:
            self._line = data[:MAX_LINE]
        super().data_received(data)
        if self._request_count != before:
            self._head_bytes = 0
            if self._head_wait is not None:
                self._head_wait.stop()
                self._head_wait = None
        elif self._awaits_head:
            self._head_goes_on(len(data))

    def _head_goes_on(self, size: int) -> None:
        """Bound an unfinished head: in time by a watch, in bytes here, whatever the parser bears."""
        limits = self._server.limits
        self._head_bytes += size
        if self._head_wait is None:
            self._head_wait = self._server.watch.wait(limits.receive_timeout, self._head_timed_out)
        # The request line and the headers may have so many each; `screen` looks at whole heads.
        if self._head_bytes > 2 * limits.header_bytes:
            self._write_rejection(HEAD_TOO_LARGE, None)
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection; a handler still at work is cancelled."""
        if self._head_wait is not None:
            self._head_wait.stop()
            self._head_wait = None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp would answer to a parser error, in a dialect's format and in the log."""
        if status >= 500:
            refusal = INTERNAL
        else:
            large = isinstance(exc, LineTooLong) or TOO_MANY_HEADERS in str(exc)
            refusal = HEAD_TOO_LARGE if large else MALFORMED
        self._write_rejection(refusal, exc if status >= 500 else None)
        return cast("web.StreamResponse", Answered(refusal.status, keep_alive=False))

    def finish(self) -> None:
        """Take no further request: end now where none is in work, else after its answer."""
        if self._request_in_progress:
            self.close()
        else:
            self.force_close()

    def _head_timed_out(self) -> None:
        self._head_wait = None
        self._write_rejection(HEAD_TOO_SLOW, None)
        self.force_close()

    def _write_rejection(self, refusal: Refusal, cause: BaseException | None) -> None:
        transport = self.transport
        if transport is not None and not transport.is_closing():
            path = self._line.split(b" ", 2)[1:2]
            target = path[0].decode("latin-1") if path else ""
            transport.write(self._server.reject(self.peer, target, refusal, cause))


class DataServer(web.Server):
    """Makes one `DataConnection` a client, all with the same limits."""

    def __init__(
        self, handler: Handler, reject: Reject, limits: ServerLimits, watch: Watch
    ) -> None:
        super().__init__(cast("Any", handler), handler_cancellation=True)
        self.reject = reject
        self.limits = limits
        self.watch = watch

    def __call__(self) -> web.RequestHandler:
        """Protocol factory for `loop.create_server`."""
        return DataConnection(self, self._loop)

    def finish_connections(self) -> None:
        """End connections that carry no request now; the others end after their answer."""
        for connection in self.connections:
            cast("DataConnection", connection).finish()
