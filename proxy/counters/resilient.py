"""
The store as the pipeline sees it: a circuit breaker in front, this replica's own memory beside it.

While the breaker is open nobody waits for a store that is gone. Out of memory is a state of its own: the
store answers, so the breaker stays closed, but what it refuses to count is counted locally.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from proxy.clock import Clock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Lease, Op, Reading, Reserve, Store, Take
from proxy.errors import StoreError, StoreFullError, StoreTimeoutError

State = Literal["ok", "down", "full"]
FAILURES_TO_OPEN = 5
RETRY_S = 1.0
"""How long an open breaker waits before one request may try the store again."""


class ResilientStore:
    """Wraps a store; tells `on_state` of each change once, and `on_error` of each failure."""

    def __init__(
        self,
        primary: Store,
        local: MemoryStore,
        clock: Clock,
        *,
        replicas: int = 1,
        on_state: Callable[[State, str], None] = lambda _state, _reason: None,
        on_error: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._primary = primary
        self._local = local
        self._clock = clock
        self._replicas = replicas
        self._on_state = on_state
        self._on_error = on_error
        self._failures = 0
        self._retry_at = 0.0
        self.state: State = "ok"

    async def apply(
        self,
        ops: Sequence[Op],
        now: float | None = None,
        *,
        abandoned: Callable[[Sequence[Reading]], None] | None = None,
    ) -> Sequence[Reading]:
        """As `Store.apply`; fails at once while the breaker is open."""
        if self.state == "down" and not self._may_try():
            raise StoreError("the store is down")
        try:
            readings = await self._primary.apply(ops, now, abandoned=abandoned)
        except StoreError as error:
            self._failed(error)
            raise
        if self.state != "ok" or self._failures:
            self._succeeded()
        return readings

    async def apply_local(self, ops: Sequence[Op], now: float) -> Sequence[Reading]:
        """Count in this replica's memory, its limits divided by the number of replicas."""
        return await self._local.apply([share(op, self._replicas) for op in ops], now)

    async def ready(self) -> None:
        """Whether the primary answers; raises StoreError."""
        try:
            await self._primary.ready()
        except StoreError as error:
            self._failed(error)
            raise
        self._succeeded()

    async def close(self) -> None:
        """Close both."""
        await self._primary.close()
        await self._local.close()

    def _may_try(self) -> bool:
        """One try each RETRY_S; the others fail at once meanwhile."""
        now = self._clock.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + RETRY_S
        return True

    def _failed(self, error: StoreError) -> None:
        if isinstance(error, StoreFullError):
            self._on_error("full")
            self._enter("full", str(error))
            return
        self._on_error("timeout" if isinstance(error, StoreTimeoutError) else "error")
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN and self.state != "down":
            self._retry_at = self._clock.monotonic() + RETRY_S
            self._enter("down", str(error))

    def _succeeded(self) -> None:
        self._failures = 0
        self._enter("ok", "")

    def _enter(self, state: State, reason: str) -> None:
        if state != self.state:
            self.state = state
            self._on_state(state, reason)


def share(op: Op, replicas: int) -> Op:
    """The operation with this replica's share of its limit, at least 1."""
    if replicas <= 1:
        return op
    match op:
        case Take() | Reserve():
            amount, burst = max(1, op.amount // replicas), max(1, op.burst // replicas)
            return replace(op, amount=amount, burst=burst)
        case Lease():
            return replace(op, slots=max(1, op.slots // replicas))
        case _:
            return op
