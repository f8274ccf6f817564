"""The head of one HTTP request as it came over the wire: raw bytes, not yet judged."""

from __future__ import annotations

import re
from dataclasses import field
from functools import lru_cache
from typing import Final

from proxy.value import value

RawHeaders = tuple[tuple[bytes, bytes], ...]

_PLAIN: Final = re.compile(rb"[A-Za-z0-9-]*").fullmatch
_OURS: Final = b"x-excise-"
_REMEMBERED_BYTES: Final = 1024
"""Longer names together are looked at anew each time: callers choose them, and a cache keeps them."""


class Layout:
    """The names of a request's headers and where each stands.

    A program sends the same names in the same order with nearly every request, so who looks for headers
    asks here, where the answer is remembered, and goes through none of them.
    """

    __slots__ = ("_lower", "_places", "names", "ours", "plain", "size")

    def __init__(self, names: tuple[bytes, ...]) -> None:
        self.names = names
        """In wire order and original case."""
        self.size = sum(map(len, names))
        """Bytes of all names."""
        self.plain = _PLAIN(b"".join(names)) is not None
        """Whether they hold letters, digits and hyphens only."""
        self._lower = tuple([name.lower() for name in names])
        self.ours = tuple([name for name in names if name.lower().startswith(_OURS)])
        """Those that are Excise's own to send, as they are written."""
        self._places: dict[frozenset[bytes], tuple[tuple[bytes, int], ...]] = {}

    def places(self, wanted: frozenset[bytes]) -> tuple[tuple[bytes, int], ...]:
        """(lower-case name, place) of all headers of these names, in wire order.

        `wanted` is one of the program's constants: each is remembered.
        """
        found = self._places.get(wanted)
        if found is None:
            found = self._places[wanted] = tuple(
                [(name, at) for at, name in enumerate(self._lower) if name in wanted]
            )
        return found


_remembered = lru_cache(maxsize=1024)(Layout)


def layout_of(headers: RawHeaders) -> Layout:
    """How these headers are laid out."""
    names = tuple([name for name, _ in headers])
    return (_remembered if sum(map(len, names)) <= _REMEMBERED_BYTES else Layout)(names)


@value
class Head:
    """Method, raw target and raw headers in wire order and original case."""

    method: str
    path: str
    """Raw path without query, still percent-encoded, exactly as it will be forwarded."""
    query: str
    """Raw query without `?`; may hold a secret (`?key=`), so it is never logged."""
    headers: RawHeaders
    peer: str
    """IP address of the TCP peer, without port or zone."""
    layout: Layout = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", layout_of(self.headers))

    def values(self, name: bytes) -> list[bytes]:
        """All values of a header, by lower-case name, in wire order."""
        return [value for key, value in self.headers if key.lower() == name]

    def among(self, wanted: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
        """(lower-case name, value) of all headers of these names, in wire order; see `Layout.places`."""
        places, headers = self.layout.places(wanted), self.headers
        return [(name, headers[at][1]) for name, at in places] if places else []
