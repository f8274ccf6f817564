"""
Chat completions, legacy completions and responses: what is taken from a request.

The fields of the many that imitate the API are known too: OpenRouter's and DeepSeek's `reasoning` and
`thinking`, Groq's `reasoning_format`, vLLM's `prompt_logprobs` and `chat_template_kwargs`.
"""

from __future__ import annotations

from typing import Final

from proxy.decision import Degradation
from proxy.degrade.settings import (
    Changed,
    JsonObject,
    cap,
    drop,
    inner,
    lower_budget,
    lower_effort,
    single,
)
from proxy.dialects.openai_limits import CHOICES, LIMITS

_LOGPROBS: Final = (
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "logprob_token_ids",
    "return_logprob",
    "top_logprobs_num",
    "n_probs",
    "return_token_ids",
    "return_hidden_states",
)
"""Log probabilities, and what tells as much: token ids and hidden states, by vLLM's and SGLang's names."""
SMALLEST_LIMIT: Final = 16
"""What OpenAI's responses take at least as `max_output_tokens`."""

_INCLUDED_LOGPROBS: Final = "message.output_text.logprobs"
_INCLUDED_REASONING: Final = "reasoning.encrypted_content"


def degrade_chat(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """Change a chat completion's body; the names of what has changed."""
    return _completion(parsed, degradation, "max_completion_tokens")


def degrade_completion(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """The same of a legacy completion's."""
    changed: Changed = []
    if (
        degradation.takes_logprobs
        and parsed.get("logprobs") is not None
        and parsed.get("max_tokens") != 0  # without an echo there would be nothing left to answer
    ):
        # Together with log probabilities an echo tells those of the prompt.
        drop(parsed, "echo", changed)
    return (*changed, *_completion(parsed, degradation, "max_tokens"))


def _completion(parsed: JsonObject, degradation: Degradation, limit: str) -> tuple[str, ...]:
    changed: Changed = []
    if degradation.takes_logprobs:
        for key in _LOGPROBS:
            drop(parsed, key, changed)
    if degradation.drop_logit_bias:
        drop(parsed, "logit_bias", changed)
    if degradation.single_choice:
        _single(parsed, changed)
    if degradation.hide_reasoning:
        _hide(parsed, changed)
    if degradation.lower_reasoning_effort is not None:
        _lower(parsed, degradation.lower_reasoning_effort, changed)
    if degradation.cap_output_tokens is not None:
        _cap(parsed, degradation.cap_output_tokens, limit, changed)
    return tuple(dict.fromkeys(changed))


def _single(parsed: JsonObject, changed: Changed) -> None:
    for key in CHOICES:
        single(parsed, key, changed)


def _cap(parsed: JsonObject, most: int, limit: str, changed: Changed) -> None:
    # An upstream that knows one of the names may ignore the other: each is lowered.
    limits = [cap(parsed, key, most, changed) for key in ("max_tokens", "max_completion_tokens")]
    if not any(limits):
        parsed[limit] = most
        changed.append(limit)
    _cap_others(parsed, most, changed)


def _cap_others(parsed: JsonObject, most: int, changed: Changed) -> None:
    """Other servers' names go before a surface's own, or beside it; and no least may pass the most."""
    for key in (*LIMITS, "min_tokens"):
        cap(parsed, key, most, changed)


def _hide(parsed: JsonObject, changed: Changed) -> None:
    if parsed.get("include_reasoning") not in (None, False):
        parsed["include_reasoning"] = False
        changed.append("include_reasoning")
    reasoning = inner(parsed, "reasoning")
    if reasoning is not None and reasoning.get("exclude") is not True:
        reasoning["exclude"] = True
        changed.append("reasoning")
    if parsed.get("reasoning_format") not in (None, "hidden"):
        parsed["reasoning_format"] = "hidden"
        changed.append("reasoning_format")
    google = inner(inner(parsed, "extra_body") or {}, "google") or {}
    thinking = inner(google, "thinking_config")
    if thinking is not None:
        drop(thinking, "include_thoughts", changed)


def _lower(parsed: JsonObject, most: str, changed: Changed) -> None:
    lower_effort(parsed, "reasoning_effort", most, changed)
    lower_budget(parsed, "thinking_budget", most, changed)
    noted: Changed = []
    for key, budget in (("reasoning", "max_tokens"), ("thinking", "budget_tokens")):
        settings = inner(parsed, key)
        if settings is not None:
            noted.clear()
            lower_effort(settings, "effort", most, noted)
            lower_budget(settings, budget, most, noted)
            changed += [key] if noted else []
    template = inner(parsed, "chat_template_kwargs")
    if template is not None:
        lower_effort(template, "reasoning_effort", most, changed)
        lower_budget(template, "thinking_budget", most, changed)
    google = inner(inner(parsed, "extra_body") or {}, "google") or {}
    thinking = inner(google, "thinking_config")
    if thinking is not None:
        lower_budget(thinking, "thinking_budget", most, changed)
        lower_effort(thinking, "thinking_level", most, changed)


def degrade_response(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """Change a response's body; the names of what has changed."""
    changed: Changed = []
    if degradation.takes_logprobs:
        drop(parsed, "top_logprobs", changed)
        _exclude(parsed, _INCLUDED_LOGPROBS, changed)
    if degradation.drop_logit_bias:
        drop(parsed, "logit_bias", changed)
    if degradation.single_choice:
        _single(parsed, changed)
    _reason(parsed, degradation, changed)
    if degradation.cap_output_tokens is not None:
        most = max(degradation.cap_output_tokens, SMALLEST_LIMIT)
        if not cap(parsed, "max_output_tokens", most, changed):
            parsed["max_output_tokens"] = most
            changed.append("max_output_tokens")
        _cap_others(parsed, most, changed)
    return tuple(dict.fromkeys(changed))


def _reason(parsed: JsonObject, degradation: Degradation, changed: Changed) -> None:
    reasoning = inner(parsed, "reasoning")
    noted: Changed = []
    if degradation.hide_reasoning:
        _exclude(parsed, _INCLUDED_REASONING, changed)
        if reasoning is not None:
            drop(reasoning, "summary", noted)
            drop(reasoning, "generate_summary", noted)
        if parsed.get("store") is False:
            _forget_reasoning(parsed, changed)
    if degradation.lower_reasoning_effort is not None and reasoning is not None:
        lower_effort(reasoning, "effort", degradation.lower_reasoning_effort, noted)
    if noted:
        changed.append("reasoning")


def _exclude(parsed: JsonObject, name: str, changed: Changed) -> None:
    include = parsed.get("include")
    if type(include) is list and name in include:
        parsed["include"] = [one for one in include if one != name]
        changed.append("include")


def _forget_reasoning(parsed: JsonObject, changed: Changed) -> None:
    """Take back reasoning that we have emptied: without a store, the API knows nothing of its ids."""
    items = parsed.get("input")
    if type(items) is not list:
        return
    kept = [
        item
        for item in items
        if not (
            type(item) is dict
            and item.get("type") == "reasoning"
            and not item.get("encrypted_content")
        )
    ]
    if len(kept) < len(items):
        parsed["input"] = kept
        changed.append("input")
