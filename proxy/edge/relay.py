"""
The upstream's reply on its way to the client: read, observed and written chunk by chunk, at once.

The pace is the slower side's: a client that reads slowly stops our reading from the upstream, and both
sides' buffers are bounded. An upstream that fails part-way aborts the client's connection, so that half
an answer is never taken for a whole one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.degrade.replies import DegradedReply
from proxy.dialects.base import ReplyReader
from proxy.edge.degraded import relay_degraded
from proxy.edge.headers import for_client
from proxy.edge.upstream import UpstreamReply
from proxy.edge.watch import Watched
from proxy.edge.wire import ClientWire
from proxy.errors import Refusal

WHOLE_REPLY_BYTES = 1024 * 1024
"""Plain replies up to here are read whole and written with their head in one go; a reply cut short by
the upstream is then a clean 502 instead of an aborted connection."""


Ready = Callable[[], Awaitable[None]] | None


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
    "unreadable": Refusal(502, "upstream_unreadable", "The model service gave an invalid answer."),
}


async def relay(
    reply: UpstreamReply,
    wire: ClientWire,
    observer: ReplyReader | None,
    own_headers: tuple[tuple[bytes, bytes], ...],
    silence: Watched,
    ready: Ready = None,
) -> None:
    """Pass a reply on to its end; `ready` is awaited before the last of it.

    Raises UpstreamError where the upstream fails (before or after the first byte to the client:
    `wire.status` tells), ConnectionResetError or CancelledError once the client has gone.
    """
    headers = for_client(reply.headers)
    headers += own_headers
    if wire.without_body:
        wire.start(reply.status, reply.reason, headers, reply.length)
    elif isinstance(observer, DegradedReply):
        await relay_degraded(reply, wire, observer, headers, silence)
    elif reply.length is not None and reply.length <= WHOLE_REPLY_BYTES:
        await _whole(reply, wire, observer, headers, silence, ready)
    else:
        await _streamed(reply, wire, observer, headers, silence, ready)


async def _whole(
    reply: UpstreamReply,
    wire: ClientWire,
    observer: ReplyReader | None,
    headers: list[tuple[bytes, bytes]],
    silence: Watched,
    ready: Ready,
) -> None:
    body = await reply.read()
    if reply.length != len(body):
        parts = [body]
        silence.last = silence.time()
        while part := await reply.read():
            silence.last = silence.time()
            parts.append(part)
        body = b"".join(parts)
    if observer is not None:
        body = observer.feed(body) + observer.finish()
    if ready is not None:
        await ready()
    wire.answer(reply.status, reply.reason, headers, body)


async def _streamed(
    reply: UpstreamReply,
    wire: ClientWire,
    observer: ReplyReader | None,
    headers: list[tuple[bytes, bytes]],
    silence: Watched,
    ready: Ready,
) -> None:
    length = reply.length
    if length is not None and observer is not None:
        # What an observer passes on may be shorter than what the upstream has declared.
        headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
        length = None
    wire.start(reply.status, reply.reason, headers, length)
    time = silence.time
    read = reply.read
    while data := await read():
        silence.last = time()
        if observer is not None:
            data = observer.feed(data)
            if not data:
                continue
        if wire.write(data):
            await wire.drain()
            silence.last = time()
    rest = b"" if observer is None else observer.finish()
    if ready is not None:
        await ready()
    if rest:
        wire.write(rest)
    wire.end()
