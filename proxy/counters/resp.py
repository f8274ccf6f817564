"""Redis' wire format, version 2, as far as Excise reads and writes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The server refused one command: its code word and sentence."""

    text: str


Reply: TypeAlias = "bytes | int | ErrorReply | list[Reply] | None"

_BULK, _STATUS, _ERROR, _NUMBER, _ARRAY = b"$+-:*"


def command(*words: bytes) -> bytes:
    """One command on the wire."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def parse(data: bytes, start: int) -> tuple[Reply, int] | None:
    """
    The reply that begins at `start`, and where the next one does; None where it is cut short.

    Raises ValueError for what is no reply.
    """
    end = data.find(b"\r\n", start)
    if end < 0:
        return None
    kind = data[start]
    after = end + 2
    if kind == _BULK:
        size = int(data[start + 1 : end])
        if size < 0:
            return None, after
        if len(data) < after + size + 2:
            return None
        return data[after : after + size], after + size + 2
    if kind == _STATUS:
        return data[start + 1 : end], after
    if kind == _NUMBER:
        return int(data[start + 1 : end]), after
    if kind == _ERROR:
        return ErrorReply(data[start + 1 : end].decode("utf-8", "replace")), after
    if kind == _ARRAY:
        return _parse_items(data, after, int(data[start + 1 : end]))
    raise ValueError("not a Redis reply")


def _parse_items(data: bytes, start: int, count: int) -> tuple[Reply, int] | None:
    if count < 0:
        return None, start
    items: list[Reply] = []
    for _ in range(count):
        parsed = parse(data, start)
        if parsed is None:
            return None
        item, start = parsed
        items.append(item)
    return items, start
