"""What OpenAI's surfaces answer: usage in plain and streamed replies, and errors."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from proxy.dialects.base import RefusalReply
from proxy.dialects.refusals import public_message, refusal_headers
from proxy.dialects.replies import (
    BYTES_PER_TOKEN,
    PlainReader,
    StreamReader,
    added,
    tokens,
    word,
)
from proxy.errors import Refusal
from proxy.facts import Usage


def _usage(usage: object) -> Usage | None:
    if type(usage) is not dict:
        return None
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    return Usage(
        input_tokens=tokens(usage.get("prompt_tokens")),
        output_tokens=tokens(usage.get("completion_tokens")),
        reasoning_tokens=(
            tokens(completion.get("reasoning_tokens")) if type(completion) is dict else None
        ),
        cached_tokens=tokens(prompt.get("cached_tokens")) if type(prompt) is dict else None,
    )


def _finish_reason(choices: object) -> str | None:
    found = None
    if type(choices) is list:
        for choice in choices:
            reason = choice.get("finish_reason") if type(choice) is dict else None
            if type(reason) is str and reason:
                found = reason
    return found


_STRING: Final = rb'\s*"([^"\\]*(?:\\.[^"\\]*)*)'
"""A JSON string, which need not have come to its end yet."""
_VALUES: Final = re.compile(rb'(?<!"role")(?<!"type")(?<!"id"):' + _STRING).findall
_PLAINLY: Final = re.compile(
    rb'"delta":\{(?:"role":"assistant",)?"(?:content|reasoning(?:_content)?)":'
    + _STRING
    + rb'"(?:,"[a-z_]+":null)*\}'
).findall
"""Deltas of text alone, by far the commonest."""
_REASONS: Final = re.compile(rb'"reasoning":\s*"[^"]').search
_MEDIA: Final = (b'"audio":', b'"image_url":', b'.audio.delta"')
"""Output whose bytes tell nothing of its tokens."""
_LITTLE: Final = 2048
"""Bytes that are too few for media."""


class PiecesStream(StreamReader):
    """Counts output that comes in pieces, and the bytes of the strings in them.

    Most servers send a token a piece, and the API's padding, ids and logprobs weigh more than it does; some
    send many at once. So strings alone are measured, by expressions that are done in a microsecond.
    """

    __slots__ = ("_media", "said")

    def __init__(self, *, drop_usage: bool = False) -> None:
        super().__init__(drop_usage=drop_usage)
        self.said = 0
        """Bytes of output."""
        self._media = False

    def strings(self, events: bytes) -> list[bytes]:
        """All strings of output behind the marks."""
        raise NotImplementedError

    def count(self, events: bytes) -> None:
        """See `StreamReader.count`."""
        pieces = events.count(self.delta_mark)
        if pieces:
            self.deltas += pieces
            self._media = len(events) > _LITTLE and any(mark in events for mark in _MEDIA)
            if not self._media:
                texts = self.strings(events)
                said = texts[0] if len(texts) == 1 else b"".join(texts)
                self.said += len(said) - 3 * said.count(b"\\u")  # three bytes in UTF-8, mostly
        elif self._splitter.oversize and not self._media:
            self.said += len(events)

    def estimated_output_tokens(self) -> int:
        """One for each piece, or by their bytes where pieces hold several."""
        return max(self.deltas, self.said // BYTES_PER_TOKEN)


class OpenAIStream(PiecesStream):
    """Reads chat.completion.chunk events: reasons at their choices' ends, usage in the last chunk."""

    __slots__ = ()
    delta_mark = b'"delta":'

    def strings(self, events: bytes) -> list[bytes]:
        """What the deltas of chunks say: text, reasoning, refusals, calls with their names."""
        found = _PLAINLY(events)
        if len(found) == events.count(self.delta_mark):
            return found
        found = []
        at = events.find(b'"delta":')
        while at >= 0:
            line = events.find(b"\n", at)
            line = len(events) if line < 0 else line
            end = events.find(b'"logprobs"', at, line)
            if end < 0:
                end = events.find(b'"finish_reason"', at, line)
            end = line if end < 0 else end
            again = events.find(b'"reasoning_details"', at, end)
            if again >= 0 and _REASONS(events, at, again):
                end = again  # the same text once more
            found += _VALUES(events, at + 8, end)
            at = events.find(b'"delta":', end)
        return found

    # Every chunk has "finish_reason":null, and "usage":null once usage was asked for.
    _has_usage = staticmethod(re.compile(rb'"usage"\s*:\s*\{').search)
    _has_reason = staticmethod(re.compile(rb'"finish_reason"\s*:\s*"').search)

    def noteworthy(self, events: bytes) -> bool:
        """Whether a usage object or a finish reason stands in there."""
        return (b'"usage"' in events and self._has_usage(events) is not None) or (
            self._has_reason(events) is not None
        )

    def take(self, event: dict[str, Any]) -> bool:
        """Take over usage and finish reason."""
        choices = event.get("choices")
        self.finish_reason = _finish_reason(choices) or self.finish_reason
        usage = _usage(event.get("usage"))
        if usage is None:
            return False
        self.usage = usage
        self.response_id = word(event.get("id"))
        self.response_model = word(event.get("model"))
        return choices == []


