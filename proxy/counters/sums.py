"""What both stores work out alike: whole microseconds, shares of panes, decay. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from proxy.counters.protocol import PANE_PARTS, Paced, Scores

LEVEL_MIN = 0.01
"""Scores that have decayed below this are not told."""


def micros(seconds: float) -> int:
    """Whole microseconds, to the nearest."""
    return round(seconds * 1e6)


@lru_cache(maxsize=1024)
def span_of(seconds: float) -> int:
    """The same of a window or a lifetime: policies name few, and each request asks for all of them."""
    return micros(seconds)


def decayed(entries: Sequence[tuple[str, float, int]], now: int, half_life: float) -> Scores:
    """Levels of (rule, level, microseconds when it was set) as they stand at `now`."""
    span = span_of(half_life)
    levels = {rule: level * 0.5 ** ((now - at) / span) for rule, level, at in entries}
    return Scores({rule: level for rule, level in levels.items() if level >= LEVEL_MIN})


def part_of(now: int, window: int) -> int:
    """How many PANE_PARTS of the last pane the window still covers."""
    return (window - now % window) * PANE_PARTS // window


def paced(gaps: int, mean: float, spread: float, hours: tuple[int, ...], now: int) -> Paced:
    """A `Pace` out of its mean gap in milliseconds and the variance of that."""
    variation = math.sqrt(spread) / mean if mean > 0 else 0.0
    return Paced(gaps, mean / 1000, variation, hours, now / 1e6)
