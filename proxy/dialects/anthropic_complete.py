"""
Anthropic's legacy text completions: POST /v1/complete.

Shapes: anthropic-python `types/completion_create_params.py`, `completion.py`. Replies report no
usage, so it is estimated from what passes.
"""

from __future__ import annotations

from proxy.dialects.anthropic_messages import end_user
from proxy.dialects.anthropic_replies import CompletePlain, CompleteStream, anthropic_refusal
from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    boolean,
    limit,
    number,
    read_json,
    refuse_lookalikes,
    string,
)
from proxy.facts import Ask, Turn

_KEYS = frozenset(
    ["model", "prompt", "stream", "max_tokens_to_sample", "temperature", "top_p", "metadata"]
)


def read(body: bytes, path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    return ReadAsk(asks_of(parsed, path)[0], parsed)


def asks_of(parsed: JsonObject, _path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`. The prompt is one turn, whatever it holds of `Human:` and `Assistant:`."""
    refuse_lookalikes(parsed, _KEYS)
    get = parsed.get
    most = get("max_tokens_to_sample")
    ask = Ask(
        None if (value := get("model")) is None else string(value, "model"),
        (Turn("user", string(get("prompt"), "prompt")),),
        stream=(value := get("stream")) is not None and boolean(value, "stream"),
        max_output_tokens=None if most is None else limit(most, "max_tokens_to_sample"),
        temperature=None if (value := get("temperature")) is None else number(value, "temperature"),
        top_p=None if (value := get("top_p")) is None else number(value, "top_p"),
        end_user=None if (value := get("metadata")) is None else end_user(value),
        parameters=tuple(parsed),
    )
    return (ask,)


class AnthropicComplete:
    """See `base.Dialect`."""

    name = "anthropic_complete"
    path_hints = ("/v1/complete",)
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(anthropic_refusal)

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: the API reports none."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply."""
        return CompleteStream() if streamed else CompletePlain()


ANTHROPIC_COMPLETE = AnthropicComplete()
