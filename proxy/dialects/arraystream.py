"""
The objects of one JSON array that arrives in chunks, incrementally and without I/O.

Only brackets and quotes are looked at, to know where an object ends; what stands inside is for others
to parse. What is not an array of objects gives none and never an error.
"""

from __future__ import annotations

import re

MAX_PIECE_BYTES = 1024 * 1024
"""An object beyond this size is not given out; those behind it are."""

# Everything up to the next bracket or to a string that does not end here. No step is ever tried twice.
_SKIP = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL).match
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL).match

_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_OPENING = frozenset(b"[{")


class ArraySplitter:
    """Cuts an array into its objects, wherever its chunks begin and end."""

    __slots__ = ("_depth", "_escaped", "_in_string", "_limit", "_parts", "_size", "oversize")

    def __init__(self, limit: int | None = None) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = MAX_PIECE_BYTES if limit is None else limit
        self.oversize = False
        """Whether an object was too large to be given out."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The objects that `chunk` completes."""
        pieces: list[bytes] = []
        end, start, at = len(chunk), 0, 0
        if self._in_string and chunk:
            at = self._through_string(chunk, 0)
        while at < end:
            at = _skipped(chunk, at)
            if at == end:
                break
            byte = chunk[at]
            at += 1
            if byte == _QUOTE:
                at = self._through_string(chunk, at)
            elif byte in _OPENING:
                self._depth += 1
                if self._depth == 2:
                    start = at - 1
                    self._forget()
            else:
                self._depth -= 1
                if self._depth == 1 and (piece := self._whole(chunk[start:at])):
                    pieces.append(piece)
        if self._depth > 1:
            self._keep(chunk[start:])
        return pieces

    def _through_string(self, chunk: bytes, at: int) -> int:
        """Where the string that goes on at `at` has ended, or the end of the chunk."""
        if self._escaped:
            at += 1
        found = _IN_STRING(chunk, at)
        assert found is not None  # it matches nothing, too
        at = found.end()
        self._in_string = at == len(chunk) or chunk[at] == _BACKSLASH
        self._escaped = at < len(chunk) and chunk[at] == _BACKSLASH
        return len(chunk) if self._in_string else at + 1

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self.oversize = True
            self._parts.clear()

    def _whole(self, last: bytes) -> bytes:
        self._keep(last)
        piece = b"".join(self._parts)
        self._forget()
        return piece

    def _forget(self) -> None:
        self._parts.clear()
        self._size = 0


def _skipped(chunk: bytes, at: int) -> int:
    found = _SKIP(chunk, at)
    assert found is not None  # it matches nothing, too
    return found.end()