class CompletionStream(OpenAIStream):
    """Reads legacy completion events: a piece's text stands in its choice, without a delta."""

    __slots__ = ()
    delta_mark = b'"text":'
    _texts = staticmethod(re.compile(rb'"text":' + _STRING).findall)

    def strings(self, events: bytes) -> list[bytes]:
        """The pieces' texts."""
        return self._texts(events)


def any_usage(usage: object) -> Usage | None:
    """A usage object of whichever of OpenAI's surfaces; images and responses count inputs and outputs."""
    if type(usage) is dict and "input_tokens" in usage:
        return _response_usage(usage)
    return _usage(usage)


class InputsPlain(PlainReader):
    """Reads one reply of a surface that answers no text; what it makes, if anything, its usage tells."""

    __slots__ = ()

    def take(self, reply: dict[str, Any]) -> None:
        """Take over usage."""
        self.usage = any_usage(reply.get("usage"))
        self.response_id = word(reply.get("id"))
        self.response_model = word(reply.get("model"))

    def estimated_output_tokens(self) -> int:
        """None: vectors, scores and pictures are no tokens."""
        return 0


def _response_usage(usage: object) -> Usage | None:
    if type(usage) is not dict:
        return None
    given, made = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return Usage(
        input_tokens=tokens(usage.get("input_tokens")),
        output_tokens=tokens(usage.get("output_tokens")),
        reasoning_tokens=tokens(made.get("reasoning_tokens")) if type(made) is dict else None,
        cached_tokens=tokens(given.get("cached_tokens")) if type(given) is dict else None,
    )


def _response_end(response: dict[str, Any]) -> str | None:
    """`completed`, `failed` …, or why it is incomplete."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if type(details) is dict else None
    end = reason if type(reason) is str else response.get("status")
    return end if type(end) is str and end else None


class ResponsesStream(PiecesStream):
    """Reads the events of a response: usage and end in its last one, with the whole response.

    What a model says of its reasoning, and what it calls, comes as deltas like its text.
    """

    __slots__ = ()
    delta_mark = b'"delta":'
    _deltas = staticmethod(re.compile(rb'"delta":' + _STRING).findall)

    def strings(self, events: bytes) -> list[bytes]:
        """The deltas."""
        return self._deltas(events)

    _has_usage = staticmethod(re.compile(rb'"usage"\s*:\s*\{').search)

    def noteworthy(self, events: bytes) -> bool:
        """Whether a usage object stands in there."""
        return b'"usage"' in events and self._has_usage(events) is not None

    def take(self, event: dict[str, Any]) -> bool:
        """Take over usage and how it ended. No event holds usage alone."""
        response = event.get("response")
        if type(response) is dict:
            self.usage = _response_usage(response.get("usage")) or self.usage
            self.finish_reason = _response_end(response) or self.finish_reason
            self.response_id = word(response.get("id"))
            self.response_model = word(response.get("model"))
        return False


class ResponsesPlain(PlainReader):
    """Reads one response."""

    __slots__ = ()

    def take(self, reply: dict[str, Any]) -> None:
        """Take over usage and how it ended."""
        self.usage = _response_usage(reply.get("usage"))
        self.finish_reason = _response_end(reply)
        self.response_id = word(reply.get("id"))
        self.response_model = word(reply.get("model"))


class OpenAIPlain(PlainReader):
    """Reads one chat.completion."""

    __slots__ = ()

    def take(self, reply: dict[str, Any]) -> None:
        """Take over usage and finish reason; of a list of stored completions, the sum of all."""
        self.usage = _usage(reply.get("usage"))
        stored = reply.get("data")
        for one in stored if type(stored) is list else ():
            if type(one) is dict and (usage := _usage(one.get("usage"))) is not None:
                self.usage = added(self.usage, usage)
        self.finish_reason = _finish_reason(reply.get("choices"))
        self.response_id = word(reply.get("id"))
        self.response_model = word(reply.get("model"))


_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("request_forbidden", None),
    408: ("timeout", None),
    429: ("requests", "rate_limit_exceeded"),
}


def openai_refusal(
    refusal: Refusal, request_id: str, contact_url: str | None = None
) -> RefusalReply:
    """A refusal as `{"error": {message, type, param, code}}`.

    The code is the API's own where SDK users match on it (401, 429), else the refusal's reason.
    """
    default = "invalid_request_error" if refusal.status < 500 else "server_error"
    kind, code = _ERRORS.get(refusal.status, (default, None))
    error = {
        "message": public_message(refusal, contact_url),
        "type": kind,
        "param": None,
        "code": code or refusal.reason,
    }
    headers = refusal_headers(refusal, request_id, b"x-request-id")
    return RefusalReply(refusal.status, headers, orjson.dumps({"error": error}))
