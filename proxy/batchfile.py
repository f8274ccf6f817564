"""
A batch's file on its way through: each line is judged as the request that it holds, before it goes on.

Only whole lines go on. A file whose purpose is no batch passes, but what stands in it that could be read as
a batch's line is judged all the same: not every server looks at the purpose.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from proxy.dialects.batchline import read_line
from proxy.dialects.jsonbody import UnreadableBody
from proxy.errors import Refusal
from proxy.facts import Ask, Route

_WORD = re.compile(rb"[a-z][a-z_-]{0,63}").fullmatch

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
TOO_LONG: Final = UnreadableBody("too_many_values", "A line of the file is too long.")
ONCE: Final = UnreadableBody("wrong_type", "purpose must be one word.")


class BatchFile:
    """See `passage.FileInspector`."""

    def __init__(
        self,
        judge: Callable[[Route, Ask], Awaitable[Refusal | None]],
        allows: Callable[[str], Refusal | None],
        unreadable: Callable[[UnreadableBody], Refusal | None],
    ) -> None:
        """`judge` says of each request whether it is refused, `allows` of a purpose, and `unreadable` what
        becomes of a file that holds what no reader reads in one way."""
        self._judge = judge
        self._allows = allows
        self._unreadable = unreadable
        self._rest = b""
        self._purpose: str | None = None
        self._flaw: UnreadableBody | None = None
        """Why the file is no batch's: nothing against it until it is said to be one."""
        self.asks = 0
        """Requests that it holds, as far as it has been read."""
        self.bytes = 0
        self.refusal: Refusal | None = None
        """What was said of it, where it goes no further."""

    def field(self, name: str, value: bytes) -> Refusal | None:
        """A field of the form beside the file."""
        if name != "purpose":
            return None
        if self._purpose is not None or not _WORD(value):
            return self._said(self._unreadable(ONCE))
        self._purpose = value.decode("ascii")
        refusal = self._allows(self._purpose)
        if refusal is None and self._is_batch and self._flaw is not None:
            refusal = self._unreadable(self._flaw)
        return self._said(refusal)

    async def data(self, data: bytes) -> bytes | Refusal:
        """A piece of the file; what of it, and of what was held back, may go on now."""
        self.bytes += len(data)
        whole, found, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        if len(rest) > MAX_LINE_BYTES:
            # Of a picture or a text, that is; of a batch it is a line that nobody reads.
            refusal = self._cannot_read(TOO_LONG)
            if refusal is not None:
                return refusal
            self._rest = b""
            return whole + found + rest
        for line in whole.split(b"\n"):
            if (refusal := await self._line(line)) is not None:
                return refusal
        return whole + found

    async def end_of_file(self) -> bytes | Refusal:
        """The last line, which may have no end."""
        rest, self._rest = self._rest, b""
        return await self._line(rest) or rest

    async def finish(self) -> Refusal | None:
        """The form has ended."""
        if self._purpose is None:
            return self._said(self._unreadable(ONCE))
        return None

    @property
    def _is_batch(self) -> bool:
        return self._purpose == "batch"

    async def _line(self, line: bytes) -> Refusal | None:
        if not line.strip():
            return None
        try:
            route, asks = read_line(line)
        except UnreadableBody as error:
            return self._cannot_read(error)
        for ask in asks:
            self.asks += 1
            refusal = await self._judge(route, ask)
            if refusal is not None:
                return self._said(refusal)
        return None

    def _cannot_read(self, error: UnreadableBody) -> Refusal | None:
        if self._is_batch:
            return self._said(self._unreadable(error))
        self._flaw = self._flaw or error
        return None

    def _said(self, refusal: Refusal | None) -> Refusal | None:
        self.refusal = refusal
        return refusal
