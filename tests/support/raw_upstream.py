"""An upstream that says exactly what a test scripts, byte for byte, and keeps what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[["Call"], Awaitable[None]]

OK = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'
)


def plain(body: bytes = OK, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    """A whole JSON reply on the wire."""
    return (
        b"HTTP/1.1 "
        + status
        + b"\r\nContent-Type: application/json\r\n"
        + headers
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


@dataclass
class Call:
    """One request as it reached the upstream."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the proxy has closed the connection."""

    @property
    def request_line(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        lines = self.head.split(b"\r\n")[1:]
        return [
            (name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)
        ]

    def header(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, values
        return values[0] if values else None

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hung_up(self) -> None:
        """Wait until the proxy leaves."""
        while await self.reader.read(65536):
            pass
        self.gone.set()

    def reset(self) -> None:
        """Break the connection without a closing handshake."""
        self.writer.transport.abort()


@dataclass
class RawUpstream:
    """Where it listens, and what it has been sent."""

    port: int
    calls: list[Call] = field(default_factory=list)
    arrivals: asyncio.Queue[Call] = field(default_factory=asyncio.Queue)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def next_call(self) -> Call:
        return await asyncio.wait_for(self.arrivals.get(), 10)


async def _read_call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    call = Call(head, b"", reader, writer)
    length = call.header(b"content-length")
    if length:
        call.body = await reader.readexactly(int(length))
    return call


@asynccontextmanager
async def raw_upstream(script: Script) -> AsyncIterator[RawUpstream]:
    """Answer each request with `script`; it may keep, close or reset the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.connections += 1
        try:
            while call := await _read_call(reader, writer):
                upstream.calls.append(call)
                upstream.arrivals.put_nowait(call)
                await script(call)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream = RawUpstream(server.sockets[0].getsockname()[1])
    try:
        yield upstream
    finally:
        server.close()
        for call in upstream.calls:
            call.writer.transport.abort()


def replying(data: bytes) -> Script:
    """A script that always sends the same bytes."""

    async def script(call: Call) -> None:
        await call.send(data)

    return script
