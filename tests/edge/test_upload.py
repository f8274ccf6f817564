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
from proxy.edge.body import TOO_LARGE, TOO_SLOW
from proxy.edge.upload import MALFORMED_FORM, Form, UploadRefused
from proxy.errors import Refusal

HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


class Everything:
    """An inspector that has nothing against anything."""

    def field(self, name: str, value: bytes) -> Refusal | None:
        return None

    async def data(self, data: bytes) -> bytes | Refusal:
        return data

    async def end_of_file(self) -> bytes | Refusal:
        return b""

    async def finish(self) -> Refusal | None:
        return None


async def read(body: bytes, *, whole: bool = True, timeout: float = 5.0) -> bytes:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    stream = StreamReader(protocol, 2**16, loop=loop)
    stream.feed_data(body)
    if whole:
        stream.feed_eof()
    request = make_mocked_request(
        "POST",
        "/v1/files",
        {"Content-Type": "multipart/form-data; boundary=B"},
        payload=stream,
    )
    form = Form(cast("web.BaseRequest", request), Everything(), timeout)
    return b"".join([piece async for piece in form.pieces()])


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
