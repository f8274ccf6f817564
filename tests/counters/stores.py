"""What tests of counters share: clocks that stand still, and the stores under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Abandoned, Op, Reading, Store, Take, Taken
from proxy.counters.redis import RedisStore
from proxy.errors import StoreError

PATIENT_S = 20.0
"""Time-out of stores whose test is not about time: busy machines are slow."""

T0 = 1_700_000_000.0
"""An instant that tests begin at."""


@dataclass
class StillClock:
    """A clock that moves when a test says so."""

    time: float = T0
    elapsed: float = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        self.time += seconds
        self.elapsed += seconds


@dataclass
class BrokenStore:
    """A store that answers as told: the error if there is one, else nothing but success."""

    error: StoreError | None = None
    tries: int = 0

    async def apply(
        self, ops: Sequence[Op], now: float | None = None, *, abandoned: Abandoned | None = None
    ) -> Sequence[Reading]:
        self.tries += 1
        if self.error is not None:
            raise self.error
        return []

    async def ready(self) -> Sequence[str]:
        await self.apply(())
        return ()

    async def close(self) -> None:
        self.error = StoreError("closed")


def memory_store() -> MemoryStore:
    return MemoryStore(clock=StillClock())


def redis_store(url: str, **options: float) -> RedisStore:
    limits = {"timeout": PATIENT_S, "connect_timeout": PATIENT_S} | options
    return RedisStore(url, timeout=limits["timeout"], connect_timeout=limits["connect_timeout"])


async def take(store: Store, op: Take, now: float | None) -> Taken:
    (reading,) = await store.apply([op], now)
    assert isinstance(reading, Taken)
    return reading
