"""
A form with a file in it, read part by part as it arrives and written anew for the upstream.

Nothing is kept but the piece and the line in hand, and both count as memory of bodies. What goes on is what
was read here, in a form of our own: two readers of the caller's boundaries and part headers could see two
different files. A file that is refused part-way ends the upstream's connection in the middle of its body,
so that no upstream ever has the whole of it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import warnings
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from aiohttp import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    MultipartReader,
    hdrs,
    web,
)
from aiohttp.http_exceptions import HttpProcessingError

from proxy.edge.body import BROKEN, NO_MEMORY, TOO_LARGE, TOO_SLOW, BodyMemory
from proxy.errors import Refusal
from proxy.passage import FileInspector

# What aiohttp warns of quotes the caller's header; it is refused here, or names nothing.
for _warning in (BadContentDispositionHeader, BadContentDispositionParam):
    warnings.filterwarnings("ignore", category=_warning)

MALFORMED_FORM = Refusal(400, "malformed_form", "The form cannot be read.", close=True)

MAX_FILE_BYTES: Final = 512 * 1024 * 1024
"""The largest file that OpenAI takes."""
MAX_FIELDS: Final = 16
MAX_FIELD_BYTES: Final = 4096
PIECE: Final = 64 * 1024
LEAST_RATE: Final = 64 * 1024
"""Bytes a second that a client must send, over all the time that was spent waiting for it."""

_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}").fullmatch
_FILE_NAME = re.compile(r"[^\x00-\x1f\x7f\"\\]{1,255}").fullmatch
_TYPE = re.compile(
    r"[A-Za-z0-9.+-]{1,64}/[A-Za-z0-9.+-]{1,64}(?:; ?charset=[A-Za-z0-9-]{1,32})?"
).fullmatch
_ENCODINGS = (hdrs.CONTENT_ENCODING, hdrs.CONTENT_TRANSFER_ENCODING)


T = TypeVar("T")


class UploadRefused(Exception):  # noqa: N818 - names what has become of an upload, no fault of ours
    """What the caller is told of an upload that goes no further."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class Form:
    """One upload under way: the pieces to send on, as they are found good."""

    def __init__(
        self,
        request: web.BaseRequest,
        inspector: FileInspector,
        timeout: float,
        memory: BodyMemory,
    ) -> None:
        """`timeout` is in seconds: so far the client may fall behind LEAST_RATE, and none of its pieces
        may take longer."""
        self._request = request
        self._inspector = inspector
        self._timeout = timeout
        self._boundary = secrets.token_hex(16)
        self._names: set[str] = set()
        self._size = 0
        self._memory = memory
        self._held = 0
        self._left = timeout
        self._time = asyncio.get_running_loop().time

    @property
    def content_type(self) -> str:
        """Of the form as it is written anew."""
        return f"multipart/form-data; boundary={self._boundary}"

    async def pieces(self) -> AsyncIterator[bytes]:
        """The form written anew. Raises UploadRefused; then its end has not been given."""
        try:
            form = await self._request.multipart()
            while (part := await self._within(self._next(form))) is not None:
                async for piece in self._part(part):
                    yield piece
        except (ValueError, AssertionError, web.HTTPException, HttpProcessingError):
            raise UploadRefused(MALFORMED_FORM) from None
        except web.RequestPayloadError:
            raise UploadRefused(BROKEN) from None
        if not self._names or not self._request.content.at_eof():
            raise UploadRefused(MALFORMED_FORM)
        self._must(await self._inspector.finish())
        yield f"--{self._boundary}--\r\n".encode()

    def release(self) -> None:
        """Give the memory back; doing so twice is fine."""
        self._holds(0)

    def _holds(self, size: int) -> None:
        if size > self._held and not self._memory.take(size - self._held):
            raise UploadRefused(NO_MEMORY)
        if size < self._held:
            self._memory.give_back(self._held - size)
        self._held = size

    @staticmethod
    async def _next(form: MultipartReader) -> object:
        """The next part. A first field `_charset_` is no part to aiohttp, which bounds it by an error of
        its own; nothing here is read by it, and it does not go on."""
        try:
            return await form.next()
        except RuntimeError:
            raise UploadRefused(MALFORMED_FORM) from None

    async def _within(self, coming: Awaitable[T]) -> T:
        started = self._time()
        try:
            async with asyncio.timeout(min(self._timeout, self._left)):
                came = await coming
        except TimeoutError:
            raise UploadRefused(TOO_SLOW) from None
        self._left -= self._time() - started
        if isinstance(came, bytes | bytearray):
            self._left = min(self._left + len(came) / LEAST_RATE, self._timeout)
        return came

    async def _part(self, part: object) -> AsyncIterator[bytes]:
        if not isinstance(part, BodyPartReader) or isinstance(part, MultipartReader):
            raise UploadRefused(MALFORMED_FORM)
        name, headers = part.name, part.headers
        if name is None or not _NAME(name) or name in self._names or len(self._names) >= MAX_FIELDS:
            raise UploadRefused(MALFORMED_FORM)
        if (
            any(one in headers for one in _ENCODINGS)
            or len(headers.getall(hdrs.CONTENT_DISPOSITION)) > 1
        ):
            raise UploadRefused(MALFORMED_FORM)
        self._names.add(name)
        start = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"'
        is_file = part.filename is not None
        if is_file != (name == "file") or is_file != (name.partition("[")[0].lower() == "file"):
            # Some server could take it for the file, or the file for a field.
            raise UploadRefused(MALFORMED_FORM)
        if part.filename is None:
            value = await self._field(part)
            self._must(self._inspector.field(name, value))
            yield start.encode() + b"\r\n\r\n" + value + b"\r\n"
            return
        kind = headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
        if not _FILE_NAME(part.filename) or not _TYPE(kind):
            raise UploadRefused(MALFORMED_FORM)
        yield f'{start}; filename="{part.filename}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        while data := await self._within(part.read_chunk(PIECE)):
            assert isinstance(data, (bytes, bytearray))
            self._size += len(data)
            if self._size > MAX_FILE_BYTES:
                raise UploadRefused(TOO_LARGE)
            self._holds(self._held + len(data))
            cleared = self._must(await self._inspector.data(bytes(data)))
            if cleared:
                yield cleared
            self._holds(self._inspector.held)
        yield self._must(await self._inspector.end_of_file()) + b"\r\n"
        self._holds(0)

    async def _field(self, part: BodyPartReader) -> bytes:
        value = b""
        while data := await self._within(part.read_chunk(PIECE)):
            assert isinstance(data, (bytes, bytearray))
            value += data
            if len(value) > MAX_FIELD_BYTES:
                raise UploadRefused(MALFORMED_FORM)
        return value

    @staticmethod
    def _must(found: bytes | Refusal | None) -> bytes:
        if isinstance(found, Refusal):
            raise UploadRefused(found)
        return found or b""
