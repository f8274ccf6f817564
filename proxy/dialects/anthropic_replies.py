"""What the Anthropic API answers: usage in plain and streamed messages, and errors."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.dialects.base import RefusalReply
from proxy.dialects.jsonbody import JsonObject
from proxy.dialects.refusals import public_message, refusal_headers
from proxy.dialects.replies import BYTES_PER_TOKEN, PlainReader, StreamReader, tokens, word
from proxy.errors import Refusal
from proxy.facts import Usage


def _usage(usage: JsonObject, known: Usage) -> Usage:
    """What `usage` says, over what was `known`: a stream's figures are cumulative, so none shrinks.

    The API counts cached input apart; OpenTelemetry's `gen_ai.usage.input_tokens` and other dialects
    mean all of it, so it is added up here.
    """
    details = usage.get("output_tokens_details")
    fresh = tokens(usage.get("input_tokens"))
    cached = tokens(usage.get("cache_read_input_tokens"))
    written = tokens(usage.get("cache_creation_input_tokens"))
    whole = None if fresh is None else fresh + (cached or 0) + (written or 0)
    thought = tokens(details.get("thinking_tokens")) if type(details) is dict else None
    return Usage(
        input_tokens=_larger(known.input_tokens, whole),
        output_tokens=_larger(known.output_tokens, tokens(usage.get("output_tokens"))),
        reasoning_tokens=_larger(known.reasoning_tokens, thought),
        cached_tokens=_larger(known.cached_tokens, cached),
    )


def message_usage(usage: JsonObject) -> Usage:
    """The usage object of one whole message."""
    return _usage(usage, Usage())


def _larger(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


class AnthropicStream(StreamReader):
    """Reads message events: input usage in message_start, cumulative output in message_delta."""

    __slots__ = ()
    delta_mark = b'"content_block_delta"'

    # The lines and the JSON around the text of a text_delta; those of content_block_start and ping.
    _delta_wrapper_bytes = 115
    _opening_bytes = 160

    def noteworthy(self, events: bytes) -> bool:
        """Whether a usage object stands in there; finish reasons come with one."""
        return b'"usage"' in events

    def take(self, event: dict[str, Any]) -> bool:
        """Take over usage and stop reason. No event holds usage alone."""
        message = event.get("message")
        usage = event.get("usage")
        if type(message) is dict:
            usage = message.get("usage")
            self.response_id = word(message.get("id"))
            self.response_model = word(message.get("model"))
        if type(usage) is dict:
            self.usage = _usage(usage, self.usage or Usage())
        delta = event.get("delta")
        reason = delta.get("stop_reason") if type(delta) is dict else None
        if type(reason) is str:
            self.finish_reason = reason
        return False

    def estimated_output_tokens(self) -> int:
        """By the bytes of text, for a delta holds several tokens."""
        text = self.bytes - self._opening_bytes - self.deltas * self._delta_wrapper_bytes
        return max(self.deltas, text // BYTES_PER_TOKEN) if self.deltas else 0


class AnthropicPlain(PlainReader):
    """Reads one message."""

    __slots__ = ()

    def take(self, reply: dict[str, Any]) -> None:
        """Take over usage and stop reason."""
        usage = reply.get("usage")
        if type(usage) is dict:
            self.usage = _usage(usage, Usage())
        reason = reply.get("stop_reason")
        self.finish_reason = reason if type(reason) is str else None
        self.response_id = word(reply.get("id"))
        self.response_model = word(reply.get("model"))


class CompleteStream(AnthropicStream):
    """Reads legacy completion events, which hold text and, in the last one, why it stopped."""

    __slots__ = ()
    delta_mark = b'"completion":'
    _opening_bytes = 0

    def noteworthy(self, events: bytes) -> bool:
        """Whether a stop reason stands in there."""
        return b'"stop_reason":"' in events or b'"stop_reason": "' in events

    def take(self, event: dict[str, Any]) -> bool:
        """Take over stop reason, id and model."""
        reason = event.get("stop_reason")
        self.finish_reason = reason if type(reason) is str else None
        self.response_id = word(event.get("id"))
        self.response_model = word(event.get("model"))
        return False


class CompletePlain(AnthropicPlain):
    """Reads one legacy completion."""

    __slots__ = ()


_ERRORS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def anthropic_refusal(
    refusal: Refusal, request_id: str, contact_url: str | None = None
) -> RefusalReply:
    """A refusal as `{"type": "error", "error": {type, message}, "request_id"}`."""
    default = "invalid_request_error" if refusal.status < 500 else "api_error"
    body = {
        "type": "error",
        "error": {
            "type": _ERRORS.get(refusal.status, default),
            "message": public_message(refusal, contact_url),
        },
        "request_id": request_id,
    }
    headers = refusal_headers(refusal, request_id, b"request-id")
    return RefusalReply(refusal.status, headers, orjson.dumps(body))
