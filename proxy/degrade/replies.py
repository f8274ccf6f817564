"""
Replies on their way through an editor: events, arrays, lines or one whole object, read and written anew.

What is not changed passes as its own bytes. What cannot be read does not pass where something is to be
hidden: an event is dropped, a whole reply is not given at all.
"""

from __future__ import annotations

from typing import Final

from proxy.degrade import exact
from proxy.degrade.editor import Editor, Shape
from proxy.degrade.settings import JsonObject
from proxy.dialects.arraystream import ArraySplitter
from proxy.dialects.base import ReplyReader
from proxy.dialects.replies import BYTES_PER_TOKEN
from proxy.dialects.sse import EventSplitter, data_of
from proxy.facts import Usage

MAX_BYTES: Final = 16 * 1024 * 1024
"""A whole reply beyond this size, or a single event of one, is not degraded and so not passed on."""

LONGEST_HOLD_S: Final = 30.0
"""A plain reply is held back as long as a stream of it would have taken, and no longer than this."""

Piece = tuple[bytes, int]
"""Bytes to pass on, and the output tokens in them."""


class UnreadableReply(Exception):  # noqa: N818 - names the state of a reply, not a fault of ours
    """A reply that cannot be read, while something in it is to be hidden."""


class DegradedReply:
    """A reply reader that changes what it reads. See `base.ReplyReader`."""

    whole = False
    """Whether the reply is given in one go once it is complete."""

    def __init__(self, inner: ReplyReader, editor: Editor, pace: float | None = None) -> None:
        """`inner` is shown what the upstream has said, for its usage."""
        self._inner = inner
        self._editor = editor
        self.pace = pace
        """Output tokens a second."""

    @property
    def shape(self) -> Shape:
        """What is taken from the reply."""
        return self._editor.shape

    @property
    def ended(self) -> bool:
        """Whether the answer was cut: nothing more of it is wanted."""
        return self._editor.ended

    @property
    def touched(self) -> tuple[str, ...]:
        """What was taken from the reply."""
        return tuple(sorted(self._editor.touched))

    @property
    def usage(self) -> Usage | None:
        """As reported; of an answer that was cut, what has passed."""
        usage = self._inner.usage
        if not self.ended:
            return usage
        given = None if usage is None else usage.input_tokens
        cached = None if usage is None else usage.cached_tokens
        return Usage(given, self._editor.passed, None, cached)

    @property
    def finish_reason(self) -> str | None:
        """As reported, or that it was cut."""
        return self._editor.length_stop if self.ended else self._inner.finish_reason

    @property
    def response_id(self) -> str | None:
        """As reported."""
        return self._inner.response_id

    @property
    def usage_keeps_up(self) -> bool:
        """See `base.ReplyReader`."""
        return self._inner.usage_keeps_up

    @property
    def response_model(self) -> str | None:
        """As reported."""
        return self._inner.response_model

    @property
    def output_tokens(self) -> int:
        """Output tokens of the whole reply."""
        usage = self.usage
        told = None if usage is None else usage.output_tokens
        return self.estimated_output_tokens() if told is None else told

    def estimated_output_tokens(self) -> int:
        """See `base.ReplyReader`."""
        return self._inner.estimated_output_tokens()

    def unread_output_tokens(self) -> int:
        """See `base.ReplyReader`."""
        return self._inner.unread_output_tokens()

    def take(self, data: bytes) -> list[Piece]:
        """What may pass of a chunk, piece by piece. Raises UnreadableReply."""
        raise NotImplementedError

    def rest(self) -> list[Piece]:
        """What was held back, at the end of the reply. Raises UnreadableReply."""
        raise NotImplementedError

    def feed(self, data: bytes) -> bytes:
        """What may pass of a chunk."""
        return b"".join([piece for piece, _ in self.take(data)])

    def finish(self) -> bytes:
        """What was held back."""
        return b"".join([piece for piece, _ in self.rest()])

    @property
    def _guards(self) -> bool:
        return self.shape.guards


