"""
How much a model has said inside of a JSON value, and as much of it as there is room for.

Calls of tools, lists of parts and structured reasoning hold output as texts do: whoever may choose a tool
would else have an answer in it that is neither cut nor paced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.degrade.editor import Budget

_NOT_SAID: Final = frozenset(
    {
        "annotations",
        "audio",
        "data",
        "encrypted_content",
        "finish_reason",
        "format",
        "id",
        "image_url",
        "images",
        "index",
        "logprobs",
        "name",
        "role",
        "signature",
        "status",
        "type",
    }
)
"""What a server writes around output, what only it can read, and media, whose bytes tell no tokens."""
_DEEPEST: Final = 64
"""Below this depth nothing is kept where something is cut, and bytes are not counted."""


def said(found: Any, tokens_of: Callable[[str], int], depth: int = 0) -> int:
    """Output tokens in the strings of a value."""
    if type(found) is str:
        return tokens_of(found)
    if depth < _DEEPEST:
        if type(found) is list:
            return sum(said(one, tokens_of, depth + 1) for one in found)
        if type(found) is dict:
            return sum(
                said(one, tokens_of, depth + 1)
                for name, one in found.items()
                if name not in _NOT_SAID
            )
    return 0


def trimmed(found: Any, budget: Budget, depth: int = 0) -> Any:
    """As much of what a server has written as there is room for."""
    if type(found) is str:
        return budget.take(found)
    if type(found) is list:
        return _items(found, lambda one: trimmed(one, budget, depth + 1), budget, depth)
    if type(found) is not dict:
        return found
    kept: dict[str, Any] = {}
    for name, one in found.items():
        if name in _NOT_SAID or not one:
            kept[name] = one
        elif depth < _DEEPEST:
            kept[name] = trimmed(one, budget, depth + 1)
    return kept


def trimmed_call(found: Any, budget: Budget, depth: int = 0) -> Any:
    """The same of a call's arguments: all of them a model has written, names and numbers too."""
    if type(found) is str:
        return budget.take(found)
    if type(found) is list:
        return _items(found, lambda one: trimmed_call(one, budget, depth + 1), budget, depth)
    if type(found) is not dict:
        budget.take("" if found is None else str(found))
        return found
    kept: dict[str, Any] = {}
    for name, one in found.items():
        short = budget.short
        written = budget.take(name)
        if depth >= _DEEPEST or (budget.short and not short) or written != name or budget.left <= 0:
            budget.short = True
            break
        kept[name] = trimmed_call(one, budget, depth + 1)
    return kept


def _items(found: list[Any], of: Callable[[Any], Any], budget: Budget, depth: int) -> list[Any]:
    kept: list[Any] = []
    for one in found:
        if budget.left <= 0 or depth >= _DEEPEST:
            budget.short = True
            break
        kept.append(of(one))
    return kept
