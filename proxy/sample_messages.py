"""What the sample model answers on Anthropic's API: a whole message, or its events."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any


def message(
    model: str | None, tokens: Sequence[str], input_tokens: int, *, cut: bool
) -> dict[str, Any]:
    """A whole message."""
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "".join(tokens)}],
        "stop_reason": "max_tokens" if cut else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": len(tokens)},
    }


def message_events(
    model: str | None, tokens: Sequence[str], input_tokens: int, *, cut: bool
) -> list[dict[str, Any]]:
    """The events of a streamed message, one delta a token."""
    whole = message(model, tokens, input_tokens, cut=cut)
    start = whole | {
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": 1},
    }
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
    ]
    for token in tokens:
        delta = {"type": "text_delta", "text": token}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": len(tokens)}},
        {"type": "message_stop"},
    ]
    return events
