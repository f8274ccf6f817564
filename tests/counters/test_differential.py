"""Memory is the model: whatever is done at whatever times, Redis and Redis Cluster read the same."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.counters.protocol import (
    NOVEL_BITS,
    Count,
    Different,
    Distinct,
    Forget,
    Lease,
    Novel,
    Novelty,
    Op,
    Pace,
    Post,
    Raise,
    Reading,
    ReadPosts,
    ReadScore,
    Refund,
    Release,
    Reserve,
    Seen,
    Settle,
    Store,
    Take,
    Tallied,
    Tally,
    Total,
    Uncount,
    undo,
)
from tests.redis_servers import RedisCluster, RedisServer

from .stores import T0, memory_store, redis_store

Move = tuple[float, list[Op], bool]

subjects = st.sampled_from(["a", "b", "ü}"])
windows = st.sampled_from([1.0, 7.3, 60.0])
limits = st.sampled_from([(1, 1.0), (7, 60.0), (3, 0.001), (600, 60.0), (1_000_003, 86_400.0)])
weights = st.sampled_from([0, 1, 2, 5, 1000])
ids = st.sampled_from(["x", "y z", "\n"])
items = st.integers(0, 5)
lifetimes = st.sampled_from([0.5, 10.0, 600.0])
half_lives = st.sampled_from([5.0, 3600.0])


@st.composite
def taking(draw: st.DrawFn) -> Op:
    (amount, period), subject = draw(limits), draw(subjects)
    burst = draw(st.sampled_from([1, 5, 1000]))
    match draw(st.integers(0, 5)):
        case 0 | 1:
            wait = draw(st.sampled_from([0.0, 0.25, 9.0]))
            return Take(subject, "take", amount, period, burst, draw(weights), wait)
        case 2:
            return Refund(subject, "take", amount, period, draw(weights))
        case 3 | 4:
            estimate, ttl = draw(weights), draw(lifetimes)
            wait = draw(st.sampled_from([0.0, 0.25, 9.0]))
            return Reserve(subject, "take", amount, period, burst, estimate, draw(ids), ttl, wait)
        case _:
            return Settle(subject, "take", amount, period, draw(ids), draw(weights))


counting = st.one_of(
    st.builds(lambda s, w, n: Count(s, f"count{w}", w, n), subjects, windows, weights),
    st.builds(
        lambda s, w, i, m: Distinct(s, f"distinct{w}", w, i, m),
        subjects,
        windows,
        st.integers(0, 40),
        st.sampled_from([2, 128]),
    ),
    st.builds(
        lambda s, w, m: Novel(s, f"novel{w}", w, tuple(m)),
        subjects,
        windows,
        st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
    ),
)
shown = st.lists(st.integers(0, 20), max_size=3, unique=True).map(tuple)
tallying = st.one_of(
    st.builds(
        lambda s, w, i, a, n: Tally(s, f"tally{w}", w, i, a, n),
        subjects,
        windows,
        shown,
        shown,
        st.integers(0, 1),
    ),
    st.builds(lambda s: Pace(s, "pace"), subjects),
)
holding = st.one_of(
    st.builds(
        lambda s, n, i, t: Lease(s, "lease", n, i, t),
        subjects,
        st.sampled_from([0, 2]),
        ids,
        lifetimes,
    ),
    st.builds(lambda s, i: Release(s, "lease", i), subjects, ids),
)
noting = st.one_of(
    st.builds(lambda s, i, w: Seen(s, "seen", i, w, 10.0), subjects, items, ids),
    st.builds(
        lambda s, r, v, h: Raise(s, "score", r, v, h),
        subjects,
        ids,
        st.floats(0.01, 500),
        half_lives,
    ),
    st.builds(lambda s, h: ReadScore(s, "score", h), subjects, half_lives),
    st.builds(
        lambda s, n, t, life: Post(s, "board", n, t, life),
        subjects,
        ids,
        st.sampled_from(["", "{}", "ü\n"]),
        lifetimes,
    ),
    st.builds(
        lambda s, ago: ReadPosts(s, "board", max(0.0, T0 - ago)),
        subjects,
        st.sampled_from([0.0, 10.0, T0]),
    ),
)
steps = st.one_of(
    st.sampled_from([0.0, 1e-6, 0.1]),
    st.sampled_from([0.5, 1.0, 7.3, 10.0, 60.0]),  # exactly on the edge of a window or lifetime
    st.floats(0, 3, width=32),
    st.floats(-70, 70, width=32),
    st.sampled_from([-3600.0, 90_000.0]),
)
# Half of the batches take back something that was read before, at the time that it was read.
batches = st.tuples(
    steps,
    st.lists(st.one_of(taking(), counting, tallying, holding, noting), max_size=4),
    st.booleans(),
)


# One counter of each kind that Redis keeps as a string of its own making: filled, sparse, full again.
filling = st.builds(
    lambda start, step: Novel("a", "novel", 60.0, tuple(range(start, NOVEL_BITS, step))),
    st.sampled_from([0, 1, 7_000]),
    st.sampled_from([3, 25]),
)
sparsely = st.builds(lambda mark: Novel("a", "novel", 60.0, (mark, mark + 25)), st.integers(0, 60))
sighting = st.builds(
    lambda item, most: Distinct("a", "distinct", 60.0, item, most),
    st.sampled_from([*range(50), *(number << 32 for number in range(50))]),
    st.sampled_from([1, 1, 128]),
)
strings = st.tuples(
    st.sampled_from([0.0, 0.0, 1e-6, 20.0, 60.0, 130.0]),
    st.one_of(st.lists(st.one_of(filling, sparsely), max_size=3), st.lists(sighting, max_size=40)),
    st.booleans(),
)


def _taken_back(op: Op, reading: Reading) -> list[Op]:
    match op, reading:
        case Count(), Total():
            return [Uncount(op.subject, op.key, op.window, op.weight, reading.now)]
        case Distinct(), Different():
            at, previous = reading.now, reading.previous
            return [Forget(op.subject, op.key, op.window, op.item, at, previous)]
        case (Novel(), Novelty()) | (Tally(), Tallied()):
            taken_back = undo(op, reading)
            return [] if taken_back is None else [taken_back]
    return []


async def _play(stores: Sequence[Store], example: int, moves: Sequence[Move]) -> None:
    now, back = T0, list[Op]()
    for step, ops, takes_back in moves:
        now += step
        batch = [_renamed(op, example) for op in ops] + (back if takes_back else [])
        told = [await store.apply(batch, now) for store in stores]
        for other in told[1:]:
            assert list(other) == list(told[0]), (now, batch)
        for op, reading in zip(batch, told[0], strict=True):
            back = _taken_back(op, reading) or back


def _renamed(op: Op, example: int) -> Op:
    values = {name: getattr(op, name) for name in op.__dataclass_fields__}
    return type(op)(**values | {"subject": f"{op.subject}{example}"})


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "moved", [pytest.param(batches, id="all"), pytest.param(strings, id="strings")]
)
def test_every_store_reads_what_memory_reads(
    shared_redis: RedisServer, shared_cluster: RedisCluster, moved: st.SearchStrategy[Move]
) -> None:
    examples = itertools.count()
    with asyncio.Runner() as runner:

        async def make() -> list[Store]:
            return [
                memory_store(),
                redis_store(shared_redis.url),
                redis_store(shared_cluster.url),
            ]

        stores = runner.run(make())

        @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(moved, max_size=25))
        def play(moves: list[Move]) -> None:
            runner.run(_play(stores, next(examples), moves))

        play()
        for store in stores:
            runner.run(store.close())
