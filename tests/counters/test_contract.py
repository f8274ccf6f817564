"""
What every store promises, told in scenarios: operations at times, and the readings they must give.

`S` stands for a subject of the test's own. Times are seconds after T0.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from proxy.counters.protocol import (
    BUCKETS,
    DISTINCT_MAX,
    NOVEL_BITS,
    POSTS_MAX,
    SEEN_MAX,
    TALLY_MAX,
    Count,
    Different,
    Distinct,
    Done,
    Forget,
    Held,
    Lease,
    Novel,
    Novelty,
    Op,
    Pace,
    Paced,
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
    Sighting,
    Store,
    Take,
    Taken,
    Tallied,
    Tally,
    Total,
    Uncount,
    Unnovel,
    Untally,
    undo,
)

from .stores import T0, take

Scenario = Sequence[tuple[float, Op, Reading]]

TAKE = Take("S", "t", amount=1, period=10, burst=3)
COUNT = Count("S", "c", window=60)
ITEM = Distinct("S", "d", window=60, item=7)
RESERVE = Reserve("S", "r", amount=10, period=1, burst=100, estimate=60, id="a", ttl=300)
PACE = Pace("S", "p")
T0_PANE = 60 - T0 % 60
"""Seconds until the minute that T0 stands in has ended."""
LEASE = Lease("S", "l", slots=2, id="a", ttl=30)
SEEN = Seen("S", "s", item=2**64 - 1, who="ann", ttl=100)
RAISE = Raise("S", "sc", rule="wide-crawl", level=40.0, half_life=3600)
SCORE = ReadScore("S", "sc", half_life=3600)
NOVEL = Novel("S", "n", window=60, marks=(7,))
TALLY = Tally("S", "y", window=60, items=(7,), asked=(8,))
POST = Post("S", "b", name="account:acme", text="banned", ttl=100)
READ = ReadPosts("S", "b", since=0.0)


def admitted(remaining: int, wait: float = 0.0) -> Taken:
    return Taken(True, wait, 0.0, remaining)


def refused(retry: float | None, remaining: int = 0) -> Taken:
    return Taken(False, 0.0, retry, remaining)


SCENARIOS: dict[str, Scenario] = {
    "of the pane before, so much counts as the window still covers": [
        (0, TALLY, Tallied(1, (1, 0), 1, T0)),
        (1, TALLY, Tallied(2, (2, 0), 2, T0 + 1)),
        (2, replace(TALLY, items=(), asked=(7, 9)), Tallied(3, (2, 0), 2, T0 + 2)),
        (3, replace(TALLY, items=(8,)), Tallied(4, (1, 1), 2, T0 + 3)),
        (T0_PANE + 30, TALLY, Tallied(3, (2, 0), 2, T0 + T0_PANE + 30)),
        (T0_PANE + 130, TALLY, Tallied(1, (1, 0), 1, T0 + T0_PANE + 130)),
    ],
    "what is taken back too late moves no time": [
        (0, TALLY, Tallied(1, (1, 0), 1, T0)),
        (90_000, Untally("S", "y", 60, (7,), T0), Done()),
        (86_400, replace(TALLY, items=()), Tallied(1, (0,), 0, T0 + 86_400)),
    ],
    "a pause says nothing of a pace, and hours stand by themselves": [
        (0, PACE, Paced(0, 0.0, 0.0, (*[0] * 23, 1), T0)),
        (4, PACE, Paced(1, 4.0, 0.0, (*[0] * 23, 2), T0 + 4)),
        (1204, PACE, Paced(1, 4.0, 0.0, (*[0] * 23, 3), T0 + 1204)),
        (7204, PACE, Paced(1, 4.0, 0.0, (*[0] * 21, 3, 0, 1), T0 + 7204)),
        (1e6, PACE, Paced(1, 4.0, 0.0, (*[0] * 23, 1), T0 + 1e6)),
    ],
    "what the window has seen is not new, and twice the window later it is": [
        (0, NOVEL, Novelty(1.0, 1, T0, 1000, (7,))),
        (1, NOVEL, Novelty(1.0, 2, T0 + 1, 0, ())),
        (130, NOVEL, Novelty(1.0, 1, T0 + 130, 1000, (7,))),
    ],
    "one mark that was seen before is enough not to be new": [
        (0, replace(NOVEL, marks=(7, 8)), Novelty(1.0, 1, T0, 1000, (7, 8))),
        (0, replace(NOVEL, marks=(8, 9)), Novelty(1.0, 2, T0, 0, (9,))),
        (0, replace(NOVEL, marks=(9, 10)), Novelty(1.0, 3, T0, 0, (10,))),
    ],
    "of the last pane's requests and new ones so much counts as the window still covers": [
        (0, NOVEL, Novelty(1.0, 1, T0, 1000, (7,))),
        (T0_PANE - 1, replace(NOVEL, marks=(8,)), Novelty(2.0, 2, T0 + T0_PANE - 1, 1000, (8,))),
        (T0_PANE + 15, NOVEL, Novelty(1.5, 2, T0 + T0_PANE + 15, 0, (7,))),
        (T0_PANE + 30, replace(NOVEL, marks=(9,)), Novelty(2.0, 3, T0 + T0_PANE + 30, 1000, (9,))),
    ],
    "what is taken back of the last pane is unknown, and what came too late stays": [
        (0, NOVEL, Novelty(1.0, 1, T0, 1000, (7,))),
        (T0_PANE + 30, replace(NOVEL, marks=(9,)), Novelty(1.5, 1, T0 + T0_PANE + 30, 1000, (9,))),
        (T0_PANE + 30, Unnovel("S", "n", 60, 1000, T0, (7,)), Done()),
        (T0_PANE + 30, NOVEL, Novelty(2.0, 2, T0 + T0_PANE + 30, 1000, (7,))),
        (T0_PANE + 30, Unnovel("S", "n", 60, 1000, T0 - 60, (7,)), Done()),
        (T0_PANE + 30, NOVEL, Novelty(2.0, 3, T0 + T0_PANE + 30, 0, ())),
    ],
    "a notice stands until it ends or is taken down": [
        (0, READ, Posts((), T0)),
        (0, POST, Done()),
        (1, READ, Posts((("account:acme", "banned", T0 + 100),), T0 + 1)),
        (2, replace(POST, text=""), Done()),
        (3, READ, Posts((("account:acme", "", T0 + 102),), T0 + 3)),
        (103, READ, Posts((), T0 + 103)),
    ],
    "only what was posted since is told again": [
        (0, POST, Done()),
        (5, replace(POST, name="b"), Done()),
        (6, replace(READ, since=T0 + 5), Posts((("b", "banned", T0 + 105),), T0 + 6)),
    ],
    "a burst is admitted at one instant, then one per period": [
        (0, TAKE, admitted(2)),
        (0, TAKE, admitted(1)),
        (0, TAKE, admitted(0)),
        (0, TAKE, refused(10.0)),
        (4, TAKE, refused(6.0)),
        (10, TAKE, admitted(0)),
        (10, TAKE, refused(10.0)),
        (40, TAKE, admitted(2)),
    ],
    "a refused take spends nothing, also a heavy one": [
        (0, replace(TAKE, weight=2), admitted(1)),
        (0, replace(TAKE, weight=2), refused(10.0, 1)),
        (0, TAKE, admitted(0)),
    ],
    "a take above the burst never conforms": [
        (0, replace(TAKE, weight=4), refused(None, 3)),
        (1000, replace(TAKE, weight=4), refused(None, 3)),
    ],
    "a take may wait its turn, up to max_wait": [
        (0, replace(TAKE, weight=3), admitted(0)),
        (0, replace(TAKE, max_wait=15), admitted(0, wait=10.0)),
        (0, replace(TAKE, max_wait=15), refused(5.0)),
        (5, replace(TAKE, max_wait=15), admitted(0, wait=15.0)),
    ],
    "a refund gives weight back, but never beyond a full burst": [
        (0, replace(TAKE, weight=3), admitted(0)),
        (0, Refund("S", "t", 1, 10, weight=2), Done()),
        (0, replace(TAKE, weight=2), admitted(0)),
        (0, Refund("S", "t", 1, 10, weight=99), Done()),
        (0, replace(TAKE, weight=3), admitted(0)),
    ],
    "a refund of what was never taken does nothing": [
        (0, Refund("S", "t", 1, 10), Done()),
        (0, replace(TAKE, weight=3), admitted(0)),
    ],
    "time that goes back is read as the latest time seen": [
        (100, replace(TAKE, weight=3), admitted(0)),
        (50, TAKE, refused(10.0)),
        (110, TAKE, admitted(0)),
    ],
    "a changed limit keeps what was spent": [
        (0, replace(TAKE, weight=3), admitted(0)),
        (0, replace(TAKE, amount=2, burst=7), admitted(0)),
        (0, replace(TAKE, amount=2, burst=7), refused(5.0)),
    ],
    "two subjects share nothing": [
        (0, replace(TAKE, weight=3), admitted(0)),
        (0, replace(TAKE, subject="S2", weight=3), admitted(0)),
    ],
    "counts add up and slide out of the window": [
        (0, COUNT, Total(1, T0)),
        (0, replace(COUNT, weight=5), Total(6, T0)),
        (30, COUNT, Total(7, T0 + 30)),
        (62, COUNT, Total(2, T0 + 62)),
        (400, replace(COUNT, weight=0), Total(0, T0 + 400)),
    ],
    "a count taken back is gone, once, from where it was": [
        (0, replace(COUNT, weight=5), Total(5, T0)),
        (10, replace(COUNT, weight=2), Total(7, T0 + 10)),
        (20, Uncount("S", "c", 60, 5, T0), Done()),
        (20, Uncount("S", "c", 60, 5, T0), Done()),
        (20, replace(COUNT, weight=0), Total(2, T0 + 20)),
        (90, replace(COUNT, weight=1), Total(1, T0 + 90)),
        (90, Uncount("S", "c", 60, 2, T0 + 10), Done()),
        (90, replace(COUNT, weight=0), Total(1, T0 + 90)),
    ],
    "windows and leases end exactly when they are over": [
        (0, ITEM, Different(1, T0, None)),
        (60, ITEM, Different(1, T0 + 60, None)),
        (60, LEASE, Held(True, 1)),
        (90, LEASE, Held(True, 1)),
        (100, SEEN, Sighting(())),
        (200, SEEN, Sighting(())),
        (300, COUNT, Total(1, T0 + 300)),
        (360, COUNT, Total(2, T0 + 360)),
        (360, Uncount("S", "c", 60, 1, T0 + 300), Done()),
        (360, COUNT, Total(2, T0 + 360)),
    ],
    "a distinct item counts once and tells when it was seen last": [
        (0, ITEM, Different(1, T0, None)),
        (5, ITEM, Different(1, T0 + 5, T0)),
        (5, replace(ITEM, item=8), Different(2, T0 + 5, None)),
        (65, replace(ITEM, item=9), Different(1, T0 + 65, None)),
    ],
    "a forgotten sighting leaves the earlier one": [
        (0, ITEM, Different(1, T0, None)),
        (5, ITEM, Different(1, T0 + 5, T0)),
        (5, Forget("S", "d", 60, 7, T0 + 5, T0), Done()),
        (6, ITEM, Different(1, T0 + 6, T0)),
        (6, Forget("S", "d", 60, 7, T0, None), Done()),
        (7, ITEM, Different(1, T0 + 7, T0 + 6)),
        (7, Forget("S", "d", 60, 7, T0 + 7, None), Done()),
        (7, ITEM, Different(1, T0 + 7, None)),
    ],
    "a reservation is settled once, down or up": [
        (0, RESERVE, admitted(40)),
        (0, RESERVE, admitted(40)),
        (0, replace(RESERVE, id="b"), refused(2.0, 40)),
        (0, Settle("S", "r", 10, 1, "a", actual=20), Done()),
        (0, Settle("S", "r", 10, 1, "a", actual=0), Done()),
        (0, replace(RESERVE, id="b"), admitted(20)),
        (0, Settle("S", "r", 10, 1, "b", actual=180), Done()),
        (0, replace(RESERVE, id="c", estimate=1), refused(10.1)),
    ],
    "a reservation that is settled too late stays spent": [
        (0, replace(RESERVE, ttl=2, estimate=100), admitted(0)),
        (2, Settle("S", "r", 10, 1, "a", actual=0), Done()),
        (2, replace(RESERVE, id="b", estimate=20), admitted(0)),
        (2, Settle("S", "r", 10, 1, "never reserved", actual=500), Done()),
        (2, replace(RESERVE, id="c", estimate=1), refused(0.1)),
    ],
    "a reservation may wait, as a take may": [
        (0, RESERVE, admitted(40)),
        (0, replace(RESERVE, id="b", max_wait=1.9), refused(0.1, 40)),
        (0, replace(RESERVE, id="b", max_wait=2), Taken(True, 2.0, 0.0, 0)),
        (0, Settle("S", "r", 10, 1, "b", actual=0), Done()),
        (0, replace(RESERVE, id="c", estimate=40), admitted(0)),
    ],
    "what is charged late is not forgotten before it is paid, however long that takes": [
        (0, replace(RESERVE, estimate=0), admitted(100)),
        (0, Settle("S", "r", 10, 1, "a", actual=100_000), Done()),
        (9_000, replace(RESERVE, id="b", estimate=0), refused(990.0)),
        (9_990, replace(RESERVE, id="b", estimate=0), admitted(0)),
    ],
    "slots are leased, renewed, given back and run out": [
        (0, LEASE, Held(True, 1)),
        (1, replace(LEASE, id="b"), Held(True, 2)),
        (2, replace(LEASE, id="c"), Held(False, 2)),
        (25, LEASE, Held(True, 2)),
        (31, replace(LEASE, id="c"), Held(True, 2)),
        (32, Release("S", "l", "a"), Done()),
        (32, Release("S", "l", "nobody"), Done()),
        (32, replace(LEASE, id="d"), Held(True, 2)),
        (33, replace(LEASE, id="e"), Held(False, 2)),
    ],
    "an item tells who showed it before": [
        (0, SEEN, Sighting(())),
        (1, replace(SEEN, who='bo\n"b,'), Sighting(("ann",))),
        (2, SEEN, Sighting(("ann", 'bo\n"b,'))),
        (3, replace(SEEN, item=1, who="zoë"), Sighting(())),
        (102, replace(SEEN, who="cy"), Sighting(())),
    ],
    "scores are set, never stacked, and decay": [
        (0, SCORE, Scores({})),
        (0, RAISE, Scores({"wide-crawl": 40.0})),
        (0, RAISE, Scores({"wide-crawl": 40.0})),
        (3600, replace(RAISE, rule="two", level=8.0), Scores({"wide-crawl": 20.0, "two": 8.0})),
        (7200, SCORE, Scores({"wide-crawl": 10.0, "two": 4.0})),
        (3600 * 10, SCORE, Scores({"wide-crawl": 40 / 2**10, "two": 8 / 2**9})),
        (3600 * 12, SCORE, Scores({})),
    ],
}


def _own(op: Op, subject: str) -> Op:
    return replace(op, subject=op.subject.replace("S", subject))


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_store_answers_the_same(name: str, store: Store, subject: str) -> None:
    for step, (after, op, expected) in enumerate(SCENARIOS[name]):
        (reading,) = await store.apply([_own(op, subject)], T0 + after)
        assert reading == expected, f"step {step}: {op}"


@pytest.mark.parametrize(
    ("amount", "period"), [(7, 60.0), (1, 0.001), (600, 60.0), (9_999_991, 86_400.0)]
)
@pytest.mark.parametrize("max_wait", [0.0, 0.0005])
async def test_a_retry_is_admitted_at_retry_after_and_not_a_microsecond_before(
    store: Store, subject: str, amount: int, period: float, max_wait: float
) -> None:
    op = Take(subject, "t", amount, period, burst=5, weight=3, max_wait=max_wait)
    base = T0 + 0.123457
    assert (await take(store, op, base)).admitted
    retry = (await take(store, op, base)).retry_after_s
    assert retry is not None
    assert retry > 0
    assert not (await take(store, op, base + retry - 1e-6)).admitted
    assert (await take(store, op, base + retry)).admitted


async def test_no_rounding_adds_up_over_ten_thousand_periods(store: Store, subject: str) -> None:
    """7 a minute is no whole number of microseconds; still every 7th take falls on the minute."""
    op = Take(subject, "t", amount=7, period=60, burst=1)
    for chunk in range(100):
        base = T0 + chunk * 60_000
        full = replace(op, weight=7, burst=7_000)
        await store.apply([full] * 1000, base)
        assert not (await take(store, op, base + 60_000 - 1e-6)).admitted
    assert (await take(store, op, T0 + 100 * 60_000)).admitted


@pytest.mark.parametrize("window", [60.0, 61.7, 86_400.0])
async def test_a_sliding_total_is_wrong_by_at_most_one_bucket(
    store: Store, subject: str, window: float
) -> None:
    times = [T0 + i * window / 97 for i in range(300)]
    readings = await _each(store, [Count(subject, "c", window)] * len(times), times)
    for now, reading in zip(times, readings, strict=True):
        assert isinstance(reading, Total)
        own = sum(now - window < at <= now for at in times)
        slack = sum(now - window - window / BUCKETS - 1e-5 < at <= now for at in times)
        assert own <= reading.total <= slack


async def _each(store: Store, ops: Sequence[Op], times: Sequence[float]) -> list[Reading]:
    return [(await store.apply([op], at))[0] for op, at in zip(ops, times, strict=True)]


async def test_distinct_is_exact_up_to_its_cap_and_at_least_that_above(
    store: Store, subject: str
) -> None:
    ops = [Distinct(subject, "d", 60, item) for item in range(DISTINCT_MAX + 100)]
    readings = await store.apply(ops, T0)
    told = [reading.distinct for reading in readings if isinstance(reading, Different)]
    assert told == [min(n, DISTINCT_MAX) for n in range(1, len(ops) + 1)]


async def test_a_smaller_cap_tells_and_keeps_less(store: Store, subject: str) -> None:
    ops = [Distinct(subject, "d", 60, item, most=5) for item in range(100)]
    readings = await store.apply(ops, T0)
    told = [reading.distinct for reading in readings if isinstance(reading, Different)]
    assert told == [min(n, 5) for n in range(1, 101)]


async def test_sightings_in_flight_that_are_forgotten_do_not_lower_a_full_count(
    store: Store, subject: str
) -> None:
    """Else a caller could shrink its count by requests that it knows will be refused."""
    await store.apply([Distinct(subject, "d", 60, item) for item in range(DISTINCT_MAX)], T0)
    tried = [Distinct(subject, "d", 60, 1000 + item) for item in range(20)]
    readings = await store.apply(tried, T0 + 1)
    undone = [undo(op, reading) for op, reading in zip(tried, readings, strict=True)]
    await store.apply([op for op in undone if op is not None], T0 + 1)
    (again,) = await store.apply([Distinct(subject, "d", 60, 0)], T0 + 2)
    assert isinstance(again, Different)
    assert again.distinct == DISTINCT_MAX


@pytest.mark.parametrize("new", [200, 3_000, 10_000])
async def test_the_share_of_new_ones_stays_right_however_many_there_are(
    store: Store, subject: str, new: int
) -> None:
    """Every third request is new, the others repeat one of the new ones."""
    rng = random.Random(new)
    marks = [rng.randrange(NOVEL_BITS) for _ in range(new)]
    shown = [mark for at, mark in enumerate(marks) for mark in (mark, marks[at // 2], marks[0])]
    readings: list[Reading] = []
    for start in range(0, len(shown), 1000):
        ops = [Novel(subject, "n", 3600, (mark,)) for mark in shown[start : start + 1000]]
        readings += await store.apply(ops, T0)
    last = readings[-1]
    assert isinstance(last, Novelty)
    assert last.total == pytest.approx(new, rel=0.02)


@pytest.mark.parametrize(
    "count", [pytest.param(100, id="a list"), pytest.param(1000, id="bitmaps")]
)
async def test_marks_are_known_in_this_pane_and_the_next_however_they_are_kept(
    store: Store, subject: str, count: int
) -> None:
    marks = random.Random(count).sample(range(NOVEL_BITS), count)
    (first,) = await store.apply([Novel(subject, "n", 60, tuple(marks))], T0)
    assert isinstance(first, Novelty)
    assert first.fresh == tuple(marks)
    others = [mark for mark in range(NOVEL_BITS) if mark not in set(marks)][:count]
    later = T0 + T0_PANE + 1
    asked = [
        Novel(subject, "n", 60, (mark,))
        for pair in zip(marks, others, strict=True)
        for mark in pair
    ]
    told = await store.apply(asked, later)
    assert [reading.weight > 0 for reading in told if isinstance(reading, Novelty)] == [
        False,
        True,
    ] * count
    taken_back = [undo(op, reading) for op, reading in zip(asked, told, strict=True)]
    await store.apply([op for op in taken_back if op is not None], later)
    again = await store.apply(asked[:2], later)
    assert [reading.weight > 0 for reading in again if isinstance(reading, Novelty)] == [
        False,
        True,
    ]
    assert isinstance(again[1], Novelty)
    assert again[1].requests == 2


def _new(readings: Sequence[Reading]) -> list[bool]:
    return [reading.weight > 0 for reading in readings if isinstance(reading, Novelty)]


async def test_few_marks_of_a_pane_are_known_after_one_of_many(store: Store, subject: str) -> None:
    """Bitmaps become a list again."""
    many, few = tuple(range(0, 4000, 4)), tuple(range(1, 4000, 13))
    await store.apply([Novel(subject, "n", 60, many)], T0)
    await store.apply([Novel(subject, "n", 60, few)], T0 + T0_PANE)
    asked = [Novel(subject, "n", 60, (mark,)) for mark in (*few, 2, 4, 3999)]
    told = await store.apply(asked, T0 + T0_PANE + 60)
    assert _new(told) == [False] * len(few) + [True] * 3


async def test_of_many_marks_only_those_of_their_own_pane_are_taken_back(
    store: Store, subject: str
) -> None:
    op = Novel(subject, "n", 60, tuple(range(1000)))
    (noted,) = await store.apply([op], T0)
    await store.apply([Novel(subject, "n", 60, (1,))], T0 + T0_PANE)
    taken_back = undo(op, noted)
    assert taken_back is not None
    await store.apply([taken_back], T0 + T0_PANE)
    asked = [Novel(subject, "n", 60, (mark,)) for mark in (1, 5, 5)]
    assert _new(await store.apply(asked, T0 + T0_PANE)) == [False, True, False]


async def test_of_items_seen_at_once_the_least_go_first(store: Store, subject: str) -> None:
    """Redis and memory must agree on who goes where more come than are kept."""
    ops = [Distinct(subject, "d", 60, number << 32, most=1) for number in range(40, 0, -1)]
    await store.apply(ops, T0)
    asked = [Distinct(subject, "d", 60, number << 32) for number in (40, 8, 7, 1)]
    told = await store.apply(asked, T0)
    assert [read.previous for read in told if isinstance(read, Different)] == [T0, T0, None, None]


async def test_a_board_is_read_in_pages(store: Store, subject: str) -> None:
    posts = [Post(subject, "b", f"n{n}", "x", 100.0) for n in range(POSTS_MAX + 10)]
    for at, post in enumerate(posts):
        await store.apply([post], T0 + at / 1000)
    seen: set[str] = set()
    since = 0.0
    for _ in range(2):
        (page,) = await store.apply([ReadPosts(subject, "b", since)], T0 + 2)
        assert isinstance(page, Posts)
        seen |= {name for name, _, _ in page.posts}
        since = page.until
    assert len(seen) == len(posts)
    assert since == T0 + 2


async def test_an_item_remembers_the_latest_of_many_witnesses(store: Store, subject: str) -> None:
    names = [f"who-{n}" for n in range(SEEN_MAX + 4)]
    times = [T0 + n for n in range(len(names))]
    ops = [Seen(subject, "s", 1, who, 1000) for who in names]
    await _each(store, ops, times)
    (sighting,) = await store.apply([Seen(subject, "s", 1, "last", 1000)], T0 + 100)
    assert sighting == Sighting(tuple(names[-SEEN_MAX:]))


async def test_a_tally_keeps_what_is_shown_most(store: Store, subject: str) -> None:
    often = [Tally(subject, "y", 60, (item,)) for item in range(TALLY_MAX) for _ in range(3)]
    once = [Tally(subject, "y", 60, (item,)) for item in range(100, 140)]
    await store.apply(often + once, T0)
    (read,) = await store.apply([Tally(subject, "y", 60, (), (1, 15, 139, 120))], T0)
    assert isinstance(read, Tallied)
    # Each newcomer takes the place of what is shown least: of equals, first of what came first.
    assert read.requests == 3 * TALLY_MAX + 41
    assert read.shown == (3, 3, 1, 0)
    assert read.top == 3


async def test_a_clock_is_more_regular_than_chance(store: Store, subject: str) -> None:
    rng, at, by_chance = random.Random(7), T0, T0
    for _ in range(400):
        at += 2.0
        by_chance += rng.expovariate(0.5)
        (clock,) = await store.apply([Pace(subject, "clock")], at)
        (chance,) = await store.apply([Pace(subject, "chance")], by_chance)
    assert isinstance(clock, Paced)
    assert isinstance(chance, Paced)
    assert (clock.gaps, clock.mean_s, clock.variation) == (399, 2.0, 0.0)
    assert 0.7 < chance.variation < 1.3
    assert sum(clock.hours) == 400


@pytest.mark.parametrize("op", [COUNT, ITEM, NOVEL, TALLY, TAKE, RESERVE, LEASE])
async def test_undo_takes_back_what_was_done(store: Store, subject: str, op: Op) -> None:
    """The second time reads as the first did."""
    own = _own(op, subject)
    (first,) = await store.apply([own], T0)
    back = undo(own, first)
    assert back is not None
    await store.apply([back], T0)
    (second,) = await store.apply([own], T0)
    assert second == first


async def test_a_batch_of_many_subjects_is_answered_in_its_own_order(
    store: Store, subject: str
) -> None:
    ops = [Count(f"{subject}-{n % 7}", "c", 60, weight=n) for n in range(30)]
    readings = await store.apply(ops, T0)
    sums = [sum(range(n % 7, n + 1, 7)) for n in range(30)]
    assert [reading.total for reading in readings if isinstance(reading, Total)] == sums


@pytest.mark.parametrize("name", ["", "a}b", "}", "{x}", "a%7Db", "zoë 漢", "a\r\nb"])
async def test_any_text_is_a_subject_of_its_own(store: Store, subject: str, name: str) -> None:
    odd = f"{name}{subject}" if name else ""
    await store.apply([replace(RESERVE, subject=odd, id=subject)], T0)
    readings = await store.apply(
        [
            Count(odd, f"c{subject}", 60),
            Count(odd, f"e{subject}", 60),
            Settle(odd, "r", 10, 1, subject, 0),
        ],
        T0,
    )
    assert readings == [Total(1, T0), Total(1, T0), Done()]


async def test_without_a_time_the_store_uses_its_own(store: Store, subject: str) -> None:
    op = Take(subject, "t", amount=1, period=3600, burst=2)
    readings = await store.apply([op, op, op, Count(subject, "c", 60)])
    *taken, total = readings
    assert [reading.admitted for reading in taken if isinstance(reading, Taken)] == [1, 1, 0]
    assert isinstance(total, Total)
    assert total.now >= T0


async def test_nothing_is_applied_after_close(store: Store) -> None:
    await store.ready()
    await store.close()
    with pytest.raises(Exception, match="closed"):
        await store.apply([COUNT], T0)
    with pytest.raises(Exception, match="closed"):
        await store.ready()
