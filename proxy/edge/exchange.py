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
from proxy.edge.upstream import (
    FailureKind,
    Upstream,
    UpstreamError,
    UpstreamReply,
    UpstreamRequest,
)
from proxy.edge.watch import Watch
from proxy.edge.wire import ClientWire
from proxy.errors import Refusal
from proxy.head import Head

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


@dataclass(slots=True)
class Forward:
    """How a judged request is to be sent on."""

    query: str
    """Raw, less credentials where the upstream's own is set."""
    body: bytes | None
    drop: tuple[str, ...] = ()
    """Further headers that do not go on."""
    add: tuple[tuple[str, str], ...] = ()
    """Headers set in their place."""


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
        self, forward: Forward, own_headers: list[tuple[bytes, bytes]], observer_for: ObserverFor
    ) -> RelayEnd | Refusal:
        """Send the request on and relay the reply; a `Refusal` where nothing has been written."""
        edge = self._edge
        task = asyncio.current_task()
        assert task is not None
        silence = edge.watch.wait(edge.timeouts.first_byte, task.cancel)
        reply: UpstreamReply | None = None
        try:
            reply = await edge.upstream.send(self._outgoing(forward))
            self.reply = reply
            self.first_byte_s = silence.since()
            silence.limit = edge.timeouts.idle
            return await relay(reply, self.wire, observer_for(reply), own_headers, silence)
        except UpstreamError as error:
            return self._failed(error.kind)
        except asyncio.CancelledError:
            if not silence.expired or task.uncancel() > 0:
                raise
            return self._failed("timeout")
        finally:
            silence.stop()
            if reply is not None:
                reply.close()

    def _outgoing(self, forward: Forward) -> UpstreamRequest:
        request = self._request
        headers = for_upstream(request.headers, request.raw_headers, forward.drop)
        for name, value in forward.add:
            headers[name] = value
        head = self.head
        return UpstreamRequest(head.method, head.path, forward.query, headers, forward.body)

    def _failed(self, kind: FailureKind) -> RelayEnd | Refusal:
        wire = self.wire
        if wire.status is None:
            return UPSTREAM_REFUSALS[kind]
        wire.cut()
        if wire.waiting:
            return "client_stalled"
        return "upstream_timeout" if kind == "timeout" else "upstream_error"

    def close(self) -> None:
        """Give back what the exchange holds."""
        if self._body is not None:
            self._body.release()
