"""A reply between the connection that fills it and the one reader who empties it, at the reader's pace."""

from __future__ import annotations

from typing import Protocol

from proxy.edge.upstream import FailureKind, UpstreamError
from proxy.head import RawHeaders

UNREAD_BYTES = 256 * 1024
"""Reply bytes that may wait for a slow client before we stop reading from the upstream."""


class Source(Protocol):
    """The connection, as far as a reply knows it."""

    async def arrival(self) -> None:
        """Wait until something has come from the upstream."""
        ...

    def resume(self) -> None:
        """Read on after a pause."""
        ...

    def release(self, *, sound: bool) -> None:
        """End the exchange: back to the pool, or cut where anything speaks against it."""
        ...


class Reply:
    """A reply whose head has arrived; one reader. `close` always."""

    __slots__ = (
        "_connection",
        "_parts",
        "failure",
        "headers",
        "length",
        "over",
        "reason",
        "status",
        "unread",
    )

    def __init__(self, connection: Source) -> None:
        self._connection: Source | None = connection
        self._parts: list[bytes] = []
        self.unread = 0
        """Bytes that wait to be read."""
        self.status = 0
        self.reason = ""
        self.headers: RawHeaders = ()
        self.length: int | None = None
        self.over = False
        """Nothing more will come: the body is complete or `failure` says why not."""
        self.failure: FailureKind | None = None

    async def read(self) -> bytes:
        """The next bytes as soon as there are any; b"" at the end. Raises UpstreamError."""
        parts = self._parts
        connection = self._connection
        while not parts:
            if self.failure is not None:
                raise UpstreamError(self.failure)
            if self.over or connection is None:
                return b""
            await connection.arrival()
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.unread = 0
        if connection is not None:
            connection.resume()
        return data

    def close(self) -> None:
        """Give the connection back after a complete body; otherwise cut it at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release(sound=self.over and self.failure is None)

    def begin(self, status: int, reason: bytes, headers: RawHeaders, length: int | None) -> None:
        """The head has come."""
        self.status = status
        self.reason = reason.decode("latin-1")
        self.headers = headers
        self.length = length

    def add(self, data: bytes) -> None:
        """A part of the body has come."""
        self._parts.append(data)
        self.unread += len(data)

    def end(self, failure: FailureKind | None = None) -> None:
        """Nothing more will come."""
        self.over = True
        self.failure = failure
