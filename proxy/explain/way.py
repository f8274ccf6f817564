"""A way in which a finding would not have been, and the search for the smallest."""

from __future__ import annotations

from collections.abc import Callable

from proxy.decision import RuleFinding
from proxy.value import value

Holds = Callable[[RuleFinding | None], bool]
"""Whether a finding, or none, still stands in the way."""


@value
class Way:
    """One way in which a finding would not have been: changes that go together."""

    changes: tuple[str, ...]
    left: RuleFinding | None
    """What the rule would have found instead."""
    shared: str | None = None
    """What the change is about, where it may serve other findings too: `declared_network`."""
    seconds: float | None = None
    """How much later, where that is the change."""


def least(most: int, enough: Callable[[int], bool]) -> int | None:
    """The fewest steps of 1 to `most` that are enough, and one fewer is not; None where none are."""
    high = 1
    while high < most and not enough(high):
        high = min(high * 2, most)
    if most < 1 or not enough(high):
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
