"""
What a replica has just been told of `Distinct` counters, so that it need not ask again at once.

A caller shows the same network, program and system prompt with nearly every request. Who showed something
a few seconds ago shows nothing new now: the last reading is told again, and the store hears of it anew
when that is over. A reading is so at most RECENT_S old; the windows that this is for are much longer.
"""

from __future__ import annotations

from typing import Final

from proxy.counters.protocol import Different, Distinct

RECENT_S: Final = 10.0
LEAST_WINDOW: Final = 60 * RECENT_S
"""Shorter windows could lose what was not told again."""
MOST: Final = 65_536

Shown = tuple[str, str, int]


class Recent:
    """Readings of the last seconds, bounded."""

    def __init__(self) -> None:
        self._told: dict[Shown, tuple[float, int]] = {}

    def reading(self, op: Distinct, now: float) -> Different | None:
        """What was told of the same item lately; `previous` is `now`, for nothing is to be taken back."""
        told = self._told.get((op.subject, op.key, op.item))
        if told is None or not 0 <= now - told[0] < RECENT_S:
            return None
        return Different(told[1], now, now)

    def note(self, op: Distinct, reading: Different, now: float) -> None:
        """Remember what was told now."""
        if op.window < LEAST_WINDOW:
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[op.subject, op.key, op.item] = now, reading.distinct

    def drop(self, op: Distinct) -> None:
        """Forget it: what was counted has been taken back."""
        self._told.pop((op.subject, op.key, op.item), None)
