"""
What each counter holds in memory, and how an operation changes it. Pure.

The exact model of the Lua scripts beside: whole microseconds in whole numbers, the same decisions in
the same order. A differential test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from proxy.counters.codec import DONE
from proxy.counters.protocol import (
    BUCKETS,
    SEEN_MAX,
    Count,
    Different,
    Distinct,
    Done,
    Forget,
    Held,
    Lease,
    Raise,
    ReadScore,
    Release,
    Scores,
    Seen,
    Sighting,
    Taken,
    Total,
    Uncount,
)
from proxy.counters.sums import decayed, micros, span_of

SPARE = 32
"""Items that a `Distinct` holds beyond what it tells, so that sightings which are then forgotten do not
push the reading below its cap."""

K = TypeVar("K", int, str)

FADED = 0.005
"""Scores below this, half of what is ever told, are collected."""


@dataclass(slots=True)
class State:
    """What every entry carries for the store that keeps it."""

    lane: int = field(default=-1, init=False)
    used: float = field(default=0.0, init=False)


@dataclass(slots=True)
class Tat(State):
    """GCRA: the theoretical arrival time, base + units * period / amount, which never adds up roundings."""

    latest: int
    amount: int
    period: int
    base: int
    units: int = 0

    def take(
        self, at: int, limit: tuple[int, int], burst: int, weight: int, max_wait: int
    ) -> Taken:
        """Spend `weight` if it conforms within `max_wait`; a refusal changes nothing."""
        amount, period = limit
        now, base, units, behind = self._load(at, amount, period)
        remaining = max(0, burst + -behind // period)
        if weight > burst:
            return Taken(False, 0.0, None, remaining)
        over = behind + (weight - burst) * period
        wait = -(-over // amount) if over > 0 else 0
        if wait > max_wait:
            return Taken(False, 0.0, (wait - max_wait) / 1e6, remaining)
        self._save(now, base, units + weight, amount, period)
        return Taken(True, wait / 1e6, 0.0, max(0, remaining - weight))

    def charge(self, at: int, limit: tuple[int, int], weight: int) -> None:
        """Spend `weight` past the limit, or give it back down to now where it is negative."""
        now, base, units, _ = self._load(at, *limit)
        self._save(now, base, units + weight, *limit)

    def remaining(self, at: int, limit: tuple[int, int], burst: int) -> int:
        """Weight that would conform now."""
        amount, period = limit
        return max(0, burst + -self._load(at, amount, period)[3] // period)

    def _load(self, at: int, amount: int, period: int) -> tuple[int, int, int, int]:
        """The latest time, the arrival time, and how far that lies ahead, in microseconds a unit."""
        now, base, units = max(at, self.latest), self.base, self.units
        if (amount, period) != (self.amount, self.period):
            base, units = base - (-units * self.period // self.amount), 0
        behind = (base - now) * amount + units * period
        return (now, base, units, behind) if behind > 0 else (now, now, 0, 0)

    def _save(self, now: int, base: int, units: int, amount: int, period: int) -> None:
        if (base - now) * amount + units * period <= 0:
            base, units = now, 0
        whole, self.units = divmod(units, amount)
        self.base = base + whole * period
        self.latest, self.amount, self.period = now, amount, period


@dataclass(slots=True)
class Reservation(State):
    """What a `Reserve` has taken, until `expires`."""

    expires: int
    estimate: int


@dataclass(slots=True)
class Buckets(State):
    """Count: events by time bucket, and their total in the window that ended at `at`."""

    at: int
    total: int = 0
    events: dict[int, int] = field(default_factory=dict)

    def count(self, op: Count, at: int) -> Total:
        """Add events; the total of the window that ends now."""
        return Total(self.add(span_of(op.window), op.weight, at), self.at / 1e6)

    def add(self, window: int, weight: int, at: int) -> int:
        """The same with the window in microseconds."""
        width = -(-window // BUCKETS)
        now = self.at = max(at, self.at)
        events = self.events
        first = (now - window) // width
        # Time never goes back in here, so the buckets stand in order, oldest first.
        while events and (oldest := next(iter(events))) < first:
            self.total -= events.pop(oldest)
        bucket = now // width
        events[bucket] = events.get(bucket, 0) + weight
        self.total += weight
        return self.total

    def uncount(self, op: Uncount) -> Done:
        """Take events back from the bucket that they are in, if the window still holds it."""
        window = span_of(op.window)
        width = -(-window // BUCKETS)
        bucket = micros(op.at) // width
        if bucket >= (self.at - window) // width:
            less = min(self.events.get(bucket, 0), op.weight)
            if less:
                self.events[bucket] -= less
                self.total -= less
        return DONE


@dataclass(slots=True)
class Sightings(State):
    """Distinct: when each item was seen last, oldest first."""

    items: dict[int, int] = field(default_factory=dict)

    def note(self, op: Distinct, at: int) -> Different:
        """See an item; how many the window holds."""
        items = self.items
        now = max(at, latest(items) or at)
        drop_until(items, now - span_of(op.window))
        item, most = op.item, op.most
        previous = items.pop(item, None)
        items[item] = now
        while len(items) > most + SPARE:
            del items[oldest_of(items)]
        earlier = None if previous is None else previous / 1e6
        return Different(min(len(items), most), now / 1e6, earlier)

    def forget(self, op: Forget) -> Done:
        """Take a sighting back, unless the item was seen again."""
        if self.items.get(op.item) == micros(op.at):
            if op.previous is None:
                del self.items[op.item]
            else:
                self.items[op.item] = micros(op.previous)
                self.items = dict(sorted(self.items.items(), key=lambda entry: entry[1]))
        return DONE


@dataclass(slots=True)
class Leases(State):
    """Lease: when each id's lease ends."""

    at: int
    ends: dict[str, int] = field(default_factory=dict)

    def lease(self, op: Lease, at: int) -> Held:
        """Grant a slot, or renew the one that the id holds."""
        now = max(at, self.at)
        live = {name: end for name, end in self.ends.items() if end > now}
        if op.id not in live and len(live) >= op.slots:
            return Held(False, len(live))
        live[op.id] = now + span_of(op.ttl)
        self.ends, self.at = live, now
        return Held(True, len(live))

    def release(self, op: Release) -> Done:
        """Give a slot back."""
        self.ends.pop(op.id, None)
        return DONE


