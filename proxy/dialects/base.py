"""What every API dialect offers to the pipeline, and the values it hands over. Pure."""

from __future__ import annotations

from typing import Protocol

from proxy.dialects.jsonbody import JsonObject, UnreadableBody, UnreadableReason
from proxy.errors import Refusal
from proxy.facts import Ask, Usage
from proxy.value import value

__all__ = [
    "Dialect",
    "JsonObject",
    "ReadAsk",
    "RefusalReply",
    "ReplyReader",
    "UnreadableBody",
    "UnreadableReason",
]


@value
class ReadAsk:
    """A request body, read once."""

    ask: Ask
    parsed: JsonObject
    """The body's object in wire order, for what later asks for usage or degrades it."""
    more: tuple[Ask, ...] = ()
    """What a body asks besides, where it holds several prompts or requests: each is judged as one."""


@value
class RefusalReply:
    """A refusal as it goes over the wire, without Content-Length."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class ReplyReader(Protocol):
    """Looks at one successful reply as it passes, and tells what it has used."""

    @property
    def usage(self) -> Usage | None:
        """As far as reported yet; None where nothing was."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, in the dialect's own word; the last choice's where several did."""
        ...

    @property
    def response_id(self) -> str | None:
        """The id that the reply gives itself, at most 128 characters."""
        ...

    @property
    def usage_keeps_up(self) -> bool:
        """Whether `usage` is of what has passed at every moment; else it may be that of a beginning."""
        ...

    @property
    def response_model(self) -> str | None:
        """The model that the reply says has made it, at most 128 characters."""
        ...

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass on now."""
        ...

    def finish(self) -> bytes:
        """The bytes still held back at the end of the reply."""
        ...

    def estimated_output_tokens(self) -> int:
        """Output tokens judged from what has passed, for a reply that reports no usage."""
        ...

    def unread_output_tokens(self) -> int:
        """Output tokens judged from those of several answers that `usage` does not tell of."""
        ...


class Dialect(Protocol):
    """One API surface. Implementations hold no state."""

    @property
    def name(self) -> str:
        """Stable name, used in routes, events and metrics."""
        ...

    @property
    def path_hints(self) -> tuple[str, ...]:
        """Path prefixes by which an unknown route is taken to speak this dialect."""
        ...

    @property
    def header_hints(self) -> tuple[bytes, ...]:
        """Lower-case names of headers that only this dialect's clients send."""
        ...

    def read(self, body: bytes, path: str, /) -> ReadAsk:
        """What a request asks of the model: its body, and its raw path where that says something.

        The path is one that `find_route` has classified as this dialect's. Raises UnreadableBody.
        """
        ...

    def asks_of(self, parsed: JsonObject, path: str, /) -> tuple[Ask, ...]:
        """The same of a body that has been parsed already, such as a line of a batch; one at least.

        Raises UnreadableBody.
        """
        ...

    def ask_usage(self, body: bytes, parsed: JsonObject) -> bytes | None:
        """The body changed so that the stream reports its usage; None where nothing need change."""
        ...

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply: server-sent events where `streamed`, else a JSON object.

        `drop_usage` withholds the final usage-only event, for a caller who did not ask for it.
        """
        ...

    def refusal(
        self, refusal: Refusal, request_id: str, contact_url: str | None = None
    ) -> RefusalReply:
        """A refusal in this dialect's error format."""
        ...
