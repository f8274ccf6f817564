"""The breaker in front of a store, and a lone replica's share of limits."""

from __future__ import annotations

import pytest

from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Count, Lease, Op, Refund, Reserve, Settle, Take, Taken
from proxy.counters.resilient import FAILURES, PROBE_S, ResilientStore, share
from proxy.errors import StoreError, StoreFullError, StoreTimeoutError

from .stores import BrokenStore, StillClock

OPS: list[Op] = [Count("s", "k", 60)]


class Rig:
    """A resilient store and what it has told."""

    def __init__(self, replicas: int = 1) -> None:
        self.clock = StillClock()
        self.primary = BrokenStore()
        self.states: list[str] = []
        self.errors: list[str] = []
        self.store = ResilientStore(
            self.primary,
            MemoryStore(clock=self.clock),
            self.clock,
            replicas=replicas,
            on_state=lambda state, _: self.states.append(state),
            on_error=self.errors.append,
        )

    async def fail(self, times: int, error: StoreError) -> None:
        self.primary.error = error
        for _ in range(times):
            self.clock.advance(0.1)
            with pytest.raises(StoreError):
                await self.store.apply(OPS)


async def test_after_some_failures_nobody_waits_any_more() -> None:
    rig = Rig()
    await rig.fail(FAILURES, StoreTimeoutError("slow"))
    assert (rig.states, rig.errors) == (["down"], ["timeout"] * FAILURES)
    asked = rig.primary.tries
    with pytest.raises(StoreError):
        await rig.store.apply(OPS)
    assert rig.primary.tries == asked


async def test_failures_of_one_lost_pipeline_are_one() -> None:
    rig = Rig()
    rig.primary.error = StoreError("lost")
    for _ in range(10 * FAILURES):
        with pytest.raises(StoreError):
            await rig.store.apply(OPS)
    assert rig.states == []


async def test_one_request_tries_again_after_a_while_and_a_success_closes() -> None:
    rig = Rig()
    await rig.fail(FAILURES, StoreError("gone"))
    rig.clock.advance(PROBE_S)
    asked = rig.primary.tries
    for _ in range(5):
        with pytest.raises(StoreError):
            await rig.store.apply(OPS)
    assert rig.primary.tries == asked + 1
    rig.primary.error = None
    rig.clock.advance(PROBE_S)
    await rig.store.apply(OPS)
    assert rig.states == ["down", "ok"]
    await rig.store.apply(OPS)
    assert rig.primary.tries == asked + 3


async def test_a_success_between_failures_starts_the_count_anew() -> None:
    rig = Rig()
    for _ in range(5):
        await rig.fail(FAILURES - 1, StoreError("gone"))
        rig.primary.error = None
        await rig.store.apply(OPS)
    assert rig.states == []


async def test_a_full_store_is_said_and_goes_on_being_asked() -> None:
    rig = Rig()
    await rig.fail(3 * FAILURES, StoreFullError("full"))
    assert (rig.states, rig.store.state) == (["full"], "full")
    asked = rig.primary.tries
    rig.primary.error = None
    await rig.store.apply(OPS)
    assert rig.store.state == "full"  # a read may succeed on a full store
    rig.clock.advance(PROBE_S)
    await rig.store.apply(OPS)
    assert (rig.states, rig.primary.tries) == (["full", "ok"], asked + 2)


async def test_a_lone_replica_grants_its_share() -> None:
    rig = Rig(replicas=4)
    take = Take("s", "k", 8, 3600, 8)
    admitted = 0
    for _ in range(8):
        (taken,) = await rig.store.apply_local([take])
        assert isinstance(taken, Taken)
        admitted += taken.admitted
    assert admitted == 2


async def test_what_a_lone_replica_took_is_given_back_at_its_share() -> None:
    rig = Rig(replicas=4)
    take = Take("s", "k", 4, 3600, 4)
    await rig.store.apply_local([take])
    await rig.store._local.apply(rig.store.shared([Refund("s", "k", 4, 3600)]))
    (taken,) = await rig.store.apply_local([take])
    assert isinstance(taken, Taken)
    assert taken.admitted


@pytest.mark.parametrize(
    ("op", "shared"),
    [
        (Take("s", "k", 8, 60, 8), Take("s", "k", 2, 60, 2)),
        (Take("s", "k", 2, 60, 2), Take("s", "k", 1, 60, 1)),
        (Take("s", "k", 8, 60, 8, weight=5), Take("s", "k", 2, 60, 5, weight=5)),
        (Reserve("s", "k", 80, 60, 80, 30, "i", 9), Reserve("s", "k", 20, 60, 30, 30, "i", 9)),
        (Settle("s", "k", 8, 60, "i", 3), Settle("s", "k", 2, 60, "i", 3)),
        (Lease("s", "k", 2, "i", 9), Lease("s", "k", 1, "i", 9)),
        (Count("s", "k", 60), Count("s", "k", 60)),
    ],
)
def test_limits_are_divided_and_never_below_one_request(op: Op, shared: Op) -> None:
    assert share(op, 4) == shared
    assert share(op, 1) == op
