"""Values as policies write them."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo

from proxy.decision import Verb
from proxy.expressions.program import Program
from proxy.rules.action import Action
from proxy.rules.match import Match
from proxy.rules.pages import is_duration
from proxy.rules.tiers import Tiered
from proxy.rules.units import Rate, duration_text


def shown(given: Any, field: FieldInfo | None = None) -> str:
    """One value; its field tells a duration from another number."""
    if isinstance(given, tuple):
        return f"[{', '.join(shown(one) for one in given)}]" if len(given) != 1 else shown(given[0])
    if isinstance(given, dict):
        return f"{{{', '.join(f'{name}: {shown(one)}' for name, one in given.items())}}}"
    if isinstance(given, Tiered):
        return _tiered(given)
    if isinstance(given, Action):
        return _action(given)
    if isinstance(given, Match):
        return match(given)
    if isinstance(given, Program | Rate):
        return given.text
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, float):
        return duration_text(given) if field is not None and is_duration(field) else f"{given:g}"
    canonical = getattr(given, "canonical", None)
    return canonical() if callable(canonical) else str(given)


def match(given: Match) -> str:
    """`{tier: free, not: {operation: embeddings}}`."""
    parts = []
    for name in type(given).model_fields:
        found = getattr(given, name)
        if found is not None:
            parts.append(f"{name.rstrip('_')}: {shown(found)}")
    return f"{{{', '.join(parts)}}}"


def _tiered(given: Tiered[Any]) -> str:
    if given.by is None:
        return shown(given.otherwise)
    tiers = "".join(f"{name}: {shown(one)}, " for name, one in given.values.items())
    return f"{{by: {given.by}, {tiers}else: {shown(given.otherwise)}}}"


def _action(given: Action) -> str:
    if given.verb is Verb.DELAY:
        return f"delay {{at_most: {duration_text(given.at_most)}, then: {given.then.word}}}"
    if given.degradation is not None:
        return f"degrade [{', '.join(given.degradation.actions.values())}]"
    if given.ban_s:
        return f"block {{for: {duration_text(given.ban_s)}}}"
    return given.verb.word
