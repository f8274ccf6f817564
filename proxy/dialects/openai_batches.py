"""
OpenAI batches: POST /v1/batches, which has the requests of an uploaded file answered.

Shapes: openai-python `types/batch_create_params.py`; Azure OpenAI's `input_blob` and `output_folder`. The
body holds no request: what its file holds was read when it was uploaded (`openai_files.py`), and
`batches.py` has it judged anew for every batch of it but the first.
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    UnreadableBody,
    read_json,
    refuse_lookalikes,
    string,
    wrong_type,
)
from proxy.dialects.openai_files import MAX_ID, ResultLines
from proxy.dialects.openai_replies import openai_refusal
from proxy.facts import Ask

FILE: Final = "input_file_id"
_KEYS: Final = frozenset([FILE, "input_blob", "output_folder", "endpoint", "completion_window"])


def read(body: bytes, _path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    refuse_lookalikes(parsed, _KEYS)
    name = parsed.get(FILE)
    if name is None and not lies_elsewhere(parsed):
        raise wrong_type(FILE, "a string")
    if name is not None and not 0 < len(string(name, FILE)) <= MAX_ID:
        raise UnreadableBody("wrong_type", "input_file_id must be the id of a file.")
    if parsed.get("endpoint") is not None:
        string(parsed["endpoint"], "endpoint")
    return ReadAsk(Ask(model=None, parameters=tuple(parsed)), parsed)


def lies_elsewhere(parsed: JsonObject) -> bool:
    """Whether requests are read from, or answers written to, where nobody looks: another's storage."""
    return any(
        key == "output_folder" or (key.startswith("input_") and key != FILE) for key in parsed
    )


class OpenAIBatches:
    """See `base.Dialect`."""

    name = "openai_batches"
    path_hints: tuple[str, ...] = ()
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    refusal = staticmethod(openai_refusal)

    def asks_of(self, _parsed: JsonObject, _path: str) -> tuple[Ask, ...]:
        """A line of a batch that makes a batch: no such route can be called so."""
        raise UnreadableBody("wrong_type", "A batch cannot call this route.")

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: results report their usage unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply: a batch, whose usage so far may stand in it."""
        return ResultLines()


OPENAI_BATCHES = OpenAIBatches()
