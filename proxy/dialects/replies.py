"""
Readers of replies: usage, finish reason and a measure of output, at a price paid per chunk.

A stream's events are JSON-parsed only where their bytes say that there is something to learn; all
others are counted and passed on. Inside a JSON string a quote is always escaped, so no model output
can imitate the marks that are looked for.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jiter

from proxy.dialects.sse import EventSplitter, data_of
from proxy.facts import Usage

MAX_PLAIN_BYTES = 4 * 1024 * 1024
"""A plain reply larger than this passes unread; its usage is estimated."""

BYTES_PER_TOKEN = 4
"""English text in the usual tokenizers, rounded; only for replies that report no usage."""

COMPRESSED_BYTES_PER_TOKEN = 1
"""Text that is compressed well has two bits a letter, and four letters a token."""

_MAX_TOKENS = 2**48
_LONGEST_WORD = 128

EVENT_ENDS = (b"\n\n", b"\r\n\r\n")


def tokens(value: object) -> int | None:
    """A token count out of an upstream's JSON; None for anything that cannot be one."""
    return value if type(value) is int and 0 <= value < _MAX_TOKENS else None


def word(value: object) -> str | None:
    """An id or a model's name out of an upstream's JSON; None for anything that cannot be one."""
    return value[:_LONGEST_WORD] if type(value) is str and value else None


class StreamReader:
    """Reads one event stream. Dialects say what is noteworthy and what to make of it.

    Bytes pass at once, complete events or not. Only where the final usage event is to be dropped is
    an incomplete event held back, up to `sse.MAX_EVENT_BYTES`.
    """

    usage_keeps_up: ClassVar[bool] = False
    """See `base.ReplyReader`."""
    delta_mark: ClassVar[bytes]
    """Bytes that stand once in every piece of output."""

    __slots__ = (
        "_drop_usage",
        "_dropped",
        "_idle",
        "_news",
        "_splitter",
        "bytes",
        "deltas",
        "finish_reason",
        "response_id",
        "response_model",
        "usage",
    )

    def __init__(self, *, drop_usage: bool = False) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.response_id: str | None = None
        self.response_model: str | None = None
        self.deltas = 0
        """Pieces of output so far."""
        self.bytes = 0
        """Bytes of the events so far that were not worth parsing."""
        self._drop_usage = drop_usage
        self._dropped = False
        self._news = False
        self._idle = True
        self._splitter = EventSplitter()

    def noteworthy(self, events: bytes) -> bool:
        """Whether any of these raw events must be parsed."""
        raise NotImplementedError

    def take(self, event: dict[str, Any]) -> bool:
        """Learn from one event's JSON; True where it is a usage event and nothing else."""
        raise NotImplementedError

    def estimated_output_tokens(self) -> int:
        """See `base.ReplyReader`."""
        raise NotImplementedError

    def unread_output_tokens(self) -> int:
        """None: a stream is one answer."""
        return 0

    def count(self, events: bytes) -> None:
        """Count the output in raw events: whole ones, but for one that is too long to be held."""
        self.deltas += events.count(self.delta_mark)

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass on now."""
        # By far the commonest chunk: whole events with nothing to learn from.
        if self._idle and data.endswith(EVENT_ENDS) and not self.noteworthy(data):
            self.count(data)
            self.bytes += len(data)
            return data
        splitter = self._splitter
        pieces = splitter.feed(data)
        self._idle = splitter.idle
        if not self._drop_usage:
            for piece in pieces:
                self._drops(piece)
            return data
        return b"".join([piece for piece in pieces if not self._drops(piece)])

    def finish(self) -> bytes:
        """The bytes still held back: an event that the stream broke off, or left unended."""
        rest, self._splitter = self._splitter.rest, EventSplitter()
        self._idle = True
        return b"" if self._drops(rest) or not self._drop_usage else rest

    def _drops(self, piece: bytes) -> bool:
        """Learn from one piece of the stream; whether it goes no further, where usage is dropped."""
        if piece != b"\n":  # else the rest of a CRLF, which shares its event's fate
            self.count(piece)
            self._news = self.noteworthy(piece)
            self._dropped = self._news and self._parsed(piece)
        if not self._news:
            self.bytes += len(piece)
        return self._dropped

    def _parsed(self, event: bytes) -> bool:
        try:
            parsed = jiter.from_json(data_of(event), cache_mode="none")
        except ValueError:
            return False  # not ours to judge: the client gets it as it is
        return type(parsed) is dict and self.take(parsed)


class PlainReader:
    """Reads one JSON reply, which passes untouched, once it is whole."""

    usage_keeps_up: ClassVar[bool] = False
    """See `base.ReplyReader`."""

    __slots__ = ("_parts", "bytes", "finish_reason", "response_id", "response_model", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.response_id: str | None = None
        self.response_model: str | None = None
        self.bytes = 0
        self._parts: list[bytes] = []

    def take(self, reply: dict[str, Any]) -> None:
        """Learn from the reply's JSON."""
        raise NotImplementedError

    def estimated_output_tokens(self) -> int:
        """See `base.ReplyReader`."""
        return self.bytes // BYTES_PER_TOKEN

    def unread_output_tokens(self) -> int:
        """None: a reply is one answer."""
        return 0

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        self.bytes += len(data)
        if self.bytes <= MAX_PLAIN_BYTES:
            self._parts.append(data)
        else:
            self._parts.clear()
        return data

    def finish(self) -> bytes:
        """Nothing is ever held back."""
        body = b"".join(self._parts)
        self._parts.clear()
        if body:
            self.read_whole(body)
        return b""

    def read_whole(self, body: bytes) -> None:
        """Learn from the whole reply."""
        try:
            parsed = jiter.from_json(body, cache_mode="none")
        except ValueError:
            return
        if type(parsed) is dict:
            self.take(parsed)


class UnreadReply(PlainReader):
    """A reply that cannot be read for what it has used: compressed, or a part of another."""

    __slots__ = ("_bytes_per_token",)

    def __init__(self, bytes_per_token: int) -> None:
        super().__init__()
        self._bytes_per_token = bytes_per_token

    def take(self, reply: dict[str, Any]) -> None:
        """Nothing."""

    def estimated_output_tokens(self) -> int:
        """By the bytes that have passed."""
        return self.bytes // self._bytes_per_token

    def feed(self, data: bytes) -> bytes:
        """The same bytes, counted."""
        self.bytes += len(data)
        return data


def added(one: Usage | None, other: Usage) -> Usage:
    """Two usages as one; what neither tells stays untold."""
    if one is None:
        return other
    return Usage(
        _sum(one.input_tokens, other.input_tokens),
        _sum(one.output_tokens, other.output_tokens),
        _sum(one.reasoning_tokens, other.reasoning_tokens),
        _sum(one.cached_tokens, other.cached_tokens),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)
