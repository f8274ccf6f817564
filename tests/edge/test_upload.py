"""A form is read to its bounds and no further."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from proxy.edge import upload
from proxy.edge.body import NO_MEMORY, TOO_LARGE, TOO_SLOW, BodyMemory
from proxy.edge.upload import MALFORMED_FORM, Form, UploadRefused
from proxy.errors import Refusal
from proxy.passage import FileInspector

HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


class Everything:
    """An inspector that has nothing against anything."""

    held = 0

    def field(self, name: str, value: bytes) -> Refusal | None:
        return None

    async def data(self, data: bytes) -> bytes | Refusal:
        return data

    async def end_of_file(self) -> bytes | Refusal:
        return b""

    async def finish(self) -> Refusal | None:
        return None


class Lines(Everything):
    """One that holds back what has no end yet."""

    async def data(self, data: bytes) -> bytes | Refusal:
        self.held = 0 if b"\n" in data else self.held + len(data)
        return b""


def incoming() -> StreamReader:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    return StreamReader(protocol, 2**20, loop=loop)


def form_of(
    stream: StreamReader,
    inspector: FileInspector | None = None,
    timeout: float = 5.0,
    memory: BodyMemory | None = None,
) -> Form:
    request = make_mocked_request(
        "POST",
        "/v1/files",
        {"Content-Type": "multipart/form-data; boundary=B"},
        payload=stream,
    )
    asked = cast("web.BaseRequest", request)
    return Form(asked, inspector or Everything(), timeout, memory or BodyMemory(2**30))


async def read(body: bytes, *, whole: bool = True, timeout: float = 5.0) -> bytes:
    stream = incoming()
    stream.feed_data(body)
    if whole:
        stream.feed_eof()
    return b"".join([piece async for piece in form_of(stream, timeout=timeout).pieces()])


async def test_a_file_goes_on_up_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MAX_FILE_BYTES", 100)
    written = await read(HEAD + b"x" * 100 + b"\r\n--B--\r\n")
    assert written.count(b"x" * 100) == 1
    with pytest.raises(UploadRefused) as refused:
        await read(HEAD + b"x" * 101 + b"\r\n--B--\r\n")
    assert refused.value.refusal == TOO_LARGE


async def test_fields_are_few_and_short() -> None:
    def fields(count: int, size: int = 1) -> bytes:
        return b"".join(
            b'--B\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n%b\r\n' % (i, b"v" * size)
            for i in range(count)
        )

    assert (await read(fields(upload.MAX_FIELDS) + b"--B--\r\n")).count(b"form-data") == 16
    for body in (fields(upload.MAX_FIELDS + 1), fields(1, upload.MAX_FIELD_BYTES + 1)):
        with pytest.raises(UploadRefused) as refused:
            await read(body + b"--B--\r\n")
        assert refused.value.refusal == MALFORMED_FORM


async def test_a_client_that_stops_is_not_waited_for() -> None:
    with pytest.raises(UploadRefused) as refused:
        await read(HEAD + b"x", whole=False, timeout=0.01)
    assert refused.value.refusal == TOO_SLOW


async def test_a_client_that_trickles_is_not_waited_for_either() -> None:
    stream = incoming()
    stream.feed_data(HEAD)
    form = form_of(stream, timeout=0.2)

    async def trickle() -> None:
        while True:
            stream.feed_data(b"x" * 16)
            await asyncio.sleep(0.01)

    client = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(10):
            with pytest.raises(UploadRefused) as refused:
                _ = [piece async for piece in form.pieces()]
    finally:
        client.cancel()
    assert refused.value.refusal == TOO_SLOW


async def test_a_client_that_keeps_the_least_rate_may_take_its_time() -> None:
    stream = incoming()
    stream.feed_data(HEAD)

    async def send() -> None:
        for _ in range(20):  # ten times the rate, for twice the time that silence is borne
            stream.feed_data(b"z" * (upload.LEAST_RATE // 5))
            await asyncio.sleep(0.02)
        stream.feed_data(b"\r\n--B--\r\n")
        stream.feed_eof()

    client = asyncio.create_task(send())
    written = [piece async for piece in form_of(stream, timeout=0.2).pieces()]
    await client
    assert b"".join(written).count(b"z") == 20 * (upload.LEAST_RATE // 5)


async def test_what_is_held_is_taken_from_the_memory_of_bodies_and_given_back() -> None:
    memory = BodyMemory(300_000)
    stream = incoming()
    stream.feed_data(HEAD + b"x" * 200_000 + b"\n" + b"y" * 100_000 + b"\r\n--B--\r\n")
    stream.feed_eof()
    _ = [piece async for piece in form_of(stream, Lines(), memory=memory).pieces()]
    assert memory.used == 0
    stream = incoming()
    stream.feed_data(HEAD + b"x" * 400_000)
    form = form_of(stream, Lines(), memory=memory)
    with pytest.raises(UploadRefused) as refused:
        _ = [piece async for piece in form.pieces()]
    assert refused.value.refusal == NO_MEMORY
    assert 200_000 < memory.used <= 300_000
    form.release()
    form.release()
    assert memory.used == 0
