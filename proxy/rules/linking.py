"""
What the kinds that link have in common: they tell which accounts share something, and judge nobody.

A request shows a *thing*: a template, a shape, an address. Who showed it lately is one small entry in the
store, read and written in the trip that all rules share. Once enough unrelated accounts have, each one that
shows it again is tied to it. What becomes of ties: `proxy/campaigns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field, field_validator

from proxy.campaigns.ties import Tie
from proxy.counters.protocol import SEEN_MAX, Op, Reading, Seen, Sighting
from proxy.decision import Evidence, Finding
from proxy.facts import Facts
from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration, Names, wrong

DAY: Final = 86_400.0
LONG_STANDING_S: Final = 90 * DAY
"""A customer of the accounts file for so long links nobody."""


class Linking(RuleKind):
    """Fields that all kinds share which link."""

    links: ClassVar[bool] = True
    by_end_users: ClassVar[bool]
    """Whether an account's own end users could show the thing, by what they write."""
    joins: ClassVar[bool] = True
    """Whether what it ties to may join accounts beside another family, or is only one more reason."""

    per: Names = ("account",)
    """Whom it links: `account`, and nobody else."""
    keep: Duration = 7 * DAY
    """How long a tie lasts after it was last seen."""

    @field_validator("per")
    @classmethod
    def _links_accounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != ("account",):
            raise wrong("must be `account`: accounts are what it links")
        return value

    def ties(self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading]) -> tuple[Tie, ...]:
        """What the request ties its account to; `ops` are its counters as they were carried out."""
        raise NotImplementedError

    def tie(self, facts: Facts, thing: str) -> Tie:
        """A tie of this request's account."""
        who = self.subject(facts)
        assert who is not None
        now, client = facts.now, facts.client
        old = client.since is not None and now - client.since >= LONG_STANDING_S
        return Tie(
            who,
            thing,
            self.name,
            self.family,
            self.by_end_users,
            now,
            now,
            now + self.keep,
            trusted=client.profile is not None or old,
        )


class Sharing(Linking):
    """Links the accounts that show the same thing."""

    window: Duration = DAY
    """The time within which they must have shown it."""
    min_accounts: int = Field(default=10, ge=2, le=SEEN_MAX, strict=True)
    """Accounts that must have shown it before it ties any."""

    def counted_by(self) -> tuple[str, ...]:
        """The window."""
        return (f"window={self.window:g}",)

    def thing(self, facts: Facts) -> str | None:
        """What the request shows, as a subject; None where it shows nothing of the kind."""
        raise NotImplementedError

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Who else has shown it lately."""
        # Keys that nobody vouches for are nobody's accounts.
        if facts.client.unproven or (thing := self.thing(facts)) is None:
            return ()
        return (Seen(thing, self.key, 0, subject, self.window),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires where so many accounts share it, for a rule that has an action or a score besides."""
        if not readings or (self.action is None and self.score is None):
            return None
        count = _accounts(self.subject(facts), readings)
        if count < self.min_accounts:
            return None
        thing = self.thing(facts)
        evidence: Evidence = {"accounts": count, "min_accounts": self.min_accounts}
        if thing is not None:
            evidence = {"shared": thing, **evidence}
        return Finding(f"shared_{self.kind.removeprefix('shared_')}", evidence)

    def ties(self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading]) -> tuple[Tie, ...]:
        """Ties the account to the thing, once enough have shown it."""
        thing = self.thing(facts)
        if not readings or thing is None or not isinstance(ops[0], Seen):
            return ()
        if ops[0].subject != thing:  # counted with the surplus of a flood, whose things are many
            return ()
        if _accounts(self.subject(facts), readings) < self.min_accounts:
            return ()
        return (self.tie(facts, thing),)


def _accounts(who: str | None, readings: Sequence[Reading]) -> int:
    read = readings[0]
    assert isinstance(read, Sighting)
    return len({*read.who, who})
