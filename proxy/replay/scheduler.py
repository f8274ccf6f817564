"""
Coroutines driven by hand, on virtual time, always in the same order.

A coroutine that awaits `Until` is woken when time has come so far; one that only gives way goes on at
once. Nothing else can be awaited: what would really wait has no place in a replay.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Coroutine
from typing import Any

from proxy.replay.clock import VirtualClock

Step = Callable[[], None]


class Scheduler:
    """Who is waiting, and for what time."""

    def __init__(self, clock: VirtualClock, settle: Step) -> None:
        """`settle` is called after each step, for what that step has queued."""
        self._clock = clock
        self._settle = settle
        self._waiting: list[tuple[float, int, Coroutine[Any, Any, None] | None, Step]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, work: Coroutine[Any, Any, None], told: Step) -> None:
        """Drive `work` until it waits; `told` is called whenever it waits, and when it has ended."""
        self._drive(work, told)

    def call_at(self, at: float, step: Step) -> None:
        """Call `step` at a time."""
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, None, step))

    def run_until(self, at: float) -> None:
        """Let time pass up to `at`, whoever waits for it included."""
        waiting, clock = self._waiting, self._clock
        while waiting and waiting[0][0] <= at:
            self._next()
        clock.at = max(clock.at, at)

    def run_out(self) -> None:
        """Let time pass until nobody waits any more."""
        while self._waiting:
            self._next()

    def _next(self) -> None:
        at, _, work, told = heapq.heappop(self._waiting)
        self._clock.at = max(self._clock.at, at)
        if work is None:
            told()
            self._settle()
        else:
            self._drive(work, told)

    def _drive(self, work: Coroutine[Any, Any, None], told: Step) -> None:
        send = work.send
        try:
            while (at := send(None)) is None:
                self._settle()
        except StopIteration:
            self._settle()
            told()
            return
        if type(at) is not float:
            work.close()
            raise RuntimeError(f"a replay cannot wait for {at!r}")
        self._settle()
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, work, told))
        told()
