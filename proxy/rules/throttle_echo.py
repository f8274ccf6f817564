"""
throttle_echo: a body that was refused on one account arrives on another.

Relays with retries on send what one key was refused again under the next one, byte for byte. Which
accounts were refused a body lately, by a rule or by the upstream for its rate (429), is kept under its
hash; an account that brings the same body within the window is tied to them.

    - name: same-body-elsewhere
      kind: throttle_echo
      window: 10m

It links, and judges nobody: see [campaigns](../campaigns.md). The whole body belongs to it, which an
account's end users do not write.

Blind spot: who waits longer than the window, changes a byte of the body or does not retry shows none.

False positives: one customer's own keys, where no accounts file says that they are one account's.
Bodies with less than `min_bytes` are not looked at: everybody's first test is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from proxy.campaigns.ties import Tie
from proxy.counters.protocol import Op, Raise, Reading, ReadScore, Scores
from proxy.decision import Family, Finding
from proxy.facts import Facts, Outcome, Signal
from proxy.rules.fields import Duration
from proxy.rules.linking import Linking

MOST_TOLD: Final = 4
"""Accounts to which one echo ties."""
_HALVINGS: Final = 6.65
"""Half-lives until a level that was 1 is no longer told."""


class ThrottleEcho(Linking):
    """A refused body that comes again under another account."""

    kind: ClassVar[str] = "throttle_echo"
    family: ClassVar[Family] = "linkage"
    derives: ClassVar[frozenset[Signal]] = frozenset({"body"})
    settles: ClassVar[bool] = True
    by_end_users: ClassVar[bool] = False

    window: Duration = 600.0
    """The time within which the body must come again."""
    min_bytes: int = Field(default=256, ge=0, le=1_000_000, strict=True)
    """Bytes of a body below which it is not looked at."""

    def counted_by(self) -> tuple[str, ...]:
        """The window."""
        return (f"window={self.window:g}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Who was refused this body lately."""
        body = facts.signals.body
        if (
            facts.client.unproven
            or facts.part
            or body is None
            or facts.request_bytes < self.min_bytes
        ):
            return ()
        return (ReadScore(f"body:{body}", self.key, self.window / _HALVINGS),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on an echo, for a rule that has an action or a score besides."""
        if self.action is None and self.score is None:
            return None
        others = self._others(facts, readings)
        return Finding("refused_elsewhere", {"accounts": len(others)}) if others else None

    def ties(self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading]) -> tuple[Tie, ...]:
        """Ties the account to those that were refused the same."""
        return tuple(self.tie(facts, other) for other in self._others(facts, readings))

    def settle(
        self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading], outcome: Outcome
    ) -> tuple[Op, ...]:
        """Notes that this account was refused this body."""
        who = self.subject(facts)
        if (
            not (outcome.refused or outcome.throttled)
            or not ops
            or who is None
            or not isinstance(ops[0], ReadScore)
        ):
            return ()
        return (Raise(ops[0].subject, ops[0].key, who, 1.0, ops[0].half_life),)

    def _others(self, facts: Facts, readings: Sequence[Reading]) -> tuple[str, ...]:
        if not readings:
            return ()
        (read,) = readings
        assert isinstance(read, Scores)
        return tuple(sorted(who for who in read.levels if who != self.subject(facts)))[:MOST_TOLD]
