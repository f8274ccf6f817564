"""What the readers of uploads promise of any bytes; the others: `tests/fuzz/targets.py`."""

from __future__ import annotations

import asyncio
import io
import json
import warnings
from collections.abc import Iterable
from typing import Final, cast

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from proxy.batchfile import BatchFile
from proxy.dialects.jsonbody import UnreadableBody
from proxy.edge.body import BodyMemory
from proxy.edge.upload import Form, UploadRefused
from proxy.errors import Refusal
from proxy.facts import Ask, Route

_BATCH_KEYS: Final = {"url", "body"}


async def _no_objection(_route: Route, _ask: Ask) -> Refusal | None:
    return None


def _refused(error: UnreadableBody) -> Refusal:
    return Refusal(400, error.reason, error.message)


async def _through(file: BatchFile, data: bytes, cut: int) -> bytes | None:
    """What of a batch's file goes on; None where it is refused."""
    passed = b""
    for start in range(0, len(data), cut):
        cleared = await file.data(data[start : start + cut])
        if isinstance(cleared, Refusal):
            return None
        passed += cleared
        assert len(passed) + file.held == min(start + cut, len(data))
    cleared = await file.end_of_file()
    return None if isinstance(cleared, Refusal) else passed + cleared


def _requests(lines: Iterable[str]) -> int:
    """How many lines a reader takes for requests that skips whatever it cannot read."""
    found = 0
    for line in lines:
        try:
            read = json.loads(line)
        except (ValueError, RecursionError):
            continue
        found += isinstance(read, dict) and read.keys() >= _BATCH_KEYS
    return found


def batch_file(data: bytes) -> None:
    """A batch's file goes on as it came, however it is cut; and whichever ends of lines its reader
    knows, it finds no request that was not judged."""
    cut, text = (data[0] or 1, data[1:]) if data else (1, b"")
    file = BatchFile(_no_objection, lambda _: None, _refused)
    assert file.field("purpose", b"batch") is None
    passed = asyncio.run(_through(file, text, cut))
    if passed is None:
        return
    assert passed == text
    decoded = passed.decode()
    for lines in (decoded.split("\n"), io.StringIO(decoded, newline=None), decoded.splitlines()):
        assert _requests(lines) <= file.asks


class _Kept:
    """An inspector that keeps what it is shown."""

    held = 0

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self.file = b""

    def field(self, name: str, value: bytes) -> Refusal | None:
        self.fields[name] = value
        return None

    async def data(self, data: bytes) -> bytes | Refusal:
        self.file += data
        return data

    async def end_of_file(self) -> bytes | Refusal:
        return b""

    async def finish(self) -> Refusal | None:
        return None


async def _form(body: bytes, boundary: str, kept: _Kept, memory: BodyMemory) -> bytes | None:
    """A form as it is written anew; None where it is refused."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    stream = StreamReader(protocol, 2**24, loop=loop)
    stream.feed_data(body)
    stream.feed_eof()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = make_mocked_request("POST", "/v1/files", kind, payload=stream)
    form = Form(cast("web.BaseRequest", request), kept, 5.0, memory)
    try:
        written = b"".join([piece async for piece in form.pieces()])
    except UploadRefused:
        return None
    finally:
        form.release()
    return written + b"\n" + form.content_type.encode()


def upload_form(data: bytes) -> None:
    """A form is refused, or written anew so that reading that again shows the same; no memory is kept."""
    memory, kept, again = BodyMemory(2**24), _Kept(), _Kept()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # aiohttp's, of headers that are refused
        written = asyncio.run(_form(data, "B", kept, memory))
    assert memory.used == 0
    if written is None:
        return
    body, _, kind = written.rpartition(b"\n")
    boundary = kind.partition(b"boundary=")[2].decode()
    assert asyncio.run(_form(body + b"\n", boundary, again, memory)) is not None
    assert (again.fields, again.file) == (kept.fields, kept.file)
