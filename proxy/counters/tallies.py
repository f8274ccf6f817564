"""
What a `Tally` and a `Pace` hold in memory. Pure; the model of tally.lua.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.counters.codec import DONE
from proxy.counters.protocol import (
    HOURS,
    PACE_MEMORY,
    PACE_PAUSE,
    PANE_PARTS,
    TALLY_MAX,
    Done,
    Paced,
    Tallied,
    Tally,
    Untally,
)
from proxy.counters.states import State
from proxy.counters.sums import micros, paced, part_of, span_of

HOUR = 3_600_000_000
"""Microseconds."""
_PAUSE = micros(PACE_PAUSE)


@dataclass(slots=True)
class Shown(State):
    """Tally: requests of this pane and of the one before, in all and by item."""

    at: int
    pane: int
    here: int = 0
    before: int = 0
    items: dict[int, list[int]] = field(default_factory=dict)
    """Item → [in this pane, in the one before], in the order in which they came."""

    def note(self, op: Tally, at: int) -> Tallied:
        """Count a request and what it shows."""
        window = span_of(op.window)
        now = self._turn(at, window)
        self.here += op.requests
        for item in op.items:
            one = self.items.get(item)
            if one is None:
                one = self._newcomer(item)
            one[0] += 1
        part = part_of(now, window) if self.before or self.items else 0
        requests = _sum(self.here, self.before, part)
        if not self.items:  # most callers show nothing of what is looked for
            return Tallied(requests, (0,) * len(op.asked), 0, now / 1e6)
        sums = {item: _sum(one[0], one[1], part) for item, one in self.items.items()}
        told = tuple([sums.get(item, 0) for item in (*op.items, *op.asked)])
        return Tallied(requests, told, max(sums.values()), now / 1e6)

    def unnote(self, op: Untally, at: int) -> Done:
        """Take a request back, if one of the panes still holds it."""
        window = span_of(op.window)
        age = max(at, self.at) // window - micros(op.at) // window
        if age not in {0, 1}:
            return DONE
        self._turn(at, window)
        if age == 0:
            self.here = max(0, self.here - op.requests)
        else:
            self.before = max(0, self.before - op.requests)
        for item in op.items:
            one = self.items.get(item)
            if one is not None:
                one[age] = max(0, one[age] - 1)
        return DONE

    def _turn(self, at: int, window: int) -> int:
        now = self.at = max(at, self.at)
        pane = now // window
        if pane != self.pane:
            follows = pane - self.pane == 1
            self.here, self.before = 0, self.here if follows else 0
            self.items = {item: [0, one[0] if follows else 0] for item, one in self.items.items()}
            self.pane = pane
        if self.items:
            self.items = {item: one for item, one in self.items.items() if one[0] + one[1] > 0}
        return now

    def _newcomer(self, item: int) -> list[int]:
        items = self.items
        if len(items) >= TALLY_MAX:
            del items[min(items, key=lambda known: sum(items[known]))]
        one = items[item] = [0, 0]
        return one


def _sum(here: int, before: int, part: int) -> int:
    return here + before * part // PANE_PARTS


@dataclass(slots=True)
class Arrivals(State):
    """Pace: the gaps of late, and the requests of each hour of a day."""

    at: int
    hour: int
    gaps: int = 0
    mean: float = 0.0
    """Milliseconds."""
    spread: float = 0.0
    hours: list[int] = field(default_factory=lambda: [0] * HOURS)

    def note(self, at: int, *, first: bool) -> Paced:
        """Note an arrival."""
        now = max(at, self.at)
        hour = now // HOUR
        passed = min(hour - self.hour, HOURS)
        self.hours = [*self.hours[passed:], *[0] * passed]
        if not first and now - self.at <= _PAUSE:
            gap = (now - self.at) // 1000
            self.gaps += 1
            if self.gaps == 1:
                self.mean = float(gap)
            else:
                off = gap - self.mean
                self.spread = (1 - 1 / PACE_MEMORY) * (self.spread + off * off / PACE_MEMORY)
                self.mean += off / PACE_MEMORY
        self.hours[-1] += 1
        self.at, self.hour = now, hour
        return paced(self.gaps, self.mean, self.spread, tuple(self.hours), now)
