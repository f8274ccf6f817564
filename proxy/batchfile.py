"""
A batch's file on its way through: each line is judged as the request that it holds, before it goes on.

Only whole lines go on. A file whose purpose is no batch passes, and no batch can be made of it
(`batches.py`); what stands in it that could be read as a batch's line is judged or refused all the same,
for not every server looks at the purpose.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from proxy.dialects.batchline import looks_like_request, read_line, refuse_other_ends
from proxy.dialects.jsonbody import UnreadableBody
from proxy.errors import Refusal
from proxy.facts import Ask, Route

_WORD = re.compile(rb"[a-z][a-z_-]{0,63}").fullmatch

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
TOO_LONG: Final = UnreadableBody("too_many_values", "A line of the file is too long.")
ONCE: Final = UnreadableBody("wrong_type", "purpose must be one word.")

MAX_KINDS: Final = 32
"""Pairs of route and model that are told apart in one file. OpenAI's batches are of one each."""
MAX_MODEL: Final = 128
"""Characters of a model's name that is kept."""

Kind = tuple[Route, str | None]
"""A route, and the model that is asked there."""


class BatchFile:
    """See `passage.FileInspector`."""

    def __init__(
        self,
        judge: Callable[[Route, Ask], Awaitable[Refusal | None]],
        allows: Callable[[str], Refusal | None],
        unreadable: Callable[[UnreadableBody], Refusal | None],
        degrade: Callable[[Route, bytes], bytes] = lambda _route, line: line,
        path: str = "",
    ) -> None:
        """`judge` says of each request whether it is refused, `allows` of a purpose, and `unreadable` what
        becomes of a file that holds what no reader reads in one way. `degrade` gives a judged line as it
        goes on. `path` is where the file is sent."""
        self._path = path
        self._degrade = degrade
        self._judge = judge
        self._allows = allows
        self._unreadable = unreadable
        self._rest = bytearray()
        self._purpose: str | None = None
        self._flaw: UnreadableBody | None = None
        """Why the file is no batch's: nothing against it until it is said to be one."""
        self._kinds: dict[Kind, int] = {}
        self._whole = False
        self._surplus = False
        """Whether there are more kinds of requests than are told apart."""
        self.asks = 0
        """Requests that it holds, as far as it has been read."""
        self.bytes = 0
        self.refusal: Refusal | None = None
        """What was said of it, where it goes no further."""

    @property
    def held(self) -> int:
        """Bytes that are held back: the beginning of a line."""
        return len(self._rest)

    @property
    def answers(self) -> Mapping[Kind, int] | None:
        """How many answers of each kind a batch of this file makes; None where it is no batch's, or not
        all of it was read."""
        if not (self._is_batch and self._whole) or self._flaw is not None or self._surplus:
            return None
        return self._kinds or None

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
        # A piece may be six bytes: only what is new is looked through, and nothing is copied twice.
        ends = data.rfind(b"\n") + 1
        if not ends:
            self._rest += data
            return self._too_long() if len(self._rest) > MAX_LINE_BYTES else b""
        whole = bytes(self._rest) + data[:ends]
        self._rest = bytearray(data[ends:])
        lines = whole.split(b"\n")
        for at, line in enumerate(lines):
            passed = await self._line(line)
            if isinstance(passed, Refusal):
                return passed
            lines[at] = passed
        return b"\n".join(lines)

    async def end_of_file(self) -> bytes | Refusal:
        """The last line, which may have no end."""
        rest, self._rest = bytes(self._rest), bytearray()
        return await self._line(rest)

    async def finish(self) -> Refusal | None:
        """The form has ended."""
        if self._purpose is None:
            return self._said(self._unreadable(ONCE))
        self._whole = True
        return None

    @property
    def _is_batch(self) -> bool:
        return self._purpose == "batch"

    def _too_long(self) -> bytes | Refusal:
        # Of a picture or a text, that is; of a batch it is a line that nobody reads.
        refusal = self._cannot_read(TOO_LONG)
        if refusal is not None:
            return refusal
        rest, self._rest = bytes(self._rest), bytearray()
        return rest

    async def _line(self, line: bytes) -> bytes | Refusal:
        """The line as it goes on."""
        if not line.strip(b" \t\r"):
            return line
        if len(line) > MAX_LINE_BYTES:
            return self._cannot_read(TOO_LONG) or line
        try:
            refuse_other_ends(line)
            route, asks = read_line(line, self._path)
        except UnreadableBody as error:
            refusal = self._cannot_read(error)
            if refusal is None and not self._is_batch and looks_like_request(line):
                refusal = self._said(self._unreadable(error))
            return refusal or line
        for ask in asks:
            self.asks += 1
            self._note(route, ask)
            refusal = await self._judge(route, ask)
            if refusal is not None:
                self._said(refusal)
                return refusal
        return self._degrade(route, line)

    def _note(self, route: Route, ask: Ask) -> None:
        kind = (route, ask.model)
        known = self._kinds.get(kind)
        if known is None and (len(self._kinds) >= MAX_KINDS or len(ask.model or "") > MAX_MODEL):
            self._surplus = True
            return
        self._kinds[kind] = (known or 0) + ask.choices

    def _cannot_read(self, error: UnreadableBody) -> Refusal | None:
        self._flaw = self._flaw or error
        return self._said(self._unreadable(error)) if self._is_batch else None

    def _said(self, refusal: Refusal | None) -> Refusal | None:
        self.refusal = refusal
        return refusal
