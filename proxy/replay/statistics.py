"""Numbers about many: intervals of shares, quantiles of what was counted. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

Z_95: Final = 1.959963984540054


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (E. B. Wilson, 1927). It holds at small numbers too."""
    if of == 0:
        return 0.0, 1.0
    share, square = hits / of, Z_95 * Z_95
    middle = share + square / (2 * of)
    spread = Z_95 * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    below, above = ((middle + sign * spread) / (1 + square / of) for sign in (-1, 1))
    return max(0.0, below if hits else 0.0), min(1.0, above if hits < of else 1.0)


def none_of(of: int) -> float:
    """The exact upper bound, at 95 %, of a share of which nothing was seen in so many: about 3 / `of`."""
    return 1.0 if of == 0 else 1 - 0.05 ** (1 / of)


def share(hits: float, of: float) -> float | None:
    """A share; None where there is nothing to have a share of."""
    return hits / of if of else None


def measured(hits: int, of: int) -> dict[str, Any]:
    """A share with its 95 % interval, as the JSON summary has it."""
    below, above = wilson(hits, of)
    told: dict[str, Any] = {"hits": hits, "of": of, "share": share(hits, of)}
    told["interval_95"] = [round(below, 6), round(above, 6)]
    if hits == 0 and of:
        told["at_most_95"] = round(none_of(of), 6)
    return told


def quantile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that so great a part of all does not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


class Spread:
    """Seconds that were counted, to a millisecond and three digits: bounded, however many there are."""

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self.count = 0
        self._counts: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one value."""
        self.count += 1
        ms = round(seconds * 1000)
        if ms > 999:
            step = 10 ** (len(str(ms)) - 3)
            ms = round(ms / step) * step
        self._counts[ms] += 1

    def quantile(self, part: float) -> float | None:
        """As `quantile`, in seconds."""
        wanted, seen = max(1, math.ceil(part * self.count)), 0
        for ms, count in sorted(self._counts.items()):
            seen += count
            if seen >= wanted:
                return ms / 1000
        return None
