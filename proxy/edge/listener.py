"""
The data listener at work: takes connections, runs each request down the line, and drains at the end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from proxy.edge.exchange import Edge, HttpExchange
from proxy.edge.server import DataConnection, DataServer, Reject, ServerLimits
from proxy.edge.wire import Answered

TLS_SHUTDOWN_S = 1.0
"""For a caller to say its goodbye before the connection is cut."""

Run = Callable[[HttpExchange], Awaitable[None]]


class Listener:
    """One listening socket, and the exchanges under way on it."""

    def __init__(
        self,
        run: Run,
        reject: Reject,
        edge: Edge,
        limits: ServerLimits,
        *,
        concurrent: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._run = run
        self._edge = edge
        self._tls: dict[str, Any] = {}
        if tls is not None:
            self._tls = {
                "ssl": tls,
                "ssl_handshake_timeout": limits.receive_timeout,
                "ssl_shutdown_timeout": TLS_SHUTDOWN_S,
            }
        self._concurrent = concurrent
        self._server = DataServer(self._handle, reject, limits, edge.watch)
        self._socket: asyncio.Server | None = None
        self._idle: asyncio.Future[None] | None = None
        self._draining = False
        self._hurried = False
        self.active: dict[HttpExchange, asyncio.Task[object]] = {}
        """Exchanges under way, each with the task that may be cancelled to cut it."""

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, for port 0 asks for any. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._socket = await loop.create_server(self._server, host, port, backlog=1024, **self._tls)
        bound: int = self._socket.sockets[0].getsockname()[1]
        return bound

    async def drain(self, grace: float) -> int:
        """Take no new request, let those under way end within `grace` seconds, cut the rest.

        Returns how many were cut.
        """
        if self._socket is not None:
            self._socket.close()
        self._draining = True
        for exchange in self.active:
            exchange.wire.keep_alive = False
        self._server.finish_connections()
        if self.active and not self._hurried:
            self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._idle}, timeout=grace)
        cut = list(self.active.items())
        for exchange, task in cut:
            exchange.progress.end = "drained"
            exchange.wire.cut()
            task.cancel()
        await asyncio.gather(*(task for _, task in cut), return_exceptions=True)
        await self._server.shutdown(1.0)
        return len(cut)

    def hurry(self) -> None:
        """Cut what is under way at once, in a drain that has begun or is yet to begin."""
        self._hurried = True
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _handle(self, request: web.BaseRequest) -> Answered:
        connection = request.protocol
        assert isinstance(connection, DataConnection)
        active = self.active
        crowded = len(active) >= self._concurrent
        task = asyncio.current_task()
        assert task is not None
        exchange = HttpExchange(request, connection.peer, self._edge, task, crowded=crowded)
        active[exchange] = task
        if self._draining:
            exchange.wire.keep_alive = False
        try:
            await self._run(exchange)
        finally:
            exchange.close()
            del active[exchange]
            if self._idle is not None and not active and not self._idle.done():
                self._idle.set_result(None)
        return exchange.wire.done()
