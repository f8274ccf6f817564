"""
Receiving request bodies: whole, within limits of size, time and process-wide memory.

Memory is claimed for bytes that have arrived, never for a length that somebody declares. Fail-closed: a
body that does not fit is refused, never judged in part.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from proxy.errors import Refusal

TOO_LARGE = Refusal(413, "body_too_large", "The request body is larger than allowed.", close=True)
TOO_SLOW = Refusal(408, "body_too_slow", "The request body did not arrive in time.", close=True)
BROKEN = Refusal(400, "body_incomplete", "The request body could not be read.", close=True)
NO_MEMORY = Refusal(
    503,
    "overloaded",
    "The service is handling as much as it can. Try again shortly.",
    retry_after_s=1.0,
    close=True,
)


class Payload(Protocol):
    """The part of aiohttp's StreamReader that is used here."""

    def is_eof(self) -> bool:
        """Whether all bytes have arrived (they may still stand unread)."""
        ...

    def read_nowait(self, n: int = -1) -> bytes:
        """All bytes that have arrived."""
        ...

    async def readany(self) -> bytes:
        """The next bytes, or b"" at the end."""
        ...


class BodyMemory:
    """Bytes of request bodies held by this process; claimed as they arrive, given back after."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Claim `size` bytes; False where they do not fit."""
        if self.used + size > self._limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Return bytes that were taken."""
        self.used -= size


@dataclass(slots=True)
class ReceivedBody:
    """A body and the memory that it holds until `release`."""

    data: bytes
    memory: BodyMemory
    held: int

    def release(self) -> None:
        """Give the memory back; doing so twice is fine."""
        self.memory.give_back(self.held)
        self.held = 0


async def receive(
    payload: Payload,
    declared: int | None,
    *,
    limit: int,
    timeout: float,
    memory: BodyMemory,
) -> ReceivedBody | Refusal:
    """Read a whole body of `declared` bytes (None: chunked).

    `limit` is in bytes, `timeout` in seconds from now until the last byte. Raises whatever the
    transport raises when the client leaves; memory is given back then too.
    """
    if declared is not None and declared > limit:
        return TOO_LARGE
    body = ReceivedBody(b"", memory, 0)
    if declared is not None and payload.is_eof():
        if not memory.take(declared):
            return NO_MEMORY
        body.held = declared
        body.data = payload.read_nowait()
        return body
    refusal: Refusal | None = BROKEN
    try:
        async with asyncio.timeout(timeout):
            refusal = await _read_all(payload, body, limit)
    except TimeoutError:
        refusal = TOO_SLOW
    finally:
        if refusal is not None:
            body.release()
    return refusal or body


async def _read_all(payload: Payload, body: ReceivedBody, limit: int) -> Refusal | None:
    parts: list[bytes] = []
    size = 0
    while part := await payload.readany():
        size += len(part)
        if size > limit:
            return TOO_LARGE
        if size > body.held:
            if not body.memory.take(size - body.held):
                return NO_MEMORY
            body.held = size
        parts.append(part)
    body.data = b"".join(parts)
    return None
