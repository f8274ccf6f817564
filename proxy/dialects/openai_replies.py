"""What OpenAI's surfaces answer: usage in plain and streamed replies, and errors."""

from __future__ import annotations

import re
from typing import Any

import orjson

from proxy.dialects.base import RefusalReply
from proxy.dialects.refusals import public_message, refusal_headers
from proxy.dialects.replies import PlainReader, StreamReader, added, tokens, word
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


class OpenAIStream(StreamReader):
    """Reads chat.completion.chunk events: reasons at their choices' ends, usage in the last chunk."""

    __slots__ = ()
    delta_mark = b'"delta":'

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

    def estimated_output_tokens(self) -> int:
        """One for each chunk with a delta."""
        # One token a chunk at the source. Bytes would say less: ids, logprobs and padding differ.
        return self.deltas


class CompletionStream(OpenAIStream):
    """Reads legacy completion events: a piece's text stands in its choice, without a delta."""

    __slots__ = ()
    delta_mark = b'"text":'


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


class ResponsesStream(StreamReader):
    """Reads the events of a response: usage and end in its last one, with the whole response."""

    __slots__ = ()
    delta_mark = b'"response.output_text.delta"'

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

    def estimated_output_tokens(self) -> int:
        """One for each delta."""
        return self.deltas


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
