"""One change, and how two values of the same thing compare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, get_args

from proxy.decision import Degradation, Verb
from proxy.rules.action import Action
from proxy.value import value

Effect = Literal["stricter", "looser", "anew", "otherwise"]
EFFECTS: Final = get_args(Effect)
"""In the order in which an operator wants to read them."""


@value
class Change:
    """One thing that differs."""

    effect: Effect
    where: str
    """`shape-requests`, `suspicion`, `exemption acme`, or `policy`."""
    what: str
    """`limit`, `action`, …"""
    before: str | None
    """As policies write it; None where there was nothing."""
    after: str | None
    because: str = ""


def turned(effect: Effect) -> Effect:
    """The same seen from the other side: a wider exemption is a looser policy."""
    opposite: dict[Effect, Effect] = {"stricter": "looser", "looser": "stricter"}
    return opposite.get(effect, effect)


def by_number(before: float, after: float) -> Effect:
    """Of what is stricter where it is more."""
    return "stricter" if after > before else "looser"


def by_members(before: Iterable[Any] | None, after: Iterable[Any] | None) -> Effect:
    """Of a list that is stricter where it names more; without one nothing can be said."""
    if before is None or after is None:
        return "otherwise"
    old, new = set(before), set(after)
    if new > old:
        return "stricter"
    return "looser" if new < old else "otherwise"


def by_order(words: tuple[str, ...], before: str, after: str) -> Effect:
    """Of words that become stricter from left to right."""
    return by_number(words.index(before), words.index(after))


def by_action(before: Action, after: Action) -> Effect:
    """Of actions: the stronger, longer, or the one that takes more."""
    if before.verb is not after.verb:
        return by_number(before.verb, after.verb)
    if before.verb is Verb.DEGRADE:
        old, new = before.degradation or Degradation(), after.degradation or Degradation()
        both = old.joined(new)
        if both == new:
            return "stricter"
        return "looser" if both == old else "otherwise"
    # A longer wait takes the place of a refusal, where there is one behind it.
    patience = (before.at_most, after.at_most)
    refuses = before.then.refuses and after.then.refuses
    steps = [
        (before.then, after.then),
        (before.ban_s, after.ban_s),
        patience[::-1] if refuses else patience,
    ]
    effects = {by_number(old, new) for old, new in steps if old != new}
    return effects.pop() if len(effects) == 1 else "otherwise"
