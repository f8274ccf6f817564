"""What a set or hash of Redis holds that operators fill: page by page, over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from proxy.counters.resp import Reply
from proxy.counters.wire import Wire
from proxy.errors import StoreError, StoreTimeoutError

Members = dict[bytes, bytes | None]
"""Member → None, or field → value."""

PAGE: Final = b"500"
PATIENCE_S: Final = 1.0
"""For a connection, and for each page."""


async def read_members(dial: Callable[[str], Awaitable[Wire]], key: str, most: int) -> Members:
    """All members, or more than `most` of them where there are more. Raises StoreError."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            wire = await dial(key)
    except TimeoutError:
        raise StoreTimeoutError("no connection to the store in time") from None
    try:
        return await _read(wire, key.encode(), most)
    finally:
        wire.abort()


async def _read(wire: Wire, key: bytes, most: int) -> Members:
    match await _told(wire, b"TYPE", key):
        case b"none":
            return {}
        case b"set":
            word = b"SSCAN"
        case b"hash":
            word = b"HSCAN"
        case _:
            raise StoreError("a list is a set or a hash")
    found: Members = {}
    cursor = b"0"
    while len(found) <= most:
        match await _told(wire, word, key, cursor, b"COUNT", PAGE):
            case [bytes() as cursor, list() as page]:
                texts = [one for one in page if isinstance(one, bytes)]
            case _:
                raise StoreError("the store's answer is not understood")
        if word == b"SSCAN":
            found.update(dict.fromkeys(texts))
        else:
            found.update(zip(texts[::2], texts[1::2], strict=True))
        if cursor == b"0":
            break
    return found


async def _told(wire: Wire, *words: bytes) -> Reply:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await wire.tell(*words)
    except TimeoutError:
        raise StoreTimeoutError("the store did not answer in time") from None
