"""
The pool of connections to the one upstream: the most recently used first, as many as there are requests.

Lean on purpose: aiohttp's client cost 100 of 420 µs of a request. A request makes no task and no timer;
what it takes is one write, one future and one parser's callbacks.
"""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPMethod

from yarl import URL

from proxy.edge.upstream import UpstreamReply, UpstreamRequest
from proxy.edge.upstream_connection import UpstreamConnection
from proxy.edge.upstream_dial import Dial

POOLED_IDLE_S = 4.0
"""Idle upstream connections are closed after this long: below the 5 s after which uvicorn, under most
model servers, closes its side, so that a request seldom meets a connection on its way out."""

SWEEP_S = 0.5
"""How often the pool looks for connections that have been idle for too long, while there are any."""

MAX_HEADER_BYTES = 64 * 1024

_WITHOUT_BODY = frozenset({HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS, HTTPMethod.TRACE})
"""Methods whose requests need not say that they have no body (RFC 9110 section 8.6)."""


class UpstreamPool:
    """`Upstream` over HTTP/1.1. Made inside of a running event loop."""

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float,
        tls: ssl.SSLContext | None = None,
        max_header_bytes: int = MAX_HEADER_BYTES,
    ) -> None:
        url = URL(base_url)
        assert url.host is not None
        assert url.port is not None
        if url.scheme != "https":
            tls = None
        elif tls is None:
            tls = ssl.create_default_context()
        self._prefix = url.raw_path.rstrip("/")
        self._host_line = f" HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n".encode()
        self._dial = Dial(url.raw_host or "", url.port, tls, connect_timeout=connect_timeout)
        self._loop = asyncio.get_running_loop()
        self._max_header_bytes = max_header_bytes
        self._open: set[UpstreamConnection] = set()
        self._idle: list[UpstreamConnection] = []
        """Oldest first. Those that have ended meanwhile stay until they are met or swept."""
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._all_lost = asyncio.Event()

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request and wait for the head of its reply. Raises UpstreamError."""
        head = self._head(request)
        connection = self._take()
        if connection is None:
            connection = await self._dial.connect(self._connection)
        without_body = request.method == "HEAD"
        return await connection.ask(
            head,
            request.body,
            without_body=without_body,
            parts=request.parts,
            alone=request.alone,
        )

    async def close(self) -> None:
        """End all connections, those in use too."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._idle.clear()
        for connection in list(self._open):
            connection.cut()
        if self._open:
            await self._all_lost.wait()

    def _head(self, request: UpstreamRequest) -> bytes:
        """The request line and headers. Raises ValueError where they would be more than that."""
        target = self._prefix + request.path
        if request.query:
            target = f"{target}?{request.query}"
        lines = [b"%b: %b\r\n" % pair for pair in request.headers]
        body = request.body
        if request.parts is not None:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        elif body is not None:
            lines.append(b"Content-Length: %d\r\n" % len(body))
        elif request.method not in _WITHOUT_BODY:
            lines.append(b"Content-Length: 0\r\n")
        if request.alone:
            lines.append(b"Connection: close\r\n")
        line = f"{request.method} {target}".encode()
        head = b"%b%b%b\r\n" % (line, self._host_line, b"".join(lines))
        # Everything here has been checked where it came in; a line too many would be another request.
        if head.count(b"\n") != len(lines) + 3:
            raise ValueError("a line break in a request's head")
        return head

    def _take(self) -> UpstreamConnection | None:
        """The connection used last, for it is the likeliest to stand."""
        idle = self._idle
        oldest = self._loop.time() - POOLED_IDLE_S
        while idle:
            connection = idle.pop()
            if connection.usable:
                if connection.idle_since > oldest and connection.is_silent():
                    return connection
                connection.cut()
        return None

    def _connection(self) -> UpstreamConnection:
        return UpstreamConnection(self._loop, self, self._max_header_bytes)

    def opened(self, connection: UpstreamConnection) -> None:
        """A connection stands. It is of no use any more where the pool was closed meanwhile."""
        self._open.add(connection)
        if self._closed:
            connection.cut()

    def put_back(self, connection: UpstreamConnection) -> None:
        """A connection can carry another request."""
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection has ended."""
        self._open.discard(connection)
        if self._closed and not self._open:
            self._all_lost.set()

    def _sweep(self) -> None:
        """Close what has been idle for too long, and forget what has ended by itself."""
        oldest = self._loop.time() - POOLED_IDLE_S
        kept = []
        for connection in self._idle:
            if connection.idle_since > oldest:
                if connection.usable:
                    kept.append(connection)
            else:
                connection.close()
        self._idle = kept
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if kept else None
