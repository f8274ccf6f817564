"""
Gemini batches: POST /v1beta/models/{model}:batchGenerateContent with the requests in the body.

Shapes: python-genai `types.py`, CreateBatchJob; googleapis `generative_service.proto`,
GenerateContentBatch. Each request is judged as if it had come alone. A batch whose requests lie in an
uploaded file cannot be read, for Gemini's uploads do not pass here.
"""

from __future__ import annotations

from typing import Any, Final

import jiter
import orjson

from proxy.dialects import gemini_generate
from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.gemini_replies import GeminiReply, gemini_refusal, gemini_usage
from proxy.dialects.jsonbody import JsonObject, UnreadableBody, mapping, read_json, wrong_type
from proxy.dialects.protojson import Message, repeated
from proxy.dialects.replies import BYTES_PER_TOKEN, MAX_PLAIN_BYTES, PlainReader, added
from proxy.facts import Ask

_ANSWER: Final = b'"response"'
"""The key that every answer stands behind; inside of a JSON string its quotes would be escaped."""
_BODY = Message("batch")
_BATCH = Message("model", "displayName", "inputConfig", "priority")
_INPUT = Message("requests", "fileName")
_REQUESTS = Message("requests")
_REQUEST = Message("request", "metadata")


def read(body: bytes, path: str) -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    first, *more = asks_of(parsed, path)
    return ReadAsk(first, parsed, tuple(more))


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`: one for each request."""
    batch = _BATCH.read(_BODY.read(parsed, "body").get("batch"), "batch")
    gemini_generate.model_of(batch.get("model"), path)
    given = _INPUT.read(batch.get("inputConfig"), "batch.inputConfig")
    if "fileName" in given:
        raise UnreadableBody("wrong_type", "Requests must stand in the body, not in a file.")
    field = "batch.inputConfig.requests.requests"
    requests = repeated(_REQUESTS.read(given.get("requests"), field).get("requests"))
    if not requests:
        raise wrong_type(field, "an array that is not empty")
    asks: list[Ask] = []
    for index, one in enumerate(requests):
        request = _REQUEST.read(one, f"{field}[{index}]").get("request")
        asks += gemini_generate.asks_of(mapping(request, f"{field}[{index}].request"), path)
    return tuple(asks)


class BatchReply(PlainReader):
    """Reads a batch with the answers in it, or a file of answers, one a line."""

    __slots__ = ("_unread",)

    def __init__(self) -> None:
        super().__init__()
        self._unread = 0
        """Bytes of answers that tell of no usage."""

    def take(self, reply: dict[str, Any]) -> None:
        """Add up the usage of all answers that stand in there."""
        response = reply.get("response")
        held = response if type(response) is dict else reply
        inlined = held.get("inlinedResponses")
        answers = inlined.get("inlinedResponses") if type(inlined) is dict else [reply]
        for answer in answers if type(answers) is list else ():
            one = answer.get("response") if type(answer) is dict else None
            metadata = one.get("usageMetadata") if type(one) is dict else None
            if type(metadata) is dict:
                self.usage = added(self.usage, gemini_usage(metadata))
            elif type(one) is dict and "candidates" in one:
                self._unread += len(orjson.dumps(one))

    def estimated_output_tokens(self) -> int:
        """By the bytes of what was not read; none of a batch that has no answers yet."""
        if self.bytes > MAX_PLAIN_BYTES:
            return super().estimated_output_tokens()
        return self.unread_output_tokens()

    def unread_output_tokens(self) -> int:
        """See `base.ReplyReader`. What has not come to its end yet was not read."""
        begun = b"".join(self._parts)
        return (self._unread + (len(begun) if _ANSWER in begun else 0)) // BYTES_PER_TOKEN

    def read_whole(self, body: bytes) -> None:
        """A batch is one object over many lines; results are many of one line."""
        lines = (
            body.split(b"\n") if body.count(b'{"response"') + body.count(b'"key"') > 1 else [body]
        )
        for line in lines:
            try:
                parsed = jiter.from_json(line, cache_mode="none")
            except ValueError:
                self._unread += len(line) if _ANSWER in line else 0
                continue
            if type(parsed) is dict:
                self.take(parsed)


class GeminiBatch:
    """See `base.Dialect`."""

    name = "gemini_batch"
    path_hints: tuple[str, ...] = ()
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(gemini_refusal)

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: every answer reports its usage unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply."""
        return GeminiReply() if streamed else BatchReply()


GEMINI_BATCH = GeminiBatch()
