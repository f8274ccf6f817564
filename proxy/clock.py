"""Time as an argument: the one place that reads a clock; replay and tests bring their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


def utc(seconds: float) -> str:
    """Unix time as RFC 3339 in UTC, to the second."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def time_of(text: str) -> float:
    """Unix time of a moment in ISO 8601, which is UTC where it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Clock(Protocol):
    """Seconds. `now` is Unix time and may jump; `monotonic` never goes back and has no epoch."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()
