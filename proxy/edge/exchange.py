"""
One exchange over HTTP: what the pipeline asks of the edge, carried out on aiohttp.

The pipeline decides; this receives bodies, waits, answers and forwards. It keeps no policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from proxy.edge import body as bodies
from proxy.edge.body import BodyMemory, ReceivedBody
from proxy.edge.headers import for_upstream
from proxy.edge.lanes import DelayLanes
from proxy.edge.relay import UPSTREAM_REFUSALS, RelayEnd, ReplyObserver, Timeouts, relay
from proxy.edge.upstream import Upstream, UpstreamError, UpstreamReply, UpstreamRequest
from proxy.edge.watch import Watch
from proxy.edge.wire import ClientWire
from proxy.errors import Refusal
from proxy.head import Head, RawHeaders

ObserverFor = Callable[[UpstreamReply], ReplyObserver | None]
"""Chooses who looks at a reply, once its status and headers are known."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What all exchanges of this process share."""

    upstream: Upstream
    watch: Watch
    lanes: DelayLanes
    memory: BodyMemory
    timeouts: Timeouts
    body_limit: int
    receive_timeout: float


@dataclass(frozen=True, slots=True)
class Forward:
    """A judged request, ready to be sent on."""

    path: str
    query: str
    headers: RawHeaders
    drop: frozenset[bytes]
    """Lower-case names of further headers that do not go on."""
    add: tuple[tuple[str, str], ...]
    body: bytes | None


class HttpExchange:
    """One request on one connection."""

    def __init__(self, request: web.BaseRequest, peer: str, edge: Edge) -> None:
        self._request = request
        self._edge = edge
        self._body: ReceivedBody | None = None
        path, _, query = request.raw_path.partition("?")
        self.head = Head(request.method, path, query, request.raw_headers, peer)
        self.wire = ClientWire(request)
        self.http_version = (request.version.major, request.version.minor)
        self.reply: UpstreamReply | None = None
        self.first_byte_s: float | None = None

    @property
    def declared_length(self) -> int | None:
        """Body bytes the client has declared: 0 for none, None for a chunked body."""
        if not self._request.can_read_body:
            return 0
        return self._request.content_length

    @property
    def waits_for_continue(self) -> bool:
        """Whether the client holds its body back until it is told to go on."""
        return self._request.headers.get("Expect", "").lower() == "100-continue"

    async def receive(self) -> bytes | Refusal:
        """The whole body. Its memory is given back by `close`."""
        declared = self.declared_length
        if declared == 0:
            return b""
        edge = self._edge
        if self.waits_for_continue and (declared is None or declared <= edge.body_limit):
            self.wire.proceed()
        try:
            received = await bodies.receive(
                self._request.content,
                declared,
                limit=edge.body_limit,
                timeout=edge.receive_timeout,
                memory=edge.memory,
            )
        except web.RequestPayloadError:
            return bodies.BROKEN
        if isinstance(received, Refusal):
            return received
        self._body = received
        return received.data

    async def hold(self, subject: str, seconds: float) -> bool:
        """Hold the request back; False at once where the lanes are full."""
        return await self._edge.lanes.hold(subject, seconds)

    def answer(
        self, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes, *, close: bool
    ) -> None:
        """Give the caller an answer of our own."""
        if close or not self._request.content.is_eof():
            self.wire.keep_alive = False
        self.wire.answer(status, "", headers, body)

    async def forward(
        self,
        forward: Forward,
        own_headers: list[tuple[bytes, bytes]],
        observer_for: ObserverFor,
    ) -> RelayEnd | Refusal:
        """Send the request on and relay the reply; a `Refusal` where nothing has been written."""
        reply = await self._send(forward)
        if isinstance(reply, Refusal):
            return reply
        self.reply = reply
        try:
            return await relay(
                reply,
                self.wire,
                observer_for(reply),
                own_headers,
                self._edge.watch,
                self._edge.timeouts.idle,
            )
        finally:
            reply.close()

    async def _send(self, forward: Forward) -> UpstreamReply | Refusal:
        headers = for_upstream(forward.headers, forward.drop)
        headers += forward.add
        request = UpstreamRequest(
            self.head.method, forward.path, forward.query, headers, forward.body
        )
        watch = self._edge.watch
        task = asyncio.current_task()
        assert task is not None
        started = watch.time()
        silence = watch.wait(self._edge.timeouts.first_byte, task.cancel)
        try:
            reply = await self._edge.upstream.send(request)
        except UpstreamError as error:
            return UPSTREAM_REFUSALS[error.kind]
        except asyncio.CancelledError:
            if silence.expired and task.uncancel() == 0:
                return UPSTREAM_REFUSALS["timeout"]
            raise
        finally:
            silence.stop()
        self.first_byte_s = watch.time() - started
        return reply

    def close(self) -> None:
        """Give back what the exchange holds."""
        if self._body is not None:
            self._body.release()
