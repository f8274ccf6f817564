"""
OpenAI files and batches: an uploaded file of JSON lines, each a request to be answered later.

Shapes: openai-python `types/batch_create_params.py`, `file_create_params.py`. Each line names a
known route and holds its body: it is judged as if it had come there alone. Results are JSON lines too,
metered to whoever reads them. How a file is read while it is on its way: `upload.py`.
"""

from __future__ import annotations

from typing import Any

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import JsonObject, UnreadableBody
from proxy.dialects.openai_replies import any_usage, openai_refusal
from proxy.dialects.replies import LinesReader
from proxy.facts import Ask, Usage


class ResultLines(LinesReader):
    """Reads the file of a batch's results: each line has its reply's usage."""

    __slots__ = ()

    def take(self, line: dict[str, Any]) -> Usage | None:
        """The usage of one reply; None for one that failed."""
        response = line.get("response")
        body = response.get("body") if type(response) is dict else None
        return any_usage(body.get("usage")) if type(body) is dict else None


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