class DegradedStream(DegradedReply):
    """Server-sent events."""

    def __init__(self, inner: ReplyReader, editor: Editor, pace: float | None = None) -> None:
        super().__init__(inner, editor, pace)
        self._splitter = EventSplitter(MAX_BYTES)
        self._over = False

    def take(self, data: bytes) -> list[Piece]:
        """See `DegradedReply.take`."""
        pieces: list[Piece] = []
        for raw in self._splitter.feed(data):
            if self.ended:
                break
            if raw != b"\n":  # else the rest of a CRLF whose event has passed without it
                pieces.append(self._event(raw))
        if self._splitter.oversize:
            raise UnreadableReply
        return pieces

    def rest(self) -> list[Piece]:
        """See `DegradedReply.rest`."""
        rest, self._splitter = self._splitter.rest, EventSplitter(MAX_BYTES)
        pieces = [self._event(rest + b"\n\n")] if rest and not self.ended else []
        self._inner.finish()
        if not self._over and not self.ended:
            pieces.append((self._written(self._editor.rest()), 0))
        return pieces

    def _event(self, raw: bytes) -> Piece:
        editor = self._editor
        if not self._inner.feed(raw):
            return b"", 0  # usage that the caller has not asked for
        data = data_of(raw)
        if not data:
            return raw, 0
        if data == b"[DONE]":
            self._over = True
            return self._written(editor.rest()) + raw, 0
        try:
            event = exact.loads(data)
        except ValueError:
            event = None
        if type(event) is not dict:
            return (b"", 0) if self._guards else (raw, len(data) // BYTES_PER_TOKEN)
        before = editor.passed
        events = editor.edit(event)
        if events is None:
            return raw, editor.passed - before
        written = self._written(events)
        return written + editor.goodbye if editor.ended else written, editor.passed - before

    def _written(self, events: list[JsonObject]) -> bytes:
        parts: list[bytes] = []
        for event in events:
            if self._editor.named:
                parts.append(b"event: %b\n" % str(event.get("type")).encode())
            parts.append(b"data: %b\n\n" % exact.dumps(event))
        return b"".join(parts)


class DegradedArray(DegradedReply):
    """One JSON array whose objects arrive one by one."""

    def __init__(self, inner: ReplyReader, editor: Editor, pace: float | None = None) -> None:
        super().__init__(inner, editor, pace)
        self._splitter = ArraySplitter(MAX_BYTES)
        self._begun = False
        self._bytes = 0

    def take(self, data: bytes) -> list[Piece]:
        """See `DegradedReply.take`."""
        if not self._bytes and data.lstrip() and not data.lstrip().startswith(b"["):
            raise UnreadableReply
        self._bytes += len(data.lstrip())
        self._inner.feed(data)
        pieces: list[Piece] = []
        for raw in self._splitter.feed(data):
            if self.ended:
                break
            before = self._editor.passed
            try:
                found = exact.loads(raw)
            except ValueError:
                raise UnreadableReply from None
            events = self._editor.edit(found) if type(found) is dict else []
            for one in [raw] if events is None else [exact.dumps(event) for event in events]:
                pieces.append((self._next(one), self._editor.passed - before))
                before = self._editor.passed
        if self._splitter.oversize:
            raise UnreadableReply
        return pieces

    def rest(self) -> list[Piece]:
        """See `DegradedReply.rest`."""
        self._inner.finish()
        held = [] if self.ended else self._editor.rest()
        pieces = [(self._next(exact.dumps(event)), 0) for event in held]
        return [*pieces, (b"]" if self._begun else b"[]", 0)]

    def _next(self, one: bytes) -> bytes:
        mark = b",\r\n" if self._begun else b"["
        self._begun = True
        return mark + one


class DegradedWhole(DegradedReply):
    """One JSON object."""

    whole = True

    def __init__(self, inner: ReplyReader, editor: Editor, pace: float | None = None) -> None:
        super().__init__(inner, editor, pace)
        self._parts: list[bytes] = []
        self._size = 0

    def take(self, data: bytes) -> list[Piece]:
        """See `DegradedReply.take`: nothing yet."""
        self._inner.feed(data)
        self._size += len(data)
        if self._size > MAX_BYTES:
            raise UnreadableReply
        self._parts.append(data)
        return []

    def rest(self) -> list[Piece]:
        """See `DegradedReply.rest`: everything."""
        self._inner.finish()
        body = b"".join(self._parts)
        self._parts.clear()
        if not body.strip():
            return [(body, 0)]
        try:
            found = exact.loads(body)
        except ValueError:
            found = None
        if type(found) is not dict:
            if self._guards:
                raise UnreadableReply
            return [(body, self.output_tokens)]
        return [(exact.dumps(found) if self._editor.whole(found) else body, self.output_tokens)]
