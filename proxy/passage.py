"""
What passes between the line and the edge: the line asks, the edge does it, over HTTP or from a record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from proxy.dialects.base import RefusalReply, ReplyReader
from proxy.errors import Refusal
from proxy.head import Head

EARLY_BODY_BYTES: Final = 64 * 1024
"""A body declared up to here is read before anything is counted, so that one store trip serves identity
and body alike; a larger or chunked one is read only after the identity has been judged."""

End = Literal[
    "complete", "client_closed", "client_stalled", "upstream_error", "upstream_timeout", "drained"
]
"""How an answer ended: in full, or who broke it off."""


class FileInspector(Protocol):
    """Looks at a form with a file as it passes."""

    @property
    def held(self) -> int:
        """Bytes of the file that are held back."""
        ...

    def field(self, name: str, value: bytes) -> Refusal | None:
        """A field beside the file."""
        ...

    async def data(self, data: bytes) -> bytes | Refusal:
        """A piece of the file; what may go on now."""
        ...

    async def end_of_file(self) -> bytes | Refusal:
        """What was held back."""
        ...

    async def finish(self) -> Refusal | None:
        """The form has ended."""
        ...


@dataclass(slots=True)
class Forward:
    """How a judged request is to be sent on. Path and remaining headers go as they were judged."""

    query: str
    """Raw, less credentials where the upstream's own is set."""
    body: bytes | None
    drop: tuple[str, ...]
    """Headers that do not go on, besides those that concern one hop only."""
    add: tuple[tuple[str, str], ...]
    """Headers set in place of the caller's."""
    own_headers: tuple[tuple[bytes, bytes], ...]
    """Headers of our own on the reply."""
    streams: bool
    """Whether a stream was asked for: then a reply of unknown length is one, whatever its type."""
    alone: bool
    """Whether the body goes on unread: an upstream that leaves it unread, too, would take it for its
    next request, so that the connection must not carry another."""
    file: FileInspector | None
    """Who looks at the file of an upload, which goes on as it comes in place of `body`."""
    observe: Callable[[int, bool, bool], ReplyReader | None]
    """(status, is it server-sent events, is it uncompressed) → who looks at the reply as it passes."""
    ready: Callable[[], Awaitable[None]] | None = None
    """Awaited before the end of the reply goes on, where somebody must have learnt of it first."""
    must_read: bool = False
    """Whether an answer that cannot be read, such as a compressed one, must not pass."""


@dataclass(slots=True)
class Progress:
    """How far an exchange has come; true at every moment, however it ends."""

    request_id: str = ""
    started: float = 0.0
    """Monotonic seconds."""
    status: int | None = None
    """What the client was answered; None where it left before."""
    bytes_out: int = 0
    streamed: bool = False
    upstream_s: float | None = None
    """Seconds until the head of the upstream's reply."""
    upstream_request_id: str | None = None
    end: End = "client_closed"


class Exchange(Protocol):
    """One request and its answer."""

    head: Head
    progress: Progress

    @property
    def reads_early(self) -> bool:
        """Whether the body is small enough to be read before anything is counted."""
        ...

    def objection(self) -> Refusal | None:
        """Why the edge takes no further look: no room, or a head that reads in several ways."""
        ...

    async def receive(self) -> bytes | Refusal:
        """The whole body."""
        ...

    async def hold(self, subject: str, seconds: float) -> bool:
        """Hold the request back; False at once where there is no room to."""
        ...

    def answer(self, reply: RefusalReply, *, close: bool) -> None:
        """Give the caller an answer of our own; cuts the connection if one has begun already."""
        ...

    async def forward(self, forward: Forward) -> Refusal | None:
        """Send the request on and relay the reply; a Refusal where nothing was written yet."""
        ...
