"""
Messages, legacy completions and message batches of Anthropic's API: what is taken from a request.

The API refuses a thinking budget that does not leave room below `max_tokens`, and one below 1,024: a
request whose limit is lowered keeps both rules, or thinks no more.
"""

from __future__ import annotations

from typing import Final

from proxy.decision import Degradation
from proxy.degrade.exact import number
from proxy.degrade.settings import Changed, JsonObject, cap, inner, lower_budget, lower_effort

SMALLEST_BUDGET: Final = 1024


def degrade_message(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """Change a message's body; the names of what has changed."""
    changed: Changed = []
    thinking = inner(parsed, "thinking")
    kind = None if thinking is None else thinking.get("type")
    if degradation.hide_reasoning and thinking is not None:
        if thinking.get("display") not in (None, "omitted"):
            thinking["display"] = "omitted"
            changed.append("thinking")
        if kind == "enabled" and _resumes_without_thinking(parsed):
            _think_no_more(parsed, changed)
            thinking = kind = None
    most = degradation.lower_reasoning_effort
    if most is not None:
        _lower(parsed, thinking, most if most != "minimal" else "low", changed)
    if degradation.cap_output_tokens is not None:
        if not cap(parsed, "max_tokens", degradation.cap_output_tokens, changed):
            parsed["max_tokens"] = degradation.cap_output_tokens
            changed.append("max_tokens")
        if thinking is not None and kind == "enabled":
            _make_room(parsed, thinking, changed)
    return tuple(dict.fromkeys(changed))


def degrade_complete(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """The same of a legacy completion."""
    changed: Changed = []
    most = degradation.cap_output_tokens
    if most is not None and not cap(parsed, "max_tokens_to_sample", most, changed):
        parsed["max_tokens_to_sample"] = most
        changed.append("max_tokens_to_sample")
    return tuple(changed)


def degrade_batch(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """The same of all messages of a batch."""
    changed: Changed = []
    for request in parsed.get("requests") or ():
        params = inner(request, "params")
        if params is not None:
            changed += degrade_message(params, degradation)
    return tuple(dict.fromkeys(changed))


def _lower(parsed: JsonObject, thinking: JsonObject | None, most: str, changed: Changed) -> None:
    noted: Changed = []
    output = inner(parsed, "output_config")
    if output is not None:
        lower_effort(output, "effort", most, noted)
    adaptive = thinking is not None and thinking.get("type") == "adaptive"
    if adaptive and (output is None or output.get("effort") is None):
        # A model that thinks as it likes likes to think a lot; each of those knows efforts.
        parsed["output_config"] = {**(output or {}), "effort": most}
        noted.append("effort")
    if noted:
        changed.append("output_config")
    if thinking is not None:
        noted.clear()
        lower_budget(thinking, "budget_tokens", most, noted)
        changed += ["thinking"] if noted else []


def _make_room(parsed: JsonObject, thinking: JsonObject, changed: Changed) -> None:
    """Keep the thinking budget below the limit, with as much again for the answer."""
    limit, budget = number(parsed.get("max_tokens")), number(thinking.get("budget_tokens"))
    if limit is None or budget is None or budget < limit:
        return
    if limit <= SMALLEST_BUDGET:
        _think_no_more(parsed, changed)
        return
    thinking["budget_tokens"] = max(SMALLEST_BUDGET, int(limit) // 2)
    changed.append("thinking")


def _think_no_more(parsed: JsonObject, changed: Changed) -> None:
    parsed["thinking"] = {"type": "disabled"}
    changed.append("thinking")
    # Clearing thoughts from the context is refused where nothing is thought.
    management = inner(parsed, "context_management")
    edits = None if management is None else management.get("edits")
    if management is not None and type(edits) is list:
        kept = [
            one
            for one in edits
            if not (type(one) is dict and str(one.get("type", "")).startswith("clear_thinking"))
        ]
        if len(kept) < len(edits):
            management["edits"] = kept
            changed.append("context_management")


def _resumes_without_thinking(parsed: JsonObject) -> bool:
    """Whether a tool's result is sent back to a turn whose thinking we have hidden: the API takes such a
    turn only where thinking is off."""
    messages = parsed.get("messages")
    for message in reversed(messages if type(messages) is list else []):
        if type(message) is dict and message.get("role") == "assistant":
            content = message.get("content")
            if type(content) is not list:
                return False
            kinds = [block.get("type") for block in content if type(block) is dict]
            return "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking")
    return False