@dataclass(slots=True)
class Witnesses(State):
    """Seen: who showed an item, by last sighting, oldest first."""

    who: dict[str, int] = field(default_factory=dict)

    def note(self, op: Seen, at: int) -> Sighting:
        """Note who shows the item; who did before."""
        who = self.who
        now = max(at, latest(who) or at)
        drop_until(who, now - span_of(op.ttl))
        before = tuple(sorted(who, key=lambda name: (who[name], name)))
        who.pop(op.who, None)
        who[op.who] = now
        if len(who) > SEEN_MAX:
            del who[oldest_of(who)]
        return Sighting(before)


@dataclass(slots=True)
class Levels(State):
    """Score: each rule's level, and when it was set."""

    levels: dict[str, tuple[float, int]] = field(default_factory=dict)

    def lift(self, op: Raise, at: int) -> Scores:
        """Set one rule's level; the decayed map."""
        now = self._now(at)
        self.levels[op.rule] = (op.level, now)
        span = span_of(op.half_life)
        self.levels = {
            rule: (level, at)
            for rule, (level, at) in self.levels.items()
            if rule == op.rule or level * 0.5 ** ((now - at) / span) > FADED
        }
        return self._told(now, op.half_life)

    def read(self, op: ReadScore, at: int) -> Scores:
        """The decayed map."""
        return self._told(self._now(at), op.half_life)

    def _now(self, at: int) -> int:
        return max(at, max((set_at for _, set_at in self.levels.values()), default=at))

    def _told(self, now: int, half_life: float) -> Scores:
        entries = [(rule, level, at) for rule, (level, at) in self.levels.items()]
        return decayed(entries, now, half_life)


def latest(times: dict[K, int]) -> int | None:
    """The last time in a dict that is in order of time."""
    return times[next(reversed(times))] if times else None


def drop_until(times: dict[K, int], until: int) -> None:
    """Drop what is not after `until` from a dict that is in order of time."""
    while times and times[oldest := next(iter(times))] <= until:
        del times[oldest]


def oldest_of(times: dict[K, int]) -> K:
    """The first of those with the earliest time, as Redis orders a sorted set."""
    earliest = times[next(iter(times))]
    ties: list[K] = []
    for name, at in times.items():
        if at != earliest:
            break
        ties.append(name)
    return min(ties)
