"""What the sample model answers on OpenAI's chat completions: a whole completion, or its chunks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any


def completion(
    model: str | None, tokens: Sequence[str], input_tokens: int, *, cut: bool, choices: int = 1
) -> dict[str, Any]:
    """A whole completion."""
    said = {"role": "assistant", "content": "".join(tokens), "refusal": None}
    return {
        **_head(model, "chat.completion"),
        "choices": [
            {
                "index": index,
                "message": said,
                "logprobs": None,
                "finish_reason": "length" if cut else "stop",
            }
            for index in range(choices)
        ],
        "usage": _usage(input_tokens, len(tokens) * choices),
    }


def completion_chunks(
    model: str | None,
    tokens: Sequence[str],
    input_tokens: int,
    *,
    cut: bool,
    choices: int = 1,
    usage: bool = False,
) -> list[dict[str, Any]]:
    """The chunks of a streamed completion, one delta a token and choice."""
    head = _head(model, "chat.completion.chunk")
    # As the real API does: with usage asked for, all chunks have the key and one more the figures.
    tail = {"usage": None} if usage else {}

    def chunk(index: int, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**head, "choices": [choice], **tail}

    everyone = range(choices)
    chunks = [chunk(i, {"role": "assistant", "content": ""}, None) for i in everyone]
    chunks += [chunk(i, {"content": token}, None) for token in tokens for i in everyone]
    chunks += [chunk(i, {}, "length" if cut else "stop") for i in everyone]
    if usage:
        chunks.append({**head, "choices": [], "usage": _usage(input_tokens, len(tokens) * choices)})
    return chunks


def _head(model: str | None, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
