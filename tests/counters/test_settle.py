"""Settling: queued, batched, bounded, and never in a request's way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Count, Op, Total
from proxy.counters.settle import BATCH, Settler
from proxy.errors import StoreError


class Recording(MemoryStore):
    """Remembers its batches; waits before each while `gate` is closed; fails `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__(clock=SystemClock())
        self.batches: list[int] = []
        self.failures = failures
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, ops: Sequence[Op], *args: Any, **kwargs: Any) -> Any:
        await self.gate.wait()
        self.batches.append(len(ops))
        if len(self.batches) <= self.failures:
            raise StoreError("gone")
        return await super().apply(ops, *args, **kwargs)


def ops(count: int) -> list[Op]:
    return [Count("s", "k", 60) for _ in range(count)]


async def total(store: Recording) -> int:
    (reading,) = await MemoryStore.apply(store, [Count("s", "k", 60, weight=0)])
    assert isinstance(reading, Total)
    return reading.total


async def test_all_is_carried_out_in_batches_before_it_closes() -> None:
    lost: list[int] = []
    store = Recording()
    settler = Settler(store, on_lost=lost.append)
    settler.start()
    settler.put(ops(BATCH + 10))
    await settler.close(5)
    assert store.batches == [BATCH, 10]
    assert await total(store) == BATCH + 10
    assert lost == []


async def test_a_batch_that_fails_is_lost_counted_and_the_next_is_tried() -> None:
    lost: list[int] = []
    store = Recording(failures=1)
    settler = Settler(store, on_lost=lost.append)
    settler.start()
    settler.put(ops(BATCH + 10))
    await settler.close(5)
    assert (lost, await total(store)) == ([BATCH], 10)


async def test_the_queue_is_bounded_and_the_oldest_go() -> None:
    lost: list[int] = []
    settler = Settler(Recording(), on_lost=lost.append, limit=5)
    settler.put(ops(8))
    assert (len(settler), lost) == (5, [3])


async def test_closing_does_not_wait_for_a_store_that_hangs() -> None:
    lost: list[int] = []
    store = Recording()
    store.gate.clear()
    settler = Settler(store, on_lost=lost.append)
    settler.start()
    settler.put(ops(BATCH + 10))
    async with asyncio.timeout(5):
        await settler.close(0.01)
    assert sum(lost) == BATCH + 10
