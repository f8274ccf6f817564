"""
Anthropic message batches: POST /v1/messages/batches, a list of messages' bodies to be answered later.

Shapes: anthropic-python `types/messages/batch_create_params.py`, `message_batch_individual_response.py`.
Each request of a batch is judged as if it had come alone. Its results are JSON lines, metered to whoever
reads them.
"""

from __future__ import annotations

from typing import Any

from proxy.dialects import anthropic_messages
from proxy.dialects.anthropic_replies import anthropic_refusal, message_usage
from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    UnreadableBody,
    mapping,
    read_json,
    refuse_lookalikes,
    wrong_type,
)
from proxy.dialects.lines import LinesReader
from proxy.facts import Ask, Usage

_KEYS = frozenset(["requests"])
_REQUEST_KEYS = frozenset(["custom_id", "params"])


def read(body: bytes, path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    first, *more = asks_of(parsed, path)
    return ReadAsk(first, parsed, tuple(more))


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`: one for each request."""
    refuse_lookalikes(parsed, _KEYS)
    requests = parsed.get("requests")
    if type(requests) is not list:
        raise wrong_type("requests", "an array")
    if not requests:
        raise UnreadableBody("wrong_type", "requests must not be empty.")
    asks: list[Ask] = []
    for index, request in enumerate(requests):
        fields = mapping(request, f"requests[{index}]")
        refuse_lookalikes(fields, _REQUEST_KEYS)
        params = mapping(fields.get("params"), f"requests[{index}].params")
        asks += anthropic_messages.asks_of(params, path)
    return tuple(asks)


class ResultsReader(LinesReader):
    """Reads the results of a batch: each line has its message's usage."""

    __slots__ = ()
    answer_mark = b'"result"'

    def take(self, line: dict[str, Any]) -> Usage | bool:
        """The usage of one result. One that failed is no answer."""
        result = line.get("result")
        message = result.get("message") if type(result) is dict else None
        usage = message.get("usage") if type(message) is dict else None
        return message_usage(usage) if type(usage) is dict else bool(message)


class AnthropicBatches:
    """See `base.Dialect`."""

    name = "anthropic_batches"
    path_hints: tuple[str, ...] = ()
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(anthropic_refusal)

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: results report their usage unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply: a batch, or the results of one."""
        return ResultsReader()


ANTHROPIC_BATCHES = AnthropicBatches()
