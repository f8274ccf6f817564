"""
The one upstream: sends a judged request on and yields the reply as it arrives.

`Upstream` and `UpstreamReply` are all that the rest of the house knows of it. Behind them is a client of
our own (`upstream_pool.py`), which adds, follows, decodes, remembers and repeats nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Literal, Protocol

from proxy.head import RawHeaders
from proxy.value import value

FailureKind = Literal["unreachable", "reset", "timeout", "malformed", "unreadable"]


class UpstreamError(Exception):
    """The upstream has failed: what of it, never how in words a caller could see."""

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind)
        self.kind: FailureKind = kind


@value
class UpstreamRequest:
    """What is sent on: path and query raw as they were judged."""

    method: str
    path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    """End-to-end headers, free of line breaks; `Host` and `Content-Length` are set by the client."""
    body: bytes | None
    parts: AsyncIterator[bytes] | None = None
    """In place of a body in memory: pieces to be sent as they come, the end of which is its end."""
    alone: bool = False
    """Whether its connection must carry no other request, and the upstream is told so."""


class UpstreamReply(Protocol):
    """A reply whose head has arrived. `close` always, whatever happened."""

    status: int
    reason: str
    headers: RawHeaders
    length: int | None
    """Declared body length in bytes, None where the body is chunked or ends with the connection."""

    async def read(self) -> bytes:
        """The next bytes as soon as there are any; b"" at the end. Raises UpstreamError."""
        ...

    def close(self) -> None:
        """Give the connection back after a complete body; otherwise cut it at once."""
        ...


class Upstream(Protocol):
    """Where judged requests go."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request and wait for the head of its reply. Raises UpstreamError."""
        ...

    async def close(self) -> None:
        """Close pooled connections."""
        ...


def tls_context(
    ca_file: str | None, client_cert_file: str | None, client_key_file: str | None
) -> ssl.SSLContext | None:
    """TLS for an upstream with its own CA or that asks for a client certificate; None for defaults.

    Raises OSError or ssl.SSLError where a file cannot be read or used.
    """
    if ca_file is None and client_cert_file is None:
        return None
    context = ssl.create_default_context(cafile=ca_file)
    if client_cert_file is not None:
        context.load_cert_chain(client_cert_file, client_key_file)
    return context
