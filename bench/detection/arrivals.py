"""
When requests come: gaps of a real trace or exponential ones, over a day's rhythm.

A trace of 40 minutes tells how requests bunch, not how a day goes. So its gaps, brought to a mean of one,
are spent against an intensity: that of people who sleep, of offices, or of machines that do not.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

HOUR = 3600.0
DAY = 24 * HOUR

_PEOPLE = (3, 2, 1, 1, 1, 2, 4, 7, 10, 12, 12, 12, 11, 12, 12, 12, 11, 11, 12, 13, 13, 11, 8, 5)
_OFFICE = (0, 0, 0, 0, 0, 0, 1, 4, 11, 14, 14, 12, 9, 13, 14, 13, 11, 7, 3, 1, 1, 0, 0, 0)
_SCHOOL = (0, 0, 0, 0, 0, 0, 0, 0, 12, 14, 6, 14, 0, 10, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def _mean_one(weights: tuple[int, ...]) -> tuple[float, ...]:
    mean = sum(weights) / len(weights)
    return tuple(weight / mean for weight in weights)


RHYTHMS = {
    "people": (_mean_one(_PEOPLE), 0.9),
    "office": (_mean_one(_OFFICE), 0.15),
    "school": (_mean_one(_SCHOOL), 0.0),
    "machine": ((1.0,) * 24, 1.0),
}
"""(intensity by the hour, factor on Saturday and Sunday); the first day is a Monday, hours are UTC."""

Gaps = Callable[[random.Random], Iterator[float]]


def exponential(draw: random.Random) -> Iterator[float]:
    """Gaps of arrivals that know nothing of each other."""
    return iter(lambda: draw.expovariate(1.0), None)


def of_trace(times: list[float], most: float = 50.0) -> Gaps:
    """Gaps as they follow one another in a trace, from a place that is drawn; their mean is one."""
    gaps = [after - before for before, after in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    unit = [min(gap / mean, most) for gap in gaps]

    def walk(draw: random.Random) -> Iterator[float]:
        at = draw.randrange(len(unit))
        while True:
            yield unit[at] + draw.random() * 1e-3
            at = (at + 1) % len(unit)

    return walk


def arrivals(
    draw: random.Random,
    per_day: float,
    until: float,
    *,
    start: float = 0.0,
    rhythm: str = "people",
    gaps: Gaps = exponential,
    shift_h: float = 0.0,
) -> Iterator[float]:
    """Times between `start` and `until` at a mean of `per_day`; `shift_h` moves the caller's clock."""
    hours, weekend = RHYTHMS[rhythm]
    t = start
    for gap in gaps(draw):
        need = gap
        while t < until:
            local = t + shift_h * HOUR
            rate = per_day / DAY * hours[int(local // HOUR) % 24]
            if local // DAY % 7 >= 5:
                rate *= weekend
            end = (local // HOUR + 1) * HOUR - shift_h * HOUR
            if rate * (end - t) >= need:
                t += need / rate
                break
            need -= rate * (end - t)
            t = end
        if t >= until:
            return
        yield t


def sessions(
    draw: random.Random, starts: Iterator[float], lengths: Callable[[], int], pause: float
) -> Iterator[tuple[float, int, int]]:
    """
    (time, turn, turns) of sittings that begin at `starts`: a turn follows the one before after a pause of
    this mean. A sitting that would begin during another begins after it.
    """
    free = 0.0
    for start in starts:
        t = max(start, free)
        turns = max(1, lengths())
        for turn in range(turns):
            yield t, turn, turns
            t += 2.0 + draw.expovariate(1.0 / pause)
        free = t


def every(
    draw: random.Random, gap: float, until: float, start: float, jitter: float
) -> Iterator[float]:
    """A scheduler's pace: each `gap` seconds, moved by up to `jitter` of the gap."""
    for number in itertools.count():
        t = start + gap * (number + jitter * draw.random())
        if t >= until:
            return
        yield t
