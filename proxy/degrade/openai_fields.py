"""Where the messages and deltas of chat completions hold reasoning, and other output."""

from __future__ import annotations

from typing import Final

from proxy.degrade.editor import Budget, by_pieces
from proxy.degrade.settings import JsonObject
from proxy.degrade.trimming import said, trimmed

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


_FIRST: Final = ("content", "text", "refusal", "function_call", "tool_calls")


def tokens_in(holder: JsonObject) -> int:
    """Tokens of all output in a delta: text, refusals, reasoning, and what is called."""
    rest = {name: item for name, item in holder.items() if name not in REASONING}
    # Some servers tell the same reasoning under several names.
    thought = [said(holder[name], by_pieces) for name in REASONING if name in holder]
    return max(thought, default=0) + said(rest, by_pieces)


def shorten(holder: JsonObject, budget: Budget) -> None:
    """Leave as much of a message, or of a delta, as there is room for."""
    room, most = budget.left, 0
    for name in REASONING:
        if holder.get(name):
            own = Budget(room)
            holder[name] = trimmed(holder[name], own)
            most = max(most, own.spent)
            budget.short |= own.short
    budget.left -= most
    budget.spent += most
    for name in sorted(holder.keys() - {*REASONING}, key=_late):
        if holder[name]:
            holder |= trimmed({name: holder[name]}, budget)


def _late(name: str) -> tuple[int, str]:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST), name


def without_probabilities(choice: JsonObject) -> None:
    """Take what tells the tokens of an answer once more, and so those behind its cut."""
    for name in LOGPROBS:
        if choice.get(name) is not None and not name.startswith("prompt_"):
            choice[name] = None
