"""
Bans, allowances and common background: short lists that every replica holds in memory and all share.

A notice names a subject (`account:acme`), ends by itself, and says who put it up and why. It is kept on
a board of the store; each replica reads what has changed once a second, so that looking one up costs no
trip, and a ban holds while the store is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import orjson

from proxy.clock import Clock, utc
from proxy.counters.protocol import Op, Post, Posts, ReadPosts
from proxy.value import value

Board = Literal["bans", "allowances", "background", "campaigns", "verdicts"]

MAX_NOTICES: Final = 262_144
"""Notices of one board that a replica holds; beyond it new ones are not taken in, and that is said."""

MAX_DURATION_S: Final = 366 * 86_400.0

_YEAR_9999: Final = 253_370_764_800.0

_LIFTED_S: Final = 3600.0
"""How long the store remembers that a notice was taken down, for replicas that were cut off."""


@value
class Notice:
    """One entry of a board."""

    subject: str
    """As counters name it, `account:acme`."""
    ends: float
    """Unix seconds."""
    since: float
    by: str
    """The rule that put it up, or `operator`."""
    because: str


class Notices:
    """One board, mirrored. Lookups are local; changes are local at once and then posted."""

    def __init__(
        self,
        board: Board,
        clock: Clock,
        settle: Callable[[Sequence[Op]], None],
        on_change: Callable[[Board, Notice, bool], None] = lambda board, notice, stands: None,
    ) -> None:
        """`on_change` hears of what this replica puts up (`stands`) and takes down."""
        self.board: Board = board
        self._clock = clock
        self._settle = settle
        self._on_change = on_change
        self._held: dict[str, Notice] = {}
        self._since = 0.0
        self.refused = 0
        """Notices that were not taken in for want of room."""
        self.version = 0
        """Another number whenever a notice has been put up or taken down."""

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Notice]:
        """All that stand, in no order."""
        now = self._clock.now()
        return (held for held in self._held.values() if held.ends > now)

    def of(self, subject: str | None) -> Notice | None:
        """The notice on a subject, if one stands."""
        if subject is None or (held := self._held.get(subject)) is None:
            return None
        if held.ends <= self._clock.now():
            self._held.pop(subject, None)  # another thread may have been first
            return None
        return held

    def all(self) -> list[Notice]:
        """All that stand, those that end first first."""
        now = self._clock.now()
        self._held = {name: held for name, held in self._held.items() if held.ends > now}
        return sorted(self._held.values(), key=lambda held: (held.ends, held.subject))

    def put(self, subject: str, seconds: float, by: str, because: str) -> Notice | None:
        """Put a notice up, or anew; None where there is no room for it."""
        now = self._clock.now()
        notice = Notice(subject, now + seconds, now, by, because)
        if not self._take(notice):
            return None
        text = orjson.dumps([now, by, because]).decode()
        self._settle((Post("board", self.board, subject, text, seconds),))
        self._on_change(self.board, notice, True)
        return notice

    def lift(self, subject: str) -> Notice | None:
        """Take a notice down; None where none stood."""
        held = self.of(subject)
        if held is not None:
            del self._held[subject]
            self.version += 1
            self._settle((Post("board", self.board, subject, "", _LIFTED_S),))
            self._on_change(self.board, held, False)
        return held

    def reading(self) -> ReadPosts:
        """The operation that reads what has changed."""
        return ReadPosts("board", self.board, self._since)

    def learn(self, read: Posts) -> None:
        """Take over what was read."""
        # Earlier than the last time: another server answers now, whose board is read from its beginning.
        self._since = read.until if read.until >= self._since else 0.0
        for subject, text, ends in read.posts:
            notice = _noticed(subject, text, ends)
            if notice is not None:
                self._take(notice)
            elif self._held.pop(subject, None) is not None:
                self.version += 1

    def _take(self, notice: Notice) -> bool:
        if notice.subject not in self._held and len(self._held) >= MAX_NOTICES:
            self.all()
            if len(self._held) >= MAX_NOTICES:
                self.refused += 1
                return False
        if self._held.get(notice.subject) != notice:
            self._held[notice.subject] = notice
            self.version += 1
        return True


def _noticed(subject: str, text: str, ends: float) -> Notice | None:
    """A notice out of the store; None where it was taken down, or is not of our making."""
    try:
        since, by, because = orjson.loads(text) if text else (None, None, None)
    except (orjson.JSONDecodeError, ValueError):
        return None
    if not isinstance(since, float | int) or not 0 <= since < _YEAR_9999 or not ends < _YEAR_9999:
        return None
    return Notice(subject, ends, float(since), str(by), str(because))


def told(notice: Notice) -> dict[str, Any]:
    """A notice as the admin API tells it."""
    return {
        "subject": notice.subject,
        "since": utc(notice.since),
        "ends": utc(notice.ends),
        "by": notice.by,
        "because": notice.because,
    }
