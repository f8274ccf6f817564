"""
One exchange over HTTP: what the line asks of the edge, carried out on aiohttp.

The line decides; this receives bodies, waits, answers and forwards. It keeps no policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from proxy.dialects.base import RefusalReply, ReplyReader
from proxy.edge import body as bodies
from proxy.edge.body import BodyMemory, ReceivedBody
from proxy.edge.headers import for_upstream
from proxy.edge.lanes import DelayLanes
from proxy.edge.relay import UPSTREAM_REFUSALS, Timeouts, relay
from proxy.edge.screen import screen
from proxy.edge.upload import Form, UploadRefused
from proxy.edge.upstream import (
    FailureKind,
    Upstream,
    UpstreamError,
    UpstreamReply,
    UpstreamRequest,
)
from proxy.edge.watch import Watch, Watched
from proxy.edge.wire import ClientWire
from proxy.errors import Refusal
from proxy.head import Head
from proxy.passage import EARLY_BODY_BYTES, FileInspector, Forward, Progress

OVERLOADED = Refusal(
    503,
    "overloaded",
    "The service is handling as much as it can. Try again shortly.",
    retry_after_s=1.0,
)


@dataclass(frozen=True, slots=True)
class Edge:
    """What all exchanges of this process share."""

    upstream: Upstream
    watch: Watch
    lanes: DelayLanes
    memory: BodyMemory
    timeouts: Timeouts
    header_bytes: int
    body_limit: int
    receive_timeout: float


class HttpExchange:
    """One request on one connection, handled by `task`, which is cancelled to give it up."""

    __slots__ = (
        "_body",
        "_edge",
        "_form",
        "_request",
        "_task",
        "crowded",
        "head",
        "progress",
        "wire",
    )

    def __init__(
        self,
        request: web.BaseRequest,
        peer: str,
        edge: Edge,
        task: asyncio.Task[object],
        *,
        crowded: bool = False,
    ) -> None:
        self._request = request
        self._task = task
        self.crowded = crowded
        self._edge = edge
        self._body: ReceivedBody | None = None
        self._form: Form | None = None
        path, _, query = request.raw_path.partition("?")
        self.head = Head(request.method, path, query, request.raw_headers, peer)
        self.progress = Progress()
        self.wire = ClientWire(request, self.progress)

    def objection(self) -> Refusal | None:
        """Why the edge takes no further look: no room, or a head that reads in several ways."""
        if self.crowded:
            return OVERLOADED
        version = self._request.version
        return screen(self.head, (version.major, version.minor), self._edge.header_bytes)

    @property
    def reads_early(self) -> bool:
        """Whether the body is small and on its way without having been asked for."""
        declared = self._declared
        return declared is not None and declared <= EARLY_BODY_BYTES and not self._expects

    async def receive(self) -> bytes | Refusal:
        """The whole body. Its memory is given back by `close`."""
        declared = self._declared
        if declared == 0:
            return b""
        edge = self._edge
        if self._expects and (declared is None or declared <= edge.body_limit):
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

    def answer(self, reply: RefusalReply, *, close: bool) -> None:
        """Give the caller an answer of our own; cuts the connection if one has begun already."""
        wire = self.wire
        if wire.begun:
            wire.cut()
            return
        if close or not self._request.content.is_eof():
            wire.keep_alive = False
        wire.answer(reply.status, "", reply.headers, reply.body)
        if self.progress.end == "client_closed":
            self.progress.end = "complete"

    async def forward(self, forward: Forward) -> Refusal | None:
        """Send the request on and relay the reply; a Refusal where nothing was written yet."""
        edge = self._edge
        task = self._task
        silence = edge.watch.wait(edge.timeouts.first_byte, task.cancel)
        reply: UpstreamReply | None = None
        try:
            reply = await edge.upstream.send(self._outgoing(forward, silence))
            if forward.file is not None and not self._request.content.at_eof():
                self.wire.keep_alive = False
            self.progress.upstream_s = silence.since()
            silence.limit = edge.timeouts.idle
            observer = self._observer(reply, forward)
            await relay(reply, self.wire, observer, forward.own_headers, silence, forward.ready)
        except UpstreamError as error:
            return self._failed(error.kind)
        except UploadRefused as refused:
            return refused.refusal
        except asyncio.CancelledError:
            if not silence.expired or task.uncancel() > 0:
                raise
            return self._failed("timeout")
        finally:
            silence.stop()
            if reply is not None:
                reply.close()
        self.progress.end = "complete"
        return None

    def close(self) -> None:
        """Give back what the exchange holds."""
        if self._body is not None:
            self._body.release()
        if self._form is not None:
            self._form.release()

    @property
    def _declared(self) -> int | None:
        """Body bytes that the client has declared: 0 for none, None for a chunked body."""
        if not self._request.can_read_body:
            return 0
        return self._request.content_length

    @property
    def _expects(self) -> bool:
        """Whether the client holds its body back until it is told to go on."""
        return self._request.headers.get("Expect", "").lower() == "100-continue"

    def _outgoing(self, forward: Forward, silence: Watched) -> UpstreamRequest:
        head = self.head
        if forward.file is not None:
            return self._uploading(forward, forward.file, silence)
        headers = for_upstream(head.headers, forward.drop, forward.add)
        return UpstreamRequest(
            head.method, head.path, forward.query, headers, forward.body, alone=forward.alone
        )

    def _uploading(
        self, forward: Forward, file: FileInspector, silence: Watched
    ) -> UpstreamRequest:
        head = self.head
        if self._expects:
            self.wire.proceed()
        edge = self._edge
        form = self._form = Form(self._request, file, edge.receive_timeout, edge.memory)

        async def alive() -> AsyncIterator[bytes]:
            async for piece in form.pieces():
                silence.last = silence.time()
                yield piece

        add = (*forward.add, ("Content-Type", form.content_type))
        headers = for_upstream(head.headers, forward.drop, add)
        return UpstreamRequest(head.method, head.path, forward.query, headers, None, alive())

    def _observer(self, reply: UpstreamReply, forward: Forward) -> ReplyReader | None:
        progress = self.progress
        readable, events = True, False
        for name, value in reply.headers:
            match name.lower():
                case b"content-type":
                    events = value[:17].lower() == b"text/event-stream"
                case b"content-encoding":
                    readable = readable and value.strip().lower() in {b"", b"identity"}
                case b"x-request-id" | b"request-id":
                    progress.upstream_request_id = value[:128].decode("ascii", "replace")
        progress.streamed = events or (forward.streams and reply.length is None)
        if not readable and forward.must_read and reply.status < 300:
            raise UpstreamError("unreadable")
        return forward.observe(reply.status, events, readable)

    def _failed(self, kind: FailureKind) -> Refusal | None:
        wire = self.wire
        progress = self.progress
        if wire.waiting:
            progress.end = "client_stalled"
        else:
            progress.end = "upstream_timeout" if kind == "timeout" else "upstream_error"
        if not wire.begun:
            return UPSTREAM_REFUSALS[kind]
        wire.cut()
        return None
