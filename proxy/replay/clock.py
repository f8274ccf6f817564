"""Virtual time: it stands still until somebody moves it. Pure."""

from __future__ import annotations

from collections.abc import Generator


class VirtualClock:
    """See `clock.Clock`. A record's seconds are both the monotonic time and the time since `start`."""

    __slots__ = ("at", "start")

    def __init__(self, start: float) -> None:
        self.start = start
        """Unix time of the record's beginning."""
        self.at = 0.0
        """Seconds since then."""

    def now(self) -> float:
        """Unix time in seconds."""
        return self.start + self.at

    def monotonic(self) -> float:
        """Seconds since the record's beginning."""
        return self.at


class Until:
    """Awaited, it hands out the virtual time at which it wants to be woken."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    def __await__(self) -> Generator[float, None, None]:
        yield self.at
