"""
shared_pace: accounts that ask at the same even pace.

A load balancer gives each of a campaign's accounts its turn: one request every fifty-five minutes, day
and night. Who asks so evenly, and at no pace that people set a clock to, is tied to that pace. Of each
account a few numbers are kept: how many of its gaps of late were how long, in steps of a fifth.

    - name: one-round
      kind: shared_pace
      min_gaps: 8

It links, and judges nobody: see [campaigns](../campaigns.md). A pace alone says little, so accounts are
compared only where they share something else too. An end user sets an account's pace only as its one
user.

Blind spot: a balancer that draws the next account by chance, gaps below five minutes or above six
hours, and who adds more than a sixth of chance to each gap. Accounts that start, pause and stop together
are not told, nor whose turn follows whose: that would need each one's hours beside each other's.

False positives: a program that many run as it comes, asking every 47 minutes: its users share its
writing and its pace. Gaps that follow a clock (each full, half or quarter hour, each ten minutes) are not
counted, and people at a keyboard pause at random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from pydantic import Field

from proxy.campaigns.ties import Tie
from proxy.counters.protocol import (
    Different,
    Distinct,
    Op,
    Raise,
    Reading,
    ReadScore,
    Scores,
)
from proxy.decision import Family, Finding
from proxy.facts import Facts, Outcome
from proxy.rules.linking import DAY, Linking

SHORTEST: Final = 300.0
LONGEST: Final = 6 * 3600.0
STEP: Final = math.log(1.2)
"""Gaps within a fifth of each other are one pace."""
SHARE: Final = 0.8
"""So much of an account's gaps must be of one pace, or of it and the next one."""
MOST: Final = 24.0
"""Up to here gaps of one length are counted."""
OFF: Final = "off"
"""Gaps that are of no pace: too short or too long."""
_CLOCKS: Final = tuple(
    60 * minutes for minutes in (5, 6, 10, 12, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360)
)
_EARLY, _LATE, _ANSWER_S = 0.995, 1.02, 20.0
"""Who waits for so long and then asks comes later by what an answer takes."""


class SharedPace(Linking):
    """One even pace."""

    kind: ClassVar[str] = "shared_pace"
    family: ClassVar[Family] = "volume"
    settles: ClassVar[bool] = True
    by_end_users: ClassVar[bool] = False

    min_gaps: int = Field(default=8, ge=4, le=20, strict=True)
    """Gaps of the last day or so by which a pace is told."""

    def looks_at_body(self) -> bool:
        """When requests come is all that tells."""
        return False

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """When it came last, and how long its gaps were."""
        if facts.client.unproven or facts.part:
            return ()
        return (
            ReadScore(subject, self.key, DAY),
            Distinct(subject, f"{self.key}.last", LONGEST, 0, 1),
        )

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on an even pace, for a rule that has an action or a score besides."""
        if self.action is None and self.score is None:
            return None
        pace = self._pace(readings)
        return None if pace is None else Finding("even_pace", {"pace": _named(pace)})

    def ties(self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading]) -> tuple[Tie, ...]:
        """Ties the account to its pace."""
        pace = self._pace(readings)
        return () if pace is None else (self.tie(facts, f"pace:{_named(pace)}"),)

    def settle(
        self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading], outcome: Outcome
    ) -> tuple[Op, ...]:
        """Counts the gap before this request."""
        if outcome.refused or not readings or not isinstance(ops[0], ReadScore):
            return ()
        told, last = readings
        assert isinstance(told, Scores)
        assert isinstance(last, Different)
        if last.previous is None or (name := gap_of(last.now - last.previous)) is None:
            return ()
        level = told.levels.get(name, 0.0)
        if level + 1 > MOST or (name == OFF and not told.levels):
            return ()  # who has no pace yet needs no entry to lose it
        return (Raise(ops[0].subject, ops[0].key, name, level + 1, DAY),)

    def _pace(self, readings: Sequence[Reading]) -> int | None:
        """The step that most of the gaps are of."""
        if not readings:
            return None
        told = readings[0]
        assert isinstance(told, Scores)
        return pace_of(told.levels, self.min_gaps)


def gap_of(seconds: float) -> str | None:
    """The name of a gap's length; OFF of one that is no pace, None of one that follows a clock."""
    if not SHORTEST <= seconds <= LONGEST:
        return OFF if seconds > 0 else None
    if any(_EARLY * clock <= seconds <= _LATE * clock + _ANSWER_S for clock in _CLOCKS):
        return None
    return str(int(math.log(seconds / SHORTEST) / STEP))


def pace_of(levels: Mapping[str, float], least: float) -> int | None:
    """The step that most gaps are of, or None."""
    whole = sum(levels.values())
    if whole < least:
        return None
    steps = {int(name): level for name, level in levels.items() if name != OFF}
    if not steps:
        return None
    most = max(steps, key=lambda step: (steps[step], -step))
    beside = max(steps.get(most - 1, 0.0), steps.get(most + 1, 0.0))
    return most if steps[most] + beside >= SHARE * whole else None


def _named(step: int) -> str:
    """`3192-3830s`, the gaps of a step."""
    low, high = (SHORTEST * math.exp(STEP * at) for at in (step, step + 1))
    return f"{low:.0f}-{high:.0f}s"
