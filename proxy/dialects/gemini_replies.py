"""
What Gemini answers: usage and ends in plain, event-stream and array replies, and Google's errors.

A stream is asked for with `alt=sse` or without; without, it comes as one JSON array whose elements
arrive one by one. Every piece is a GenerateContentResponse of its own.
"""

from __future__ import annotations

import math
from typing import Any

import jiter
import orjson

from proxy.dialects.arraystream import ArraySplitter
from proxy.dialects.base import RefusalReply
from proxy.dialects.jsonbody import JsonObject
from proxy.dialects.refusals import public_message, refusal_headers
from proxy.dialects.replies import (
    BYTES_PER_TOKEN,
    EVENT_ENDS,
    PlainReader,
    StreamReader,
    tokens,
    word,
)
from proxy.errors import Refusal
from proxy.facts import Usage

# The JSON around a piece's text, and the line of an event around that.
_PIECE_WRAPPER_BYTES = 90


def _usage(metadata: JsonObject, known: Usage) -> Usage:
    """What `usageMetadata` says, over what was `known`: its figures are cumulative, so none shrinks.

    Gemini counts thoughts apart from the candidates' tokens and the results of its own tools apart
    from the prompt; the other dialects' outputs hold the reasoning and their inputs all that was
    read, so both are added up here. A blocked prompt has only a total.
    """
    prompt = tokens(metadata.get("promptTokenCount"))
    tools = tokens(metadata.get("toolUsePromptTokenCount"))
    given = None if prompt is None else prompt + (tools or 0)
    made = tokens(metadata.get("candidatesTokenCount"))
    thought = _larger(known.reasoning_tokens, tokens(metadata.get("thoughtsTokenCount")))
    total = tokens(metadata.get("totalTokenCount"))
    output = thought
    if made is not None:
        output = made + (thought or 0)
    elif total is not None and given is not None and total >= given:
        output = total - given
    return Usage(
        input_tokens=_larger(known.input_tokens, given),
        output_tokens=_larger(known.output_tokens, output),
        reasoning_tokens=thought,
        cached_tokens=_larger(known.cached_tokens, tokens(metadata.get("cachedContentTokenCount"))),
    )


def gemini_usage(metadata: JsonObject) -> Usage:
    """The `usageMetadata` of one whole reply."""
    return _usage(metadata, Usage())


def _tells(pieces: bytes) -> bool:
    """Whether there is anything in these bytes that is worth parsing."""
    return (
        b'"usageMetadata"' in pieces or b'"finishReason"' in pieces or b'"promptFeedback"' in pieces
    )


def _parsed(piece: bytes) -> JsonObject | None:
    """The object that a piece is; None where it is none, which is not ours to judge."""
    try:
        parsed = jiter.from_json(piece, cache_mode="none")
    except ValueError:
        return None
    return parsed if type(parsed) is dict else None


def _larger(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _end(piece: JsonObject) -> str | None:
    """The last candidate's finish reason, or why the prompt was blocked."""
    found = None
    candidates = piece.get("candidates")
    if type(candidates) is list:
        for candidate in candidates:
            reason = candidate.get("finishReason") if type(candidate) is dict else None
            if type(reason) is str and reason:
                found = reason
    feedback = piece.get("promptFeedback")
    if found is None and type(feedback) is dict:
        blocked = feedback.get("blockReason")
        found = blocked if type(blocked) is str and blocked else None
    return found


def _take(reader: StreamReader | PlainReader, piece: JsonObject) -> None:
    metadata = piece.get("usageMetadata")
    if type(metadata) is dict:
        reader.usage = _usage(metadata, reader.usage or Usage())
    reader.finish_reason = _end(piece) or reader.finish_reason
    reader.response_id = word(piece.get("responseId")) or reader.response_id
    reader.response_model = word(piece.get("modelVersion")) or reader.response_model


def _estimate(size: int, pieces: int) -> int:
    # By the bytes of text, for a piece holds many tokens.
    return max(pieces, (size - pieces * _PIECE_WRAPPER_BYTES) // BYTES_PER_TOKEN) if pieces else 0


class GeminiStream(StreamReader):
    """Reads a stream of events (`alt=sse`): cumulative usage in each, ends at the candidates' ends."""

    __slots__ = ()
    delta_mark = b'"parts"'
    usage_keeps_up = True  # each piece tells of all so far

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        # By far the commonest chunk is one event of one line with usage in it: not to cut it spares
        # two thirds of the price.
        if (
            self._idle
            and data.count(b"\n") == 2
            and data.startswith(b"data: {")
            and data.endswith(EVENT_ENDS)
            and b'"usageMetadata"' in data
            and (event := _parsed(data[6:])) is not None
        ):
            self.take(event)
            self.deltas += data.count(self.delta_mark)
            return data
        return super().feed(data)

    def noteworthy(self, events: bytes) -> bool:
        """Whether usage or an end stands in there: as a rule in every event."""
        return _tells(events)

    def take(self, event: dict[str, Any]) -> bool:
        """Take over usage and end. No event holds usage alone."""
        _take(self, event)
        return False

    def estimated_output_tokens(self) -> int:
        """By the bytes of text."""
        return _estimate(self.bytes, self.deltas)


class GeminiReply(PlainReader):
    """Reads one plain reply, or a stream without `alt=sse`: an array that arrives piece by piece.

    Which of the two it is, its first bracket tells. Everything passes at once and untouched.
    """

    __slots__ = ("_array", "_pieces")
    usage_keeps_up = True

    def __init__(self) -> None:
        super().__init__()
        self._array: ArraySplitter | None = None
        self._pieces = 0

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        if self._array is None:
            if self.bytes or not data.lstrip().startswith(b"["):
                return super().feed(data)
            self._array = ArraySplitter()
        self.bytes += len(data)
        for piece in self._array.feed(data):
            self._piece(piece)
        return data

    def _piece(self, piece: bytes) -> None:
        self._pieces += 1
        if not _tells(piece):
            return
        parsed = _parsed(piece)
        if parsed is not None:
            self.take(parsed)

    def take(self, reply: dict[str, Any]) -> None:
        """Take over usage and end."""
        _take(self, reply)

    def estimated_output_tokens(self) -> int:
        """See `base.ReplyReader`."""
        if self._array is not None:
            return _estimate(self.bytes, self._pieces)
        return super().estimated_output_tokens()


# google/rpc/code.proto, as Google's APIs map it to HTTP.
_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."


def gemini_refusal(
    refusal: Refusal, request_id: str, contact_url: str | None = None
) -> RefusalReply:
    """A refusal as `{"error": {code, message, status, details}}`, google.rpc.Status in JSON.

    The details (google/rpc/error_details.proto): ErrorInfo with the refusal's reason, RequestInfo
    with its id, for the API has no header of its own for that, and RetryInfo where there is a wait.
    """
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPE}ErrorInfo", "reason": refusal.reason.upper(), "domain": "excise"},
        {"@type": f"{_TYPE}RequestInfo", "requestId": request_id},
    ]
    if refusal.retry_after_s is not None:
        milliseconds = math.ceil(refusal.retry_after_s * 1000)
        delay = f"{milliseconds // 1000}.{milliseconds % 1000:03d}s"
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": delay})
    default = "INVALID_ARGUMENT" if refusal.status < 500 else "INTERNAL"
    error = {
        "code": refusal.status,
        "message": public_message(refusal, contact_url),
        "status": _STATUSES.get(refusal.status, default),
        "details": details,
    }
    headers = refusal_headers(refusal, request_id, None)
    return RefusalReply(refusal.status, headers, orjson.dumps({"error": error}))
