"""
A reply that is changed on its way: read, degraded and written piece by piece, at the policy's pace.

Nothing is read ahead: while a piece waits for its turn nothing more is taken from the upstream, whose
bytes pile up to a bound and then stop it. Our own pauses are no silence of the upstream's.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

from aiolimiter import AsyncLimiter

from proxy.degrade.replies import LONGEST_HOLD_S, DegradedReply, UnreadableReply
from proxy.edge.upstream import UpstreamError, UpstreamReply
from proxy.edge.watch import Watched
from proxy.edge.wire import ClientWire

BREATH_S: Final = 0.1
"""A stream's pace is kept within this time: what may pass in it may pass at once."""

_OF_OTHER_BYTES: Final = frozenset(
    [b"content-length", b"etag", b"content-md5", b"digest", b"content-digest", b"repr-digest"]
)
"""Headers about the bytes that the upstream sent."""


class Pacer:
    """Lets so many output tokens pass in a second, smoothly."""

    def __init__(self, rate: float, silence: Watched) -> None:
        self._room = max(1.0, rate * BREATH_S)
        self._limiter = AsyncLimiter(self._room, self._room / rate)
        self._silence = silence

    async def wait(self, tokens: float) -> None:
        """Until so many tokens may pass."""
        silence = self._silence
        silence.last = math.inf
        while tokens > 0:
            now = min(tokens, self._room)
            await self._limiter.acquire(now)
            tokens -= now
        silence.last = silence.time()


async def relay_degraded(
    reply: UpstreamReply,
    wire: ClientWire,
    observer: DegradedReply,
    headers: list[tuple[bytes, bytes]],
    silence: Watched,
) -> None:
    """See `relay.relay`."""
    headers = [pair for pair in headers if pair[0].lower() not in _OF_OTHER_BYTES]
    try:
        if observer.whole:
            await _whole(reply, wire, observer, headers, silence)
        else:
            await _streamed(reply, wire, observer, headers, silence)
    except UnreadableReply:
        raise UpstreamError("unreadable") from None


async def _whole(
    reply: UpstreamReply,
    wire: ClientWire,
    observer: DegradedReply,
    headers: list[tuple[bytes, bytes]],
    silence: Watched,
) -> None:
    began = silence.time()
    while data := await reply.read():
        silence.last = silence.time()
        observer.take(data)
    body = observer.finish()
    if observer.pace is not None:
        reply.close()  # others may use the connection meanwhile
        took = silence.time() - began + (wire.progress.upstream_s or 0.0)
        silence.last = math.inf
        await asyncio.sleep(min(LONGEST_HOLD_S, observer.output_tokens / observer.pace - took))
    wire.answer(reply.status, reply.reason, headers, body)


async def _streamed(
    reply: UpstreamReply,
    wire: ClientWire,
    observer: DegradedReply,
    headers: list[tuple[bytes, bytes]],
    silence: Watched,
) -> None:
    pacer = None if observer.pace is None else Pacer(observer.pace, silence)
    wire.start(reply.status, reply.reason, headers, None)
    while data := await reply.read():
        silence.last = silence.time()
        for piece, tokens in observer.take(data):
            if pacer is not None and tokens:
                await pacer.wait(tokens)
            await _write(piece, wire, silence)
        if observer.ended:
            reply.close()  # the upstream is to generate nothing more
            break
    for piece, _ in observer.rest():
        await _write(piece, wire, silence)
    wire.end()


async def _write(piece: bytes, wire: ClientWire, silence: Watched) -> None:
    if piece and wire.write(piece):
        await wire.drain()
        silence.last = silence.time()
