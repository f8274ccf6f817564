"""Results in lines, each of which holds a reply, on their way through an editor: see `replies.py`."""

from __future__ import annotations

from typing import Final

from proxy.degrade import exact
from proxy.degrade.editor import Editor
from proxy.degrade.replies import MAX_BYTES, DegradedReply, Piece, UnreadableReply
from proxy.dialects.base import ReplyReader

_TELLING: Final = (b"reason", b"think", b"thought", b"logprob")


class DegradedLines(DegradedReply):
    """JSON lines, such as a batch's results: each holds a reply."""

    def __init__(self, inner: ReplyReader, editor: Editor, pace: float | None = None) -> None:
        super().__init__(inner, editor, pace)
        self._rest = b""

    def take(self, data: bytes) -> list[Piece]:
        """See `DegradedReply.take`."""
        self._inner.feed(data)
        *lines, rest = data.split(b"\n")
        if not lines:
            self._rest += rest
        else:
            lines[0] = self._rest + lines[0]
            self._rest = rest
        pieces = [(self._line(line) + b"\n", 0) for line in lines]
        if len(self._rest) > MAX_BYTES:
            self._must_tell_nothing(self._rest)
            pieces.append((self._rest, 0))
            self._rest = b""
        return pieces

    def rest(self) -> list[Piece]:
        """See `DegradedReply.rest`."""
        self._inner.finish()
        rest, self._rest = self._rest, b""
        return [(self._line(rest), 0)] if rest else []

    def _line(self, line: bytes) -> bytes:
        if not line.lstrip().startswith(b"{"):
            return line
        try:
            found = exact.loads(line)
        except ValueError:
            self._must_tell_nothing(line)
            return line
        return exact.dumps(found) if self._editor.whole(found) else line

    def _must_tell_nothing(self, line: bytes) -> None:
        """A file may hold anything; only what cannot hold what is to be hidden passes unread."""
        if (
            self._guards
            and line.lstrip().startswith(b"{")
            and any(mark in line for mark in _TELLING)
        ):
            raise UnreadableReply
