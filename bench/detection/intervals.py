"""How sure a share is: bounds over accounts, and over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t, two-sided 95 %, for 1 to 9 degrees of freedom."""


def at_most(found: int, of: int, level: float = 0.95) -> float:
    """The exact (Clopper-Pearson) one-sided upper bound of a share; 1 of nothing."""
    if of == 0 or found >= of:
        return 1.0
    return _bisected(lambda p: _at_most_seen(found, of, p) - (1 - level))


def at_least(found: int, of: int, level: float = 0.95) -> float:
    """The one-sided lower bound of a share."""
    return 0.0 if found <= 0 or of == 0 else 1.0 - at_most(of - found, of, level)


def over_seeds(values: Sequence[float]) -> tuple[float, float, float] | None:
    """(mean, low, high): Student's 95 % interval; of one value its ends are the value itself."""
    if not values:
        return None
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, mean, mean
    t = _T95[min(len(values) - 1, len(_T95)) - 1]
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def _at_most_seen(found: int, of: int, p: float) -> float:
    """P(X <= found) of a binomial, summed in logarithms."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    logs = [
        math.lgamma(of + 1)
        - math.lgamma(k + 1)
        - math.lgamma(of - k + 1)
        + k * math.log(p)
        + (of - k) * math.log1p(-p)
        for k in range(found + 1)
    ]
    top = max(logs)
    return math.exp(top) * sum(math.exp(one - top) for one in logs)


def _bisected(falls: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if falls(middle) > 0:
            low = middle
        else:
            high = middle
    return high
