"""Where the messages and deltas of chat completions hold reasoning, and other output."""

from __future__ import annotations

from typing import Any, Final

from proxy.degrade.editor import Budget
from proxy.degrade.settings import JsonObject

REASONING: Final = (
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "reasoning_text",
    "reasoning_opaque",
    "thinking",
    "thinking_blocks",
)
_THINKING_PARTS: Final = ("thinking", "reasoning", "redacted_thinking")
LOGPROBS: Final = (
    "logprobs",
    "prompt_logprobs",
    "top_logprobs",
    "token_ids",
    "prompt_token_ids",
    "hidden_states",
)


def hide_fields(holder: JsonObject) -> bool:
    """Take reasoning out of a message or delta; whether there was any."""
    changed = False
    for name in REASONING:
        if name in holder and holder.pop(name) is not None:
            changed = True
    specific = holder.get("provider_specific_fields")
    if type(specific) is dict:
        changed |= hide_fields(specific)
    parts = holder.get("content")
    if type(parts) is list:
        kept = [one for one in parts if not _thinks(one)]
        if len(kept) < len(parts):
            holder["content"] = kept
            changed = True
    google = (extra if type(extra := holder.get("extra_content")) is dict else {}).get("google")
    if type(google) is dict and google.get("thought") is True:
        holder["content"] = None  # Gemini's OpenAI surface marks a piece of thought so
        changed = True
    return changed


def _thinks(part: object) -> bool:
    return type(part) is dict and part.get("type") in _THINKING_PARTS


def texts_of(holder: JsonObject) -> list[str]:
    """All output in a delta: text, refusals, reasoning, and what is called."""
    texts = [item for name, item in holder.items() if name != "role" and type(item) is str]
    calls = holder.get("tool_calls")
    for call in calls if type(calls) is list else ():
        function = call.get("function") if type(call) is dict else None
        if type(function) is dict:
            texts += [item for item in function.values() if type(item) is str]
    legacy = holder.get("function_call")
    if type(legacy) is dict:
        texts += [item for item in legacy.values() if type(item) is str]
    return texts


def shorten(holder: JsonObject, budget: Budget) -> None:
    """Leave as much of a message as there is room for."""
    for key in (*REASONING[:2], "content", "text", "refusal"):
        text = holder.get(key)
        if type(text) is str:
            holder[key] = budget.take(text)
    calls = holder.get("tool_calls")
    if type(calls) is list:
        kept: list[Any] = []
        for call in calls:
            function = call.get("function") if type(call) is dict else None
            if budget.left <= 0:
                budget.short = True
                break
            if type(function) is dict and type(function.get("arguments")) is str:
                function["arguments"] = budget.take(function["arguments"])
            kept.append(call)
        if len(kept) < len(calls):
            holder["tool_calls"] = kept
