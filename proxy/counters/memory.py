"""
The counters of one process, held in memory: no server needed, and what a replica falls back on.

Bounded: at most `max_entries` entries (a counter, a reservation or an item seen is one). An entry is
kept for the power of two of seconds above what it says, since it was last used; that collects
garbage and decides nothing. A full store makes room for a new entry by dropping one that is past its
time, or else the one that was used least recently. A dropped counter starts anew from nothing: under
a flood of invented subjects, the quietest subjects are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from proxy.clock import Clock
from proxy.counters.codec import DONE, ratio
from proxy.counters.novelty import Board, Panes
from proxy.counters.protocol import (
    Abandoned,
    Count,
    Distinct,
    Forget,
    Lease,
    Novel,
    Op,
    Pace,
    Post,
    Posts,
    Raise,
    Reading,
    ReadPosts,
    ReadScore,
    Refund,
    Release,
    Reserve,
    Scores,
    Seen,
    Settle,
    Take,
    Taken,
    Tally,
    Uncount,
    Unnovel,
    Untally,
)
from proxy.counters.states import (
    FADED,
    Buckets,
    Leases,
    Levels,
    Reservation,
    Sightings,
    State,
    Tat,
    Witnesses,
)
from proxy.counters.sums import micros, span_of
from proxy.counters.tallies import HOUR, Arrivals, Shown
from proxy.errors import StoreError

Name = tuple[str | int, ...]
S = TypeVar("S", bound=State)

GRACE_S: Final = 60.0
"""An entry outlives what it says by at least so much."""

BOARD_S: Final = 400 * 86_400.0
"""A board of notices is kept so long: longer than any one notice may stand."""


class MemoryStore:
    """A `Store` in this process. Every batch is carried out at once, without waiting for anything."""

    def __init__(self, max_entries: int = 262_144, *, clock: Clock) -> None:
        self._max_entries = max_entries
        self._clock = clock
        self._entries: dict[Name, State] = {}
        # Entries of one lifetime in order of use: the first is both the first to expire among them
        # and the one used least recently.
        self._lanes: dict[int, OrderedDict[Name, State]] = {}
        self._tick = 0.0
        self._closed = False
        self.lost = 0
        """Entries that were dropped to make room, and were not past their time."""

    def __len__(self) -> int:
        return len(self._entries)

    async def apply(
        self, ops: Sequence[Op], now: float | None = None, *, abandoned: Abandoned | None = None
    ) -> Sequence[Reading]:
        """See `Store.apply`. Raises StoreError only once closed; never waits, so never abandoned."""
        return self.apply_now(ops, now)

    def apply_now(self, ops: Sequence[Op], now: float | None = None) -> Sequence[Reading]:
        """The same, for who does not wait either."""
        if self._closed:
            raise StoreError("the store is closed")
        self._tick = self._clock.monotonic()
        at = micros(self._clock.now() if now is None else now)
        return [self._do[op.__class__](self, op, at) for op in ops]

    async def ready(self) -> Sequence[str]:
        """Always ready until closed."""
        if self._closed:
            raise StoreError("the store is closed")
        return ()

    async def close(self) -> None:
        """Forget everything."""
        self._closed = True
        self._entries.clear()
        self._lanes.clear()

    # The operations

    def _count(self, op: Count, at: int) -> Reading:
        name = (op.subject, op.key)
        buckets = self._find(name, Buckets)
        if buckets is None:
            buckets = self._keep(name, Buckets(at), op.window)
        return buckets.count(op, at)

    def _uncount(self, op: Uncount, _: int) -> Reading:
        buckets = self._find((op.subject, op.key), Buckets)
        return DONE if buckets is None else buckets.uncount(op)

    def _distinct(self, op: Distinct, at: int) -> Reading:
        name = (op.subject, op.key)
        sightings = self._find(name, Sightings)
        if sightings is None:
            sightings = self._keep(name, Sightings(), op.window)
        return sightings.note(op, at)

    def _forget(self, op: Forget, _: int) -> Reading:
        sightings = self._find((op.subject, op.key), Sightings)
        return DONE if sightings is None else sightings.forget(op)

    def _novel(self, op: Novel, at: int) -> Reading:
        name = (op.subject, op.key)
        panes = self._find(name, Panes)
        if panes is None:
            panes = self._keep(name, Panes(at), 2 * op.window)
        return panes.note(op, at)

    def _unnovel(self, op: Unnovel, _: int) -> Reading:
        panes = self._find((op.subject, op.key), Panes)
        return DONE if panes is None else panes.unnote(op)

    def _tally(self, op: Tally, at: int) -> Reading:
        name = (op.subject, op.key)
        shown = self._find(name, Shown)
        if shown is None:
            shown = self._keep(name, Shown(at, at // span_of(op.window)), 2 * op.window)
        return shown.note(op, at)

    def _untally(self, op: Untally, at: int) -> Reading:
        shown = self._find((op.subject, op.key), Shown)
        return DONE if shown is None else shown.unnote(op, at)

    def _pace(self, op: Pace, at: int) -> Reading:
        name = (op.subject, op.key)
        known = self._find(name, Arrivals)
        arrivals = known or self._keep(name, Arrivals(at, at // HOUR), 24 * 3600.0)
        return arrivals.note(at, first=known is None)

    def _take(self, op: Take, at: int) -> Taken:
        wait = span_of(op.max_wait)
        return self._spend(op, op.burst, op.weight, wait, at)

    def _refund(self, op: Refund, at: int) -> Reading:
        tat = self._find((op.subject, op.key), Tat)
        if tat is not None:
            tat.charge(at, ratio(op.amount, op.period), -op.weight)
        return DONE

    def _reserve(self, op: Reserve, at: int) -> Taken:
        name = (op.subject, op.key, op.id)
        limit = ratio(op.amount, op.period)
        tat = self._find(name[:2], Tat)
        now = at if tat is None else max(at, tat.latest)
        held = self._find(name, Reservation)
        if held is not None and held.expires > now:
            left = op.burst if tat is None else tat.remaining(at, limit, op.burst)
            return Taken(True, 0.0, 0.0, left)
        taken = self._spend(op, op.burst, op.estimate, span_of(op.max_wait), at)
        if taken.admitted:
            expires = now + span_of(op.ttl)
            if held is None:
                self._keep(name, Reservation(expires, op.estimate), op.ttl)
            else:
                held.expires, held.estimate = expires, op.estimate
        return taken

    def _settle(self, op: Settle, at: int) -> Reading:
        name = (op.subject, op.key, op.id)
        held = self._find(name, Reservation)
        if held is None:
            return DONE
        self._drop(name, held)
        tat = self._find(name[:2], Tat)
        limit = ratio(op.amount, op.period)
        if held.expires > (at if tat is None else max(at, tat.latest)):
            if tat is None:
                tat = self._keep(name[:2], Tat(at, *limit, at), op.period)
            tat.charge(at, limit, op.actual - held.estimate)
            # What is charged late may take longer to be paid than a burst, and is not forgotten before.
            self._extend(name[:2], tat, (tat.base - tat.latest + tat.period) / 1e6)
        return DONE

    def _lease(self, op: Lease, at: int) -> Reading:
        name = (op.subject, op.key)
        known = self._find(name, Leases)
        leases = known or Leases(at)
        held = leases.lease(op, at)
        if known is None and held.granted:
            self._keep(name, leases, op.ttl)
        return held

    def _release(self, op: Release, _: int) -> Reading:
        leases = self._find((op.subject, op.key), Leases)
        return DONE if leases is None else leases.release(op)

    def _seen(self, op: Seen, at: int) -> Reading:
        name = (op.subject, op.key, op.item)
        witnesses = self._find(name, Witnesses)
        if witnesses is None:
            witnesses = self._keep(name, Witnesses(), op.ttl)
        return witnesses.note(op, at)

    def _raise(self, op: Raise, at: int) -> Reading:
        name = (op.subject, op.key)
        levels = self._find(name, Levels)
        if levels is None:
            halvings = max(1, int(op.level / FADED)).bit_length()
            levels = self._keep(name, Levels(), op.half_life * halvings)
        return levels.lift(op, at)

    def _read_score(self, op: ReadScore, at: int) -> Reading:
        levels = self._find((op.subject, op.key), Levels)
        return Scores({}) if levels is None else levels.read(op, at)

    def _post(self, op: Post, at: int) -> Reading:
        name = (op.subject, op.key)
        board = self._find(name, Board)
        if board is None:
            board = self._keep(name, Board(), BOARD_S)
        return board.post(op, at)

    def _read_posts(self, op: ReadPosts, at: int) -> Reading:
        board = self._find((op.subject, op.key), Board)
        return Posts((), at / 1e6) if board is None else board.read(op, at)

    def _spend(self, op: Take | Reserve, burst: int, weight: int, max_wait: int, at: int) -> Taken:
        name = (op.subject, op.key)
        limit = ratio(op.amount, op.period)
        known = self._find(name, Tat)
        tat = known or Tat(at, *limit, at)
        taken = tat.take(at, limit, burst, weight, max_wait)
        if known is None and taken.admitted:
            span = limit[1] / limit[0] / 1e6
            self._keep(name, tat, span * (burst + 1) + max_wait / 1e6)
        return taken

    # The values are methods over exactly their key's type, which a mapping's type cannot say.
    _do: ClassVar[Mapping[type[Op], Callable[[MemoryStore, Any, int], Reading]]] = {
        Count: _count,
        Uncount: _uncount,
        Distinct: _distinct,
        Forget: _forget,
        Novel: _novel,
        Unnovel: _unnovel,
        Tally: _tally,
        Untally: _untally,
        Pace: _pace,
        Take: _take,
        Refund: _refund,
        Reserve: _reserve,
        Settle: _settle,
        Lease: _lease,
        Release: _release,
        Seen: _seen,
        Raise: _raise,
        ReadScore: _read_score,
        Post: _post,
        ReadPosts: _read_posts,
    }

    # The entries

    def _find(self, name: Name, kind: type[S]) -> S | None:
        state = self._entries.get(name)
        if state is None:
            return None
        if not isinstance(state, kind):
            raise StoreError(f"a {kind.__name__} counter is kept under another kind's key")
        state.used = self._tick
        self._lanes[state.lane].move_to_end(name)
        return state

    def _keep(self, name: Name, state: S, lifetime: float) -> S:
        state.lane = int(lifetime + GRACE_S).bit_length()
        state.used = self._tick
        lane = self._lanes.get(state.lane)
        if lane is None:
            lane = self._lanes[state.lane] = OrderedDict()
        if lane:
            # One in and up to one expired out: a store that is not full shrinks again too.
            self._drop_if_expired(lane)
        if len(self._entries) >= self._max_entries:
            self._make_room()
        self._entries[name] = lane[name] = state
        return state

    def _extend(self, name: Name, state: State, lifetime: float) -> None:
        if int(lifetime + GRACE_S).bit_length() > state.lane:
            self._drop(name, state)
            self._keep(name, state, lifetime)

    def _make_room(self) -> None:
        oldest: tuple[Name, State] | None = None
        for lane in self._lanes.values():
            if not lane:
                continue
            if self._drop_if_expired(lane):
                return
            first = next(iter(lane.items()))
            if oldest is None or first[1].used < oldest[1].used:
                oldest = first
        if oldest is not None:
            self.lost += 1
            self._drop(*oldest)

    def _drop_if_expired(self, lane: OrderedDict[Name, State]) -> bool:
        name, state = next(iter(lane.items()))
        if state.used + (1 << state.lane) > self._tick:
            return False
        self._drop(name, state)
        return True

    def _drop(self, name: Name, state: State) -> None:
        del self._entries[name]
        del self._lanes[state.lane][name]
