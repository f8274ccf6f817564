"""Excise inside the test's own event loop, with real sockets: quick to start, and its events at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.app import App
from proxy.clock import Clock, SystemClock
from proxy.eventlog import EventLog
from proxy.events import Event
from proxy.settings import Settings

OPEN_POLICY = "version: 1\nkeys: {missing: allow, unknown: allow}\n"


class RecordedLog(EventLog):
    """Keeps events instead of writing them."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.events: list[Event] = []
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        self.events.append(event)
        self._arrived.set()

    async def wait_for(self, name: str = "request", **wanted: Any) -> Event:
        """The first event of this name and these fields; taken out, so each is given once."""
        async with asyncio.timeout(10):
            while True:
                for event in self.events:
                    if event["event"] == name and all(event.get(k) == v for k, v in wanted.items()):
                        self.events.remove(event)
                        return event
                self._arrived.clear()
                await self._arrived.wait()


class Inside:
    """A started App and its log."""

    def __init__(self, app: App, log: RecordedLog) -> None:
        self.app = app
        self.log = log

    @property
    def port(self) -> int:
        return self.app.ports["data"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def send(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send raw bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        await writer.drain()
        return reader, writer

    async def metrics(self) -> bytes:
        """What a scrape of /metrics gives."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.app.ports["health"])
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async def exchange(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send raw bytes and read one whole answer: (status, lower-case headers, body)."""
        reader, writer = await self.send(data)
        try:
            async with asyncio.timeout(10):
                return await read_answer(reader)
        finally:
            writer.close()


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status_line.split()[1]), {name.lower(): value for name, value in headers.items()}


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """A whole answer with Content-Length, or chunked."""
    status, headers = await read_head(reader)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return status, headers, body
    return status, headers, await reader.readexactly(int(headers.get("content-length", "0")))


def post(body: bytes, path: str = "/v1/chat/completions", headers: tuple[str, ...] = ()) -> bytes:
    """A POST on the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
STREAMED = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'


@asynccontextmanager
async def excise_inside(
    folder: Path, upstream_url: str | None, policy: str = OPEN_POLICY, **settings: Any
) -> AsyncIterator[Inside]:
    """Start an App; `settings` are nested as in excise.yaml. Stopped at the end, whatever happened."""
    file = settings.pop("policy_file", None)
    if file is None:
        file = folder / "policy.yaml"
        file.write_text(policy, encoding="utf-8")
    anywhere = dict.fromkeys(("listen", "health_listen", "admin_listen"), "127.0.0.1:0")
    upstream_settings = {"url": upstream_url, **settings.pop("upstream", {})}
    settings.setdefault("drain", {"grace": 2.0})
    values = {**anywhere, "policy": file, "upstream": upstream_settings, **settings}
    clock = SystemClock()
    log = RecordedLog(clock)
    app = App(Settings.model_validate(values), log, clock)
    await app.start()
    try:
        yield Inside(app, log)
    finally:
        await app.stop()
        log.close()
