"""
OpenAI files: an uploaded file of JSON lines, each a request to be answered later.

Shapes: openai-python `types/file_create_params.py`, `file_object.py`. Each line names a
known route and holds its body: it is judged as if it had come there alone. Results are JSON lines too,
metered to whoever reads them. How a file is read while it is on its way: `batchfile.py`; what makes a
batch of it: `openai_batches.py`.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import JsonObject, UnreadableBody
from proxy.dialects.lines import LinesReader
from proxy.dialects.openai_replies import any_usage, openai_refusal
from proxy.dialects.replies import PlainReader
from proxy.facts import Ask, Usage

MAX_ID: Final = 256
"""Characters of a file's id."""
MAX_REPLY: Final = 64 * 1024
"""Bytes of the reply to an upload. A longer one passes unread, and its file is not known afterwards."""


class ResultLines(LinesReader):
    """Reads the file of a batch's results: each line has its reply's usage."""

    __slots__ = ()
    answer_mark = b'"response"'

    def take(self, line: dict[str, Any]) -> Usage | bool:
        """The usage of one reply. One that failed is no answer."""
        response = line.get("response")
        body = response.get("body") if type(response) is dict else None
        if type(body) is not dict:
            return bool(body)
        return any_usage(body.get("usage")) or not body.get("error")


class UploadReply(PlainReader):
    """Reads the reply to an upload, which goes on only when it is whole: nobody knows a file's id before
    it has been noted here."""

    __slots__ = ("_held", "file_id")

    def __init__(self) -> None:
        super().__init__()
        self.file_id: str | None = None
        self._held: list[bytes] = []

    def take(self, reply: dict[str, Any]) -> None:
        """Learn the file's id."""
        name = reply.get("id")
        if type(name) is str and 0 < len(name) <= MAX_ID:
            self.file_id = name

    def estimated_output_tokens(self) -> int:
        """None: no model has answered."""
        return 0

    def feed(self, data: bytes) -> bytes:
        """Nothing of a reply that may yet tell an id."""
        super().feed(data)
        if self.bytes <= MAX_REPLY:
            self._held.append(data)
            return b""
        return self._all() + data

    def finish(self) -> bytes:
        """What was held back, with the id in it."""
        if self.bytes <= MAX_REPLY:
            super().finish()
        return self._all()

    def _all(self) -> bytes:
        held = b"".join(self._held)
        self._held.clear()
        return held


class OpenAIFiles:
    """See `base.Dialect`. Bodies of its own are forms: `read` is for none of them."""

    name = "openai_files"
    path_hints: tuple[str, ...] = ()
    header_hints: tuple[bytes, ...] = ()

    refusal = staticmethod(openai_refusal)

    def read(self, _body: bytes, _path: str) -> ReadAsk:
        """A file is read as it arrives, never whole."""
        raise UnreadableBody("content_type", "A file must be sent as multipart/form-data.")

    def asks_of(self, _parsed: JsonObject, _path: str) -> tuple[Ask, ...]:
        """A line of a batch that uploads a file: no such route can be called so."""
        raise UnreadableBody("wrong_type", "A batch cannot call this route.")

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: results report their usage unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply."""
        return ResultLines()


OPENAI_FILES = OpenAIFiles()
