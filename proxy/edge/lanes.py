"""
Delay lanes: how many requests may be held back at one time, a subject and in all.

A held request costs memory and a connection, so the lanes are bounded; beyond them the delay's `then`
decides. A process-wide aiolimiter paces how fast lanes let go, so that many delays that end in the same
instant do not arrive upstream as one wave.
"""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter


class DelayLanes:
    """Holds requests back, at most `per_subject` of one subject and `total` of all at a time."""

    def __init__(
        self, *, per_subject: int = 8, total: int = 1000, releases_per_second: float = 500
    ) -> None:
        self._per_subject = per_subject
        self._total = total
        self._held: dict[str, int] = {}
        self._count = 0
        self._release = AsyncLimiter(releases_per_second / 10, 0.1)

    @property
    def held(self) -> int:
        """Requests held back now."""
        return self._count

    async def hold(self, subject: str, seconds: float) -> bool:
        """Wait `seconds`; False at once, without waiting, where the lanes are full."""
        if not self.enter(subject):
            return False
        try:
            await asyncio.sleep(seconds)
            await self._release.acquire()
        finally:
            self.leave(subject)
        return True

    def enter(self, subject: str) -> bool:
        """Take a place in the lanes, to be left; False where there is none."""
        waiting = self._held.get(subject, 0)
        if waiting >= self._per_subject or self._count >= self._total:
            return False
        self._held[subject] = waiting + 1
        self._count += 1
        return True

    def leave(self, subject: str) -> None:
        """Give the place back."""
        self._count -= 1
        left = self._held[subject] - 1
        if left:
            self._held[subject] = left
        else:
            del self._held[subject]
