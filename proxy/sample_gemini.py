"""What the sample model answers on Gemini's API: a whole reply, or the pieces of a streamed one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import orjson


def reply(
    model: str | None, tokens: Sequence[str], input_tokens: int, *, cut: bool, choices: int = 1
) -> dict[str, Any]:
    """A whole GenerateContentResponse."""
    return {
        "candidates": [_candidate(index, "".join(tokens), cut=cut) for index in range(choices)],
        "usageMetadata": _usage(input_tokens, len(tokens) * choices),
        **_about(model, uuid.uuid4().hex),
    }


def pieces(
    model: str | None, tokens: Sequence[str], input_tokens: int, *, cut: bool, choices: int = 1
) -> list[dict[str, Any]]:
    """The pieces of a stream, one token of every candidate in each; usage so far in all of them."""
    about = _about(model, uuid.uuid4().hex)
    last = len(tokens) - 1
    return [
        {
            "candidates": [
                _candidate(index, token, cut=cut, ended=number == last) for index in range(choices)
            ],
            "usageMetadata": _usage(input_tokens, (number + 1) * choices),
            **about,
        }
        for number, token in enumerate(tokens)
    ]


def as_array(parts: Sequence[dict[str, Any]]) -> list[bytes]:
    """The pieces as the one JSON array that a stream is without `alt=sse`, written bit by bit."""
    written = [orjson.dumps(part, option=orjson.OPT_INDENT_2) for part in parts]
    return [b"[" + written[0], *(b"\n,\r\n" + part for part in written[1:]), b"\n]\n"]


def listed(id_: str) -> dict[str, Any]:
    """One model, as the list of models has it."""
    return {
        "name": f"models/{id_}",
        "version": "1",
        "displayName": id_,
        "supportedGenerationMethods": ["generateContent"],
    }


def _candidate(index: int, text: str, *, cut: bool, ended: bool = True) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"parts": [{"text": text}], "role": "model"},
        "index": index,
    }
    if ended:
        candidate["finishReason"] = "MAX_TOKENS" if cut else "STOP"
    return candidate


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "promptTokenCount": input_tokens,
        "candidatesTokenCount": output_tokens,
        "totalTokenCount": input_tokens + output_tokens,
    }


def _about(model: str | None, response_id: str) -> dict[str, Any]:
    return {"modelVersion": model, "responseId": response_id}
