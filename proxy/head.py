"""The head of one HTTP request as it came over the wire: raw bytes, not yet judged."""

from __future__ import annotations

from proxy.value import value

RawHeaders = tuple[tuple[bytes, bytes], ...]


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

    def values(self, name: bytes) -> list[bytes]:
        """All values of a header, by lower-case name, in wire order."""
        return [value for key, value in self.headers if key.lower() == name]
