"""
A store that may fail, and what stands in for it.

A circuit breaker: after a few failures in a row nobody waits for the store any more, one request at a
time tries it again after a while, and the first success closes it. The pipeline decides rule by rule
what a failure means; for `local` it applies the same operations to this replica's memory, with
the limits divided among the replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from proxy.clock import Clock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import (
    Abandoned,
    Lease,
    Op,
    Reading,
    Refund,
    Reserve,
    Settle,
    Store,
    Take,
)
from proxy.errors import StoreError, StoreFullError, StoreTimeoutError

State = Literal["ok", "down", "full"]

FAILURES: Final = 3
"""Failures in a row that open the breaker."""

APART_S: Final = 0.02
"""Failures closer together than this are one: a pipeline that is lost fails all who share it."""

PROBE_S: Final = 1.0
"""Seconds between two attempts while the breaker is open, and that a full store must write without
refusal before it counts as well again."""


class ResilientStore:
    """
    A `Store` in front of another, with a breaker.

    `on_state(state, reason)` is called once for every change of `state`, never per request: `down`
    when the breaker opens, `full` when the store runs out of memory, `ok` when it is well again.
    `on_error(kind)` is called for every failure of the store itself: `timeout`, `full` or `error`.
    """

    def __init__(
        self,
        primary: Store,
        local: MemoryStore,
        clock: Clock,
        *,
        replicas: int = 1,
        on_state: Callable[[State, str], None] = lambda _state, _reason: None,
        on_error: Callable[[str], None] = lambda _kind: None,
        failures: int = FAILURES,
        probe_s: float = PROBE_S,
    ) -> None:
        self._primary = primary
        self._local = local
        self._clock = clock
        self._on_state = on_state
        self._on_error = on_error
        self._replicas = replicas
        self._failures_to_open = failures
        self._probe_s = probe_s
        self._state: State = "ok"
        self._failures = 0
        self._failed_at = float("-inf")
        self._full_at = float("-inf")
        self._probe_at = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        """`ok`; `down` while the breaker is open; `full` while the store has no memory left."""
        return self._state

    async def apply(
        self,
        ops: Sequence[Op],
        now: float | None = None,
        *,
        abandoned: Abandoned | None = None,
    ) -> Sequence[Reading]:
        """See `Store.apply`. Raises StoreError at once while the breaker is open."""
        probes = self._state == "down"
        if probes:
            self._start_probe()
        try:
            readings = await self._primary.apply(ops, now, abandoned=abandoned)
        except StoreError as error:
            self._failed(error)
            raise
        finally:
            if probes:
                self._probing = False
        if self._state != "ok" or self._failures:
            self._succeeded()
        return readings

    async def apply_local(self, ops: Sequence[Op], now: float | None = None) -> Sequence[Reading]:
        """The same operations on this replica's memory, limits divided among the replicas."""
        return await self._local.apply(self.shared(ops), now)

    def shared(self, ops: Sequence[Op]) -> list[Op]:
        """The operations as `apply_local` carries them out: what undoes those must be like them."""
        return [share(op, self._replicas) for op in ops]

    async def ready(self) -> Sequence[str]:
        """Ask the store itself, breaker or not; what it says counts for the breaker."""
        try:
            evictions = await self._primary.ready()
        except StoreError as error:
            self._failed(error)
            raise
        if self._state != "full":  # that a full store reads says nothing of its writing
            self._succeeded()
        return evictions

    async def close(self) -> None:
        """Close both stores."""
        await self._primary.close()
        await self._local.close()

    def _start_probe(self) -> None:
        """Let one request at a time through an open breaker, after a while; refuse the others."""
        now = self._clock.monotonic()
        if self._probing or now < self._probe_at:
            raise StoreError("the store is down")
        self._probing = True
        self._probe_at = now + self._probe_s

    def _failed(self, error: StoreError) -> None:
        now = self._clock.monotonic()
        if isinstance(error, StoreFullError):
            # It answers: that is no outage, and must not keep others from what it still can do.
            self._on_error("full")
            self._failures = 0
            self._full_at = now
            self._enter("full", str(error))
            return
        self._on_error("timeout" if isinstance(error, StoreTimeoutError) else "error")
        if now - self._failed_at < APART_S and self._failures:
            return
        self._failed_at = now
        self._failures += 1
        if self._failures >= self._failures_to_open:
            self._probe_at = now + self._probe_s
            self._enter("down", str(error))

    def _succeeded(self) -> None:
        self._failures = 0
        # Reads succeed on a full store: only time without a refusal says that it writes again.
        if self._state == "full" and self._clock.monotonic() - self._full_at < self._probe_s:
            return
        self._enter("ok", "")

    def _enter(self, state: State, cause: str) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state, cause)


def share(op: Op, replicas: int) -> Op:
    """
    `op` with its limit divided among `replicas`, for a replica that counts alone.

    Amounts, bursts and slots are at least 1; and a burst never falls below one request's own weight,
    for then that request could not pass however long it waited.
    """
    if replicas <= 1:
        return op
    match op:
        case Take():
            burst = max(1, op.burst // replicas, min(op.weight, op.burst))
            return replace(op, amount=max(1, op.amount // replicas), burst=burst)
        case Reserve():
            burst = max(1, op.burst // replicas, min(op.estimate, op.burst))
            return replace(op, amount=max(1, op.amount // replicas), burst=burst)
        case Refund() | Settle():
            return replace(op, amount=max(1, op.amount // replicas))
        case Lease():
            # None at all is a question, not a limit.
            return replace(op, slots=max(min(1, op.slots), op.slots // replicas))
        case _:
            return op
