"""
The counter operations that rules may ask for, what a store answers, and the `Store` protocol.

Pure: operations and readings are frozen values. A store carries out a whole batch in one trip and
answers in the batch's order. All times are Unix seconds, all durations seconds.

A counter lives at `x1:{subject}:key`. `subject` is the hash tag, so all counters of one subject
stand in one Redis Cluster slot and are carried out in one script call. `key` is `rule:hash`, the
hash over what changes counting, so that changing a limit or an action keeps the counts.

Every operation is judged at the store's own time unless `now` is passed, clamped to the latest
time that the counter has seen: a fail-over to a replica whose clock is behind never rewinds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from proxy.value import value

BUCKETS = 60
"""Time buckets in a `Count` window. A sliding total is wrong by at most one bucket: it may hold
events up to window/BUCKETS older than the window, never fewer than the window's own."""

DISTINCT_MAX = 128
"""`Distinct` is exact up to here and says `at least DISTINCT_MAX` above."""

NOVEL_BITS = 8000
"""Marks that a `Novel` tells apart: 1 kB for the window, 1 kB for the one before. With what is counted
beside them that stays just below 2 KiB, where Redis' allocator would take half as much again."""

PANE_PARTS = 1024
"""In so many parts the share of the last pane that still counts is told."""

TALLY_MAX = 16
"""Items that a `Tally` tells apart; a newcomer takes the place of the one shown least."""

PACE_PAUSE = 600.0
"""Seconds: a longer gap between two requests is a pause, and says nothing of a pace."""

PACE_MEMORY = 32
"""Gaps that a `Pace` goes by: each new one weighs 1/PACE_MEMORY."""

HOURS = 24
"""Hours that a `Pace` tells apart, this one included."""

POSTS_MAX = 1000
"""How many notices a `ReadPosts` tells at once."""

SEEN_MAX = 16
"""How many earlier sightings a `Seen` entry remembers."""


@value
class Count:
    """Add `weight` events to a sliding window; reads its total, this one included."""

    subject: str
    key: str
    window: float
    weight: int = 1


@value
class Uncount:
    """Take back what a `Count` added at `at` (its reading's `now`). Never goes below zero."""

    subject: str
    key: str
    window: float
    weight: int
    at: float


@value
class Distinct:
    """Note a 64-bit keyed hash; reads how many different ones the window holds, it included.

    The reading is exact below `most` (at most DISTINCT_MAX), and `most` means at least so many. Redis keeps
    each in 15 bytes.
    """

    subject: str
    key: str
    window: float
    item: int
    most: int = DISTINCT_MAX


@value
class Forget:
    """Take back a `Distinct` sighting made at `at`: restore the earlier one, or remove the item.

    Does nothing where the item has been seen again since.
    """

    subject: str
    key: str
    window: float
    item: int
    at: float
    previous: float | None


@value
class Novel:
    """Note what a request showed; reads how many in the window showed what none had shown before.

    `marks` are a few hashes, each below NOVEL_BITS; a request is new if none of them has been seen
    within the window or, at most, twice the window. The total is an estimate, right on average and
    within 2 % for 10,000 new ones in a window, in 2 KiB whatever their number, and in less while they are
    few. The window slides over two panes of its own length, as a `Tally`'s does; all requests are counted
    so, too.
    """

    subject: str
    key: str
    window: float
    marks: tuple[int, ...]


@value
class Unnovel:
    """Take back what a `Novel` noted at `at`: its weight, and the marks that it was the first to show."""

    subject: str
    key: str
    window: float
    weight: int
    at: float
    fresh: tuple[int, ...]


@value
class Tally:
    """Count a request, and what it shows of up to TALLY_MAX things; reads how many in the window did.

    The window slides over two panes of its own length: of the last pane so much counts as the window
    still covers, as if its requests had come evenly. `items` are 64-bit numbers that this request shows,
    `asked` others whose counts are read along. `requests` is 0 where the request has been counted before.
    """

    subject: str
    key: str
    window: float
    items: tuple[int, ...]
    asked: tuple[int, ...] = ()
    requests: int = 1


