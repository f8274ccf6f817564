"""
Ends what has stood still for too long: one timer for the whole process instead of one a wait.

A timer that is moved at every chunk costs more than the chunk's own forwarding, so activity is a plain
attribute, and one periodic look at everything under watch finds what has gone past its limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

TICKS_PER_LIMIT = 8
"""A wait ends at most 1/8 of its limit late, or LONGEST_TICK where it was changed under way."""
LONGEST_TICK = 1.0


class Watched:
    """One wait. Set `last` to the loop's time at each sign of life."""

    __slots__ = ("_watch", "expire", "expired", "last", "limit", "time")

    def __init__(self, watch: Watch, limit: float, expire: Callable[[], object]) -> None:
        self._watch = watch
        self.limit = limit
        self.expire = expire
        self.expired = False
        self.time = watch.time
        self.last = watch.time()

    def since(self) -> float:
        """Seconds since the last sign of life, which becomes now."""
        now = self.time()
        passed = now - self.last
        self.last = now
        return passed

    def stop(self) -> None:
        """Nothing is waited for any more."""
        self._watch.forget(self)


class Watch:
    """All waits of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time = loop.time
        self._waits: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def __len__(self) -> int:
        return len(self._waits)

    def wait(self, limit: float, expire: Callable[[], object]) -> Watched:
        """Call `expire` once when `limit` seconds pass without a sign of life."""
        watched = Watched(self, limit, expire)
        self._waits.add(watched)
        self._look_again_within(min(LONGEST_TICK, limit / TICKS_PER_LIMIT))
        return watched

    def forget(self, watched: Watched) -> None:
        """End one wait; doing so twice is fine."""
        self._waits.discard(watched)

    def close(self) -> None:
        """End all waits without calling anybody."""
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again_within(self, delay: float) -> None:
        due = self._loop.time() + delay
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        tick = LONGEST_TICK
        for watched in list(self._waits):
            if now - watched.last >= watched.limit:
                watched.expired = True
                self._waits.discard(watched)
                with suppress(Exception):
                    watched.expire()
            else:
                tick = min(tick, watched.limit / TICKS_PER_LIMIT)
        if self._waits:
            self._look_again_within(tick)
