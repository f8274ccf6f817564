"""
What a replica has just been told of `Distinct` and `Seen` counters, so that it need not ask again at once.

A caller shows the same network, program and system prompt with nearly every request. Who showed something
a few seconds ago shows nothing new now: the last reading is told again, and the store hears of it anew
when that is over. A reading is so at most RECENT_S old; the windows that this is for are much longer.
"""

from __future__ import annotations

from typing import Final

from proxy.counters.protocol import Different, Distinct, Op, Reading, Seen, Sighting

RECENT_S: Final = 10.0
LEAST_WINDOW: Final = 60 * RECENT_S
"""Shorter windows could lose what was not told again."""
MOST: Final = 65_536
SIGHTING_S: Final = 2.0
"""For how long nobody asks anew who showed a thing: others may have come since."""
MOST_SIGHTINGS: Final = 8_192
"""Each names up to sixteen accounts."""

RECALLED: Final = frozenset({Distinct, Seen})
"""Operations that need not be asked again at once."""

Shown = tuple[str, str, int]


class Recent:
    """Readings of the last seconds, bounded."""

    def __init__(self) -> None:
        self._told: dict[Shown, tuple[float, int]] = {}
        self._sightings: dict[tuple[str, str, int, str], tuple[float, Sighting]] = {}

    def recall(self, op: Op, now: float) -> Reading | None:
        """What was told of the same lately; None for what must be asked each time."""
        if isinstance(op, Distinct):
            return self.reading(op, now)
        return self._sighting(op, now) if isinstance(op, Seen) else None

    def remember(self, op: Op, reading: Reading, now: float) -> None:
        """Remember what was told now, where it may be told again."""
        if isinstance(op, Distinct) and isinstance(reading, Different):
            self.note(op, reading, now)
        elif isinstance(op, Seen) and isinstance(reading, Sighting) and op.ttl >= LEAST_WINDOW:
            if len(self._sightings) >= MOST_SIGHTINGS:
                self._sightings.clear()
            self._sightings[op.subject, op.key, op.item, op.who] = now, reading

    def _sighting(self, op: Seen, now: float) -> Sighting | None:
        told = self._sightings.get((op.subject, op.key, op.item, op.who))
        return told[1] if told is not None and 0 <= now - told[0] < SIGHTING_S else None

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
