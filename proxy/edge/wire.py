"""
Answers on the wire: status line, headers and framing, written straight to the client's transport.

aiohttp's own response classes add, guess and copy headers; a proxy must say what the upstream said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from proxy.passage import Progress

HeaderPairs = Iterable[tuple[bytes, bytes]]

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_LAST_CHUNK = b"0\r\n\r\n"


class Answered:
    """What the handler gives back to aiohttp: everything has been written already."""

    __slots__ = ("keep_alive", "status")

    def __init__(self, status: int, *, keep_alive: bool) -> None:
        self.status = status
        self.keep_alive = keep_alive

    async def prepare(self, _request: web.BaseRequest) -> None:
        """Nothing is left to write."""

    async def write_eof(self) -> None:
        """Nothing is left to write."""


class ClientWire:
    """The client's side of one exchange. Raises ConnectionResetError once the client has gone."""

    __slots__ = (
        "_http10",
        "_writer",
        "chunked",
        "keep_alive",
        "progress",
        "waiting",
        "without_body",
    )

    def __init__(self, request: web.BaseRequest, progress: Progress) -> None:
        self.progress = progress
        self._writer: Any = request.writer
        self._http10 = request.version < (1, 1)
        self.keep_alive = request.keep_alive
        self.without_body = request.method == "HEAD"
        self.chunked = False
        self.waiting = False
        """True while the client is waited for, so that a stall is blamed on the right side."""

    @property
    def begun(self) -> bool:
        """Whether an answer has been started."""
        return self.progress.status is not None

    @property
    def transport(self) -> asyncio.Transport:
        """The live transport."""
        transport: asyncio.Transport | None = self._writer.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        return transport

    def answer(self, status: int, reason: str, headers: HeaderPairs, body: bytes) -> None:
        """Write a whole answer at once."""
        pairs = [pair for pair in headers if pair[0].lower() != b"content-length"]
        if not _bodiless(status):
            pairs.append((b"Content-Length", b"%d" % len(body)))
        head = self._head(status, reason, pairs)
        if self.without_body or _bodiless(status):
            body = b""
        self.transport.write(head + body if body else head)
        self.progress.bytes_out += len(body)

    def start(
        self, status: int, reason: str, headers: list[tuple[bytes, bytes]], length: int | None
    ) -> None:
        """Write the head of an answer whose body follows: `length` bytes, or chunks for None."""
        if length is None and not _bodiless(status) and not self.without_body:
            if self._http10:
                self.keep_alive = False
            else:
                self.chunked = True
                headers.append((b"Transfer-Encoding", b"chunked"))
        self.transport.write(self._head(status, reason, headers))

    def write(self, data: bytes) -> bool:
        """Write a part of the body now; True where the client reads slower than we write: `drain`."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)
        self.progress.bytes_out += len(data)
        paused: bool = self._writer.protocol.writing_paused
        return paused

    async def drain(self) -> None:
        """Wait until the client has read most of what was written."""
        self.waiting = True
        await self._writer.drain()
        self.waiting = False

    def end(self) -> None:
        """The body is complete."""
        if self.chunked:
            self.transport.write(_LAST_CHUNK)

    def proceed(self) -> None:
        """Answer `Expect: 100-continue`, which aiohttp's low-level server leaves to us."""
        if not self._http10:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def cut(self) -> None:
        """Abort the connection: the client must not take what it has for the whole."""
        self.keep_alive = False
        transport: asyncio.Transport | None = self._writer.transport
        if transport is not None:
            transport.abort()

    def done(self) -> Answered:
        """What aiohttp is told after the last byte."""
        return Answered(self.progress.status or 0, keep_alive=self.keep_alive)

    def _head(self, status: int, reason: str, headers: HeaderPairs) -> bytes:
        self.progress.status = status
        shown = reason and reason.isascii() and reason.isprintable()
        phrase = reason.encode("ascii") if shown else _REASONS.get(status, b"")
        lines = [b"HTTP/1.1 %d %b" % (status, phrase)]
        lines += [b"%b: %b" % pair for pair in headers]
        if not self.keep_alive:
            lines.append(b"Connection: close")
        elif self._http10:
            lines.append(b"Connection: keep-alive")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)


def closing_answer(status: int, headers: HeaderPairs, body: bytes) -> bytes:
    """A whole answer to bytes that never became a request, after which the connection ends."""
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b""))]
    lines += [b"%b: %b" % pair for pair in headers]
    lines += [b"Content-Length: %d" % len(body), b"Connection: close", b"", body]
    return b"\r\n".join(lines)


def _bodiless(status: int) -> bool:
    return status in {204, 304} or 100 <= status < 200
