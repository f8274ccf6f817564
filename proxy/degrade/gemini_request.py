"""
generateContent and batches of it: what is taken from a request.

Google's reader takes each field in camelCase or in snake_case, and a number as a string; what was judged
has each in one spelling alone (`dialects/protojson.py`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from proxy.decision import Degradation
from proxy.degrade.settings import BUDGETS, Changed, JsonObject, asked, lower_effort

_HUMP: Final = re.compile(r"(?=[A-Z])")


def degrade_generate(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """Change a body; the names of what has changed."""
    changed: Changed = []
    key = _key(parsed, "generationConfig")
    config = parsed.get(key)
    most = degradation.cap_output_tokens
    if type(config) is not dict:
        if most is None:
            return ()
        config = parsed[key] = {}
    if degradation.takes_logprobs:
        _drop(config, "responseLogprobs", changed)
        _drop(config, "logprobs", changed)
    if degradation.drop_logit_bias:
        _drop(config, "logitBias", changed)
    count = _number(config.get(_key(config, "candidateCount")))
    if degradation.single_choice and count is not None and count > 1:
        config[_key(config, "candidateCount")] = 1
        changed.append("candidateCount")
    thinking = config.get(_key(config, "thinkingConfig"))
    if type(thinking) is dict:
        _think(thinking, degradation, changed)
    if most is not None:
        limit = _number(config.get(_key(config, "maxOutputTokens")))
        if limit is None or limit > most or limit <= 0:
            config[_key(config, "maxOutputTokens")] = most
            changed.append("maxOutputTokens")
    return tuple(dict.fromkeys(changed))


def degrade_batch(parsed: JsonObject, degradation: Degradation) -> tuple[str, ...]:
    """The same of all requests of a batch."""
    changed: Changed = []
    found: Any = parsed
    for name in ("batch", "inputConfig", "requests", "requests"):
        found = found.get(_key(found, name)) if type(found) is dict else None
    for one in found if type(found) is list else [found]:
        request = one.get("request") if type(one) is dict else None
        if type(request) is dict:
            changed += degrade_generate(request, degradation)
    return tuple(dict.fromkeys(changed))


def _think(thinking: JsonObject, degradation: Degradation, changed: Changed) -> None:
    if degradation.hide_reasoning:
        _drop(thinking, "includeThoughts", changed)
    most = degradation.lower_reasoning_effort
    if most is None:
        return
    level, budget = _key(thinking, "thinkingLevel"), _key(thinking, "thinkingBudget")
    given = thinking.get(level)
    if given is not None:
        # An enum may come as its number; and not every model knows `minimal`.
        floor = "low" if most == "minimal" and str(given).lower() != "minimal" else most
        noted: Changed = []
        holder = {level: given if type(given) is str else "unknown"}
        lower_effort(holder, level, floor, noted)
        if noted:
            thinking[level] = floor
            changed.append("thinkingLevel")
        return
    tokens = _number(thinking.get(budget))
    if tokens is None or tokens < 0 or tokens > BUDGETS[most]:  # absent or -1: the model decides
        thinking[budget] = BUDGETS[most]
        changed.append("thinkingBudget")


def _key(holder: JsonObject, name: str) -> str:
    """The spelling in which a field stands there."""
    snake = _HUMP.sub("_", name).lower()
    return snake if snake in holder and name not in holder else name


def _drop(holder: JsonObject, name: str, changed: Changed) -> None:
    key = _key(holder, name)
    if key in holder and asked(holder.pop(key)):
        changed.append(name)


def _number(value: object) -> float | None:
    try:
        return None if value is None or type(value) is bool else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
