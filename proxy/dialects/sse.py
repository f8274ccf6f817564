"""
Server-sent events from bytes, incrementally and without I/O.

WHATWG HTML, 9.2.6 "Interpreting an event stream": lines end in LF, CRLF or CR, a blank line ends an
event, one leading byte order mark is ignored. Events come out as their raw bytes, blank line
included, so that what is passed on is what came in.
"""

from __future__ import annotations

import re

MAX_EVENT_BYTES = 64 * 1024
"""An incomplete event beyond this size is given up as one: its parts come out as they arrive."""

# The first line end is atomic: else CRLF would be tried as CR, LF and pass for a blank line.
_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?:\r\n|\r|\n)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Cuts a stream into raw events, wherever its chunks begin and end.

    A CR at the very end of a chunk may be half of a CRLF. The event is given out at once all the
    same, and should the LF follow, it comes as a piece of its own, `b"\\n"`, that belongs to the
    event before it.
    """

    __slots__ = ("_after_cr", "_checked", "_limit", "_oversize", "rest")

    def __init__(self, limit: int | None = None) -> None:
        self.rest = b""
        """The incomplete event at the end of what was fed."""
        self._checked = 0
        self._after_cr = False
        self._limit = MAX_EVENT_BYTES if limit is None else limit
        self._oversize = False

    @property
    def oversize(self) -> bool:
        """Whether an event beyond the limit is under way."""
        return self._oversize

    @property
    def idle(self) -> bool:
        """Whether the next byte starts an event."""
        return not (self.rest or self._after_cr or self._oversize)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The pieces that `chunk` completes; joined with `rest` they are all that was fed."""
        pieces: list[bytes] = []
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == 0x0A:
                pieces.append(b"\n")
                chunk = chunk[1:]
        data = self.rest + chunk if self.rest else chunk
        start = 0
        search = _BLANK_LINE.search
        found = search(data, self._checked)
        while found is not None:
            end = found.end()
            pieces.append(data[start:end])
            start = end
            self._oversize = False
            found = search(data, end)
        rest = data[start:] if start else data
        if not rest and start and data[-1] == 0x0D:
            self._after_cr = True
        if len(rest) > self._limit or (self._oversize and len(rest) > 2):
            # The last line end stays, for the blank line it may be the first half of.
            pieces.append(rest[:-2])
            rest = rest[-2:]
            self._oversize = True
        self.rest = rest
        self._checked = max(0, len(rest) - 2)
        return pieces


def data_of(event: bytes) -> bytes:
    """The `data` of one raw event, its lines joined by LF; empty where it has none."""
    lines: list[bytes] = []
    for line in _LINE_END.split(event.removeprefix(_BOM)):
        if line.startswith(b"data:"):
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            lines.append(b"")
    return lines[0] if len(lines) == 1 else b"\n".join(lines)