@value
class Untally:
    """Take back what a `Tally` noted at `at`."""

    subject: str
    key: str
    window: float
    items: tuple[int, ...]
    at: float
    requests: int = 1


@value
class Pace:
    """Note an arrival; reads how regular arrivals are, and how they spread over the last 24 hours."""

    subject: str
    key: str


@value
class Take:
    """GCRA: `amount` per `period` seconds, at most `burst` at one instant (ITU-T I.371).

    Admits at once where it conforms; where it would conform within `max_wait` it is admitted too,
    and `wait_s` says how long to hold it; otherwise it spends nothing and `retry_after_s` is exact.
    A `weight` above `burst` can never conform and is refused with `retry_after_s` None.
    """

    subject: str
    key: str
    amount: int
    period: float
    burst: int
    weight: int = 1
    max_wait: float = 0.0


@value
class Refund:
    """Give a `Take` (or part of one) back.

    The arrival time becomes max(now, tat - weight * period / amount).
    """

    subject: str
    key: str
    amount: int
    period: float
    weight: int = 1


@value
class Reserve:
    """A `Take` of an estimate that `Settle` later corrects, kept under one `id` for `ttl` seconds.

    An id that is already reserved spends nothing more and answers admitted.
    """

    subject: str
    key: str
    amount: int
    period: float
    burst: int
    estimate: int
    id: str
    ttl: float
    max_wait: float = 0.0


@value
class Settle:
    """Replace a reservation by what was really used. Unknown, expired or settled ids do nothing.

    Less than the estimate is refunded down to `now`; more is charged past the limit and paid by
    later requests.
    """

    subject: str
    key: str
    amount: int
    period: float
    id: str
    actual: int


@value
class Lease:
    """Hold one of `slots` for `ttl` seconds under `id`; asking again with the same id renews it."""

    subject: str
    key: str
    slots: int
    id: str
    ttl: float


@value
class Release:
    """Give a leased slot back at once. An unknown id does nothing."""

    subject: str
    key: str
    id: str


@value
class Seen:
    """Note that `who` showed `item`; reads who (others included, at most SEEN_MAX) did before.

    `item` is part of the counter's identity: each item is its own small entry with a TTL.
    """

    subject: str
    key: str
    item: int
    who: str
    ttl: float


@value
class Raise:
    """Set rule `rule`'s level in the subject's score map; firing again refreshes, never stacks."""

    subject: str
    key: str
    rule: str
    level: float
    half_life: float


@value
class ReadScore:
    """Read the subject's score map, each level decayed by its half-life. Writes nothing."""

    subject: str
    key: str
    half_life: float


@value
class Post:
    """Put up a notice under a name for `ttl` seconds, in place of what stood there.

    An empty `text` takes the notice down: readers learn that until `ttl` has passed.
    """

    subject: str
    key: str
    name: str
    text: str
    ttl: float


@value
class ReadPosts:
    """Read the notices posted at or after `since`, oldest first, at most POSTS_MAX."""

    subject: str
    key: str
    since: float


Op = (
    Count
    | Uncount
    | Distinct
    | Forget
    | Novel
    | Unnovel
    | Tally
    | Untally
    | Pace
    | Take
    | Refund
    | Reserve
    | Settle
    | Lease
    | Release
    | Seen
    | Raise
    | ReadScore
    | Post
    | ReadPosts
)


@value
class Total:
    """Reading of `Count`."""

    total: int
    now: float


@value
class Different:
    """Reading of `Distinct`: capped at its `most`; `previous` is when this item was last seen."""

    distinct: int
    now: float
    previous: float | None


@value
class Novelty:
    """Reading of `Novel`."""

    total: float
    """New ones in the window, estimated; this one included where it is new."""
    requests: int
    """All of the window, new or not, this one included."""
    now: float
    weight: int
    """What this one counts, in thousandths: 0 where it is not new, 1000 or a little more where it is."""
    fresh: tuple[int, ...]
    """The marks that nobody had shown in this pane of time."""


