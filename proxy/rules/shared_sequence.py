"""
shared_sequence: accounts that walk one numbered list, each its own part.

A list of prompts that is dealt out over accounts runs on under all of them: problem 10431 under one key,
10432 under the next. Where prompts say which row they are, the last sixteen rows of that list are kept
with who asked for them: places alone, counted from a number that nobody knows. Where at least
`min_accounts` accounts asked for them, no row twice, and nearly all in rising order, the account is tied
to the list.

    - name: one-list
      kind: shared_sequence
      min_accounts: 5

It links, and judges nobody: see [campaigns](../campaigns.md). It adds to
[shared_template](shared_template.md) what that cannot tell: the frame may be a popular app's or no more
than `Problem 10432:`, and few accounts suffice, for sixteen rows rise by chance in one of a million
orders. Repeats within a list are what [shared_prompt](shared_prompt.md) sees. End users could write
numbers, so beside other content it joins no accounts.

Blind spot: a list without numbers, sorted by subject, shuffled, dealt out in whole blocks one after the
other, or with other words before the number for each account. Numbers with fewer than three or more than
nine digits, round ones and those that tell a date are passed over.

False positives: an app that many customers run with keys of their own, and that numbers all their tickets
with one counter. A class with one exercise shares its number, and customers with counters of their own
rise in no common order.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from proxy.campaigns.ties import Tie
from proxy.counters.protocol import SEEN_MAX, Op, Reading, Seen, Sighting
from proxy.decision import Family, Finding
from proxy.facts import Facts, Signal
from proxy.rules.fields import Duration
from proxy.rules.linking import DAY, Linking

MOST_FALLING: Final = 12
"""Of the 120 pairs that sixteen rows make, so many may stand in falling order, or be the same row."""


class SharedSequence(Linking):
    """One numbered list."""

    kind: ClassVar[str] = "shared_sequence"
    family: ClassVar[Family] = "content"
    derives: ClassVar[frozenset[Signal]] = frozenset({"running"})
    by_end_users: ClassVar[bool] = True

    window: Duration = DAY
    """The time within which the last sixteen rows must have been asked for."""
    min_accounts: int = Field(default=5, ge=3, le=SEEN_MAX, strict=True)
    """Accounts that must have asked for them."""

    def counted_by(self) -> tuple[str, ...]:
        """The window."""
        return (f"window={self.window:g}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Who asked for which rows lately."""
        running = facts.signals.running
        if facts.client.unproven or running is None:
            return ()
        return (Seen(f"list:{running[0]}", self.key, 0, f"{subject} {running[1]}", self.window),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires where they walk it together, for a rule that has an action or a score besides."""
        if self.action is None and self.score is None:
            return None
        who, running = self.subject(facts), facts.signals.running
        if not readings or running is None or not self._together(f"{who} {running[1]}", readings):
            return None
        return Finding("one_list", {"shared": f"list:{running[0]}"})

    def ties(self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading]) -> tuple[Tie, ...]:
        """Ties the account to the list."""
        if not readings or not isinstance(ops[0], Seen) or not ops[0].subject.startswith("list:"):
            return ()
        if not self._together(ops[0].who, readings):
            return ()
        return (self.tie(facts, ops[0].subject),)

    def _together(self, mine: str, readings: Sequence[Reading]) -> bool:
        read = readings[0]
        assert isinstance(read, Sighting)
        shown = [one for one in read.who if one != mine][1 - SEEN_MAX :]
        shown.append(mine)
        if len(shown) < SEEN_MAX:
            return False
        parted = [one.rpartition(" ") for one in shown]
        if len({who for who, _, _ in parted}) < self.min_accounts:
            return False
        return falling([int(row) for _, _, row in parted]) <= MOST_FALLING


def falling(rows: Sequence[int]) -> int:
    """How many pairs do not rise."""
    count, before = 0, list[int]()
    for row in rows:
        count += len(before) - bisect_left(before, row)
        insort(before, row)
    return count
