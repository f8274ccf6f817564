"""
What a replica tells of ties: each one once in a while, off the path of requests, and not without end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

import orjson

from proxy.campaigns.ties import Tie
from proxy.clock import Clock
from proxy.counters.protocol import Op, Post
from proxy.decision import Family

SUBJECT: Final = "campaigns"
TIES: Final = "ties"
"""The board of the store on which ties stand until they end, for whoever joins them."""
AGAIN_S: Final = 3600.0
"""A tie that lasts is told again so often."""
MOST_AN_HOUR: Final = 262_144
"""Ties that one replica tells within AGAIN_S: an account and a thing each."""

_FAMILIES: Final = frozenset(get_args(Family))


class TieReports:
    """Tells the store what rules have tied."""

    def __init__(
        self, clock: Clock, settle: Callable[[Sequence[Op]], None], most: int = MOST_AN_HOUR
    ) -> None:
        self._clock = clock
        self._settle = settle
        self._most = most
        self._told: set[tuple[str, str]] = set()
        self._turns_at = 0.0
        self.refused = 0
        """Ties that were not told for want of room."""

    def report(self, ties: Sequence[Tie]) -> None:
        """Tell what has not been told lately."""
        now = self._clock.now()
        if now >= self._turns_at:
            self._told = set()
            self._turns_at = now + AGAIN_S
        for tie in ties:
            which = (tie.who, tie.thing)
            if which in self._told:
                continue
            if len(self._told) >= self._most:
                self.refused += 1
                continue
            self._told.add(which)
            self._settle((Post(SUBJECT, TIES, name_of(tie), text_of(tie), tie.ends - now),))


def name_of(tie: Tie) -> str:
    """What a tie is posted under; a subject never holds a space."""
    return f"{tie.who} {tie.thing}"


def parts_of(name: str) -> tuple[str, str]:
    """Who is tied, and to what."""
    who, _, thing = name.partition(" ")
    return who, thing


def text_of(tie: Tie) -> str:
    """What is posted of a tie."""
    told = [tie.signal, tie.family, tie.by_end_users, round(tie.seen), tie.trusted]
    return orjson.dumps(told).decode()


def tie_of(name: str, text: str, ends: float) -> Tie | None:
    """A tie as it stands on the board; None for what is not of our making."""
    who, thing = parts_of(name)
    try:
        told: Any = orjson.loads(text)
        signal, family, by_end_users, seen, trusted = told
    except (orjson.JSONDecodeError, ValueError, TypeError):
        return None
    known = isinstance(signal, str) and family in _FAMILIES and isinstance(seen, int)
    if not (known and thing and isinstance(by_end_users, bool) and isinstance(trusted, bool)):
        return None
    return Tie(who, thing, signal, family, by_end_users, seen, seen, ends, trusted)
