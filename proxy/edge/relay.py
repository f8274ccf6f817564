"""
The upstream's reply on its way to the client: read, observed and written chunk by chunk, at once.

The pace is the slower side's: a client that reads slowly stops our reading from the upstream, and both
sides' buffers are bounded. An upstream that fails part-way aborts the client's connection, so that half
an answer is never taken for a whole one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal, Protocol

from proxy.edge.headers import for_client
from proxy.edge.upstream import UpstreamError, UpstreamReply
from proxy.edge.watch import Watch, Watched
from proxy.edge.wire import ClientWire
from proxy.errors import Refusal

WHOLE_REPLY_BYTES = 1024 * 1024
"""Plain replies up to here are read whole and written with their head in one go; a reply cut short by
the upstream is then a clean 502 instead of an aborted connection."""

RelayEnd = Literal["complete", "upstream_error", "upstream_timeout", "client_stalled"]


class ReplyObserver(Protocol):
    """Looks at a reply as it passes, and may hold back or drop what the client did not ask for."""

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass on now."""
        ...

    def finish(self) -> bytes:
        """The bytes still held back at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Long by default: a reasoning model may think for minutes before its first byte."""

    first_byte: float = 600.0
    idle: float = 300.0


UPSTREAM_REFUSALS = {
    "unreachable": Refusal(502, "upstream_unreachable", "The model service cannot be reached."),
    "reset": Refusal(502, "upstream_reset", "The model service closed the connection."),
    "timeout": Refusal(504, "upstream_timeout", "The model service did not answer in time."),
    "malformed": Refusal(502, "upstream_malformed", "The model service gave an invalid answer."),
}


def is_event_stream(reply: UpstreamReply) -> bool:
    """Whether the reply is server-sent events."""
    return any(
        name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
        for name, value in reply.headers
    )


async def relay(
    reply: UpstreamReply,
    wire: ClientWire,
    observer: ReplyObserver | None,
    own_headers: list[tuple[bytes, bytes]],
    watch: Watch,
    idle_timeout: float,
) -> RelayEnd | Refusal:
    """Pass a reply on. A `Refusal` means that nothing has been written to the client yet.

    Raises ConnectionResetError or CancelledError once the client has gone.
    """
    headers = for_client(reply.headers)
    headers += own_headers
    if wire.without_body:
        wire.start(reply.status, reply.reason, headers, reply.length)
        return "complete"
    task = asyncio.current_task()
    assert task is not None
    silence = watch.wait(idle_timeout, task.cancel)
    passing = _Passing(reply, wire, observer)
    try:
        if reply.length is not None and reply.length <= WHOLE_REPLY_BYTES:
            await passing.whole(headers)
        else:
            await passing.streamed(headers, silence)
    except UpstreamError as error:
        if wire.status is None:
            return UPSTREAM_REFUSALS[error.kind]
        wire.cut()
        return "upstream_timeout" if error.kind == "timeout" else "upstream_error"
    except asyncio.CancelledError:
        if not silence.expired or task.uncancel() > 0:
            raise
        if wire.status is None:
            return UPSTREAM_REFUSALS["timeout"]
        wire.cut()
        return "client_stalled" if passing.writing else "upstream_timeout"
    finally:
        silence.stop()
    return "complete"


class _Passing:
    """One reply in passing; `writing` says which side is waited for."""

    __slots__ = ("_observer", "_reply", "_wire", "writing")

    def __init__(
        self, reply: UpstreamReply, wire: ClientWire, observer: ReplyObserver | None
    ) -> None:
        self._reply = reply
        self._wire = wire
        self._observer = observer
        self.writing = False

    async def whole(self, headers: list[tuple[bytes, bytes]]) -> None:
        body = await self._reply.read()
        if self._reply.length != len(body):
            parts = [body]
            while part := await self._reply.read():
                parts.append(part)
            body = b"".join(parts)
        if self._observer is not None:
            body = self._observer.feed(body) + self._observer.finish()
        self._wire.answer(self._reply.status, self._reply.reason, headers, body)

    async def streamed(self, headers: list[tuple[bytes, bytes]], silence: Watched) -> None:
        reply, wire, observer = self._reply, self._wire, self._observer
        time = silence.time
        length = reply.length
        if length is not None and observer is not None:
            # What an observer passes on may be shorter than what the upstream has declared.
            headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
            length = None
        wire.start(reply.status, reply.reason, headers, length)
        while data := await reply.read():
            silence.last = time()
            if observer is not None:
                data = observer.feed(data)
                if not data:
                    continue
            self.writing = True
            await wire.write(data)
            self.writing = False
            silence.last = time()
        if observer is not None and (rest := observer.finish()):
            await wire.write(rest)
        wire.end()