@value
class Tallied:
    """Reading of `Tally`."""

    requests: int
    """Of the window, this one included."""
    shown: tuple[int, ...]
    """How many of them showed each of `items` and `asked`, in that order, this one included."""
    top: int
    """How many showed what is shown most."""
    now: float


@value
class Paced:
    """Reading of `Pace`."""

    gaps: int
    """Gaps between arrivals so far; pauses are none."""
    mean_s: float
    """Mean gap of late, each older one weighing less."""
    variation: float
    """Its coefficient of variation: 0 of a clock, 1 of arrivals by chance, more of bursts."""
    hours: tuple[int, ...]
    """Requests of the last HOURS hours, oldest first, the present one last."""
    now: float


@value
class Taken:
    """Reading of `Take` and `Reserve`."""

    admitted: bool
    wait_s: float
    """Hold the request so long before it conforms; 0 where it conforms now or is refused."""
    retry_after_s: float | None
    """Exact seconds after which the same request would be admitted; 0 where it was; None never."""
    remaining: int
    """Weight that could still be taken at this instant without waiting."""


@value
class Held:
    """Reading of `Lease`."""

    granted: bool
    held: int
    """Slots held now, this one included where granted."""


@value
class Sighting:
    """Reading of `Seen`: who showed the item before, oldest first; empty for a first sighting."""

    who: tuple[str, ...]


@value
class Scores:
    """Reading of `ReadScore` and `Raise`: rule → decayed level, levels below 0.01 left out."""

    levels: dict[str, float]


@value
class Posts:
    """Reading of `ReadPosts`."""

    posts: tuple[tuple[str, str, float], ...]
    """(name, text, when it ends in Unix seconds) of those that have not ended."""
    until: float
    """Everything posted before this has been told; the next `since`."""


@value
class Done:
    """Reading of the operations that give something back."""


Reading = (
    Total | Different | Novelty | Tallied | Paced | Taken | Held | Sighting | Scores | Posts | Done
)


Abandoned = Callable[[Sequence[Reading]], None]


class Store(Protocol):
    """Carries out batches of operations. One implementation in memory, one over Redis."""

    async def apply(
        self, ops: Sequence[Op], now: float | None = None, *, abandoned: Abandoned | None = None
    ) -> Sequence[Reading]:
        """Carry out `ops` in order, in one trip; readings come in the same order.

        Where the caller is cancelled while it waits, `abandoned` is given the readings when they
        come, so that what was counted for nobody can be taken back.

        Raises StoreTimeoutError (nothing is known of what was done), StoreFullError, or another
        StoreError. Cancelling the caller never cancels what other callers share with it.
        """
        ...

    async def ready(self) -> Sequence[str]:
        """Answer a trivial request, or raise StoreError.

        Returns the ways in which its servers throw counters away to make room; none is best.
        """
        ...

    async def close(self) -> None:
        """Release connections. Nothing may be applied afterwards."""
        ...


def undo(op: Op, reading: Reading) -> Op | None:
    """The operation that takes `op` back for a request that was refused after all, if any.

    `Seen`, `Pace`, scores and notices stay: they say what was tried, not what was granted.
    """
    match op, reading:
        case Count(), Total():
            return Uncount(op.subject, op.key, op.window, op.weight, reading.now)
        case Distinct(), Different() if reading.previous != reading.now:
            return Forget(op.subject, op.key, op.window, op.item, reading.now, reading.previous)
        case Novel(), Novelty():
            return Unnovel(
                op.subject, op.key, op.window, reading.weight, reading.now, reading.fresh
            )
        case Tally(), Tallied():
            return Untally(op.subject, op.key, op.window, op.items, reading.now, op.requests)
        case Take(), Taken(admitted=True):
            return Refund(op.subject, op.key, op.amount, op.period, op.weight)
        case Reserve(), Taken(admitted=True):
            return Settle(op.subject, op.key, op.amount, op.period, op.id, 0)
        case Lease(), Held(granted=True):
            return Release(op.subject, op.key, op.id)
        case _:
            return None
