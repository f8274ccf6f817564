"""Request fields of several dialects: how each is taken away or lowered, and that noted."""

from __future__ import annotations

from typing import Any, Final

from proxy.decision import EFFORTS
from proxy.degrade.exact import number

JsonObject = dict[str, Any]
Changed = list[str]
"""Names of the request's fields that were changed."""

BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Thinking tokens that an effort is worth, as Gemini's own OpenAI surface has it."""

_OFF: Final = frozenset(["none", "off", "disabled", "disable"])


def asked(value: object) -> bool:
    """Whether a field asks for anything: null and false do not, 0 may."""
    return value is not None and value is not False


def drop(holder: JsonObject, key: str, changed: Changed) -> None:
    """Take a field away."""
    if key in holder and asked(holder.pop(key)):
        changed.append(key)


def cap(holder: JsonObject, key: str, most: int, changed: Changed) -> bool:
    """Lower a limit to `most`; whether there was one."""
    given = number(holder.get(key))
    if given is None:
        return False
    if given > most or given < 0:  # below zero some read no limit at all
        holder[key] = most
        changed.append(key)
    return True


def single(holder: JsonObject, key: str, changed: Changed) -> None:
    """One answer instead of several."""
    given = number(holder.get(key))
    if given is not None and given > 1:
        holder[key] = 1
        changed.append(key)


def lower_effort(holder: JsonObject, key: str, most: str, changed: Changed) -> None:
    """Lower an effort that is asked for; a word that is not known may mean more than any other."""
    given = holder.get(key)
    if type(given) is not str or given.lower() in _OFF:
        return
    word = given.lower()
    if word not in EFFORTS or EFFORTS.index(word) > EFFORTS.index(most):
        holder[key] = most
        changed.append(key)


def lower_budget(holder: JsonObject, key: str, most: str, changed: Changed) -> None:
    """Lower a budget of thinking tokens that is asked for; below zero the model decides."""
    given = number(holder.get(key))
    if given is not None and (given > BUDGETS[most] or given < 0):
        holder[key] = BUDGETS[most]
        changed.append(key)


def inner(holder: JsonObject, key: str) -> JsonObject | None:
    """The object under a key."""
    found = holder.get(key)
    return found if type(found) is dict else None
