"""
A reader of JSON lines, such as a batch's results: each has a usage, and they add up.

Whoever reads results pays for all of them: a line that tells no usage, that breaks off or is too long to be
read, counts by its bytes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jiter

from proxy.dialects.replies import BYTES_PER_TOKEN, MAX_PLAIN_BYTES, added
from proxy.facts import NO_USAGE, Usage


class LinesReader:
    """Reads JSON lines as they pass. Dialects say where an answer stands in one."""

    usage_keeps_up: ClassVar[bool] = True
    """See `base.ReplyReader`."""
    answer_mark: ClassVar[bytes]
    """The key that every answer stands behind, as it is written: inside of a JSON string its quotes would
    be escaped, so that a line without it holds no answer, nor the beginning of one."""

    __slots__ = (
        "_long",
        "_rest",
        "finish_reason",
        "response_id",
        "response_model",
        "unread",
        "usage",
    )

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.response_id: str | None = None
        self.response_model: str | None = None
        self.unread = 0
        """Bytes of lines that were too long to be read, or tell of no usage."""
        self._rest = b""
        self._long = False
        """Whether what comes is the rest of a line that is too long."""

    def take(self, line: dict[str, Any]) -> Usage | bool:
        """The usage that one line tells of; else whether it holds an answer all the same."""
        raise NotImplementedError

    def estimated_output_tokens(self) -> int:
        """By the bytes that were not read: what is no result holds no output."""
        return self.unread_output_tokens()

    def unread_output_tokens(self) -> int:
        """See `base.ReplyReader`. A line that has not ended yet is one that was not read."""
        begun = len(self._rest) if self.answer_mark in self._rest else 0
        return (self.unread + begun) // BYTES_PER_TOKEN

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._rest + lines[0]
            self._rest = rest
            for line in lines:
                self._read(line)
        else:
            self._rest += rest
        if self._long or len(self._rest) > MAX_PLAIN_BYTES:
            self.unread += len(self._rest)
            self._rest = b""
            self._long = True
        return data

    def finish(self) -> bytes:
        """Nothing is ever held back."""
        rest, self._rest = self._rest, b""
        self._read(rest)
        return b""

    def _read(self, line: bytes) -> None:
        if self._long:
            self._long = False
            self.unread += len(line)
            return
        if b'"usage' not in line and self.answer_mark not in line:
            return
        try:
            parsed = jiter.from_json(line, cache_mode="none")
        except ValueError:
            told: Usage | bool = self.answer_mark in line
        else:
            told = type(parsed) is dict and self.take(parsed)
        if isinstance(told, Usage) and told != NO_USAGE:
            self.usage = added(self.usage, told)
        elif told:
            self.unread += len(line)
