"""
Which account belongs to which campaign: a board that every replica mirrors, so that a look costs no trip.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from proxy.campaigns.joining import Member, Reason
from proxy.campaigns.naming import Named
from proxy.clock import Clock
from proxy.notices import Notice, Notices
from proxy.value import value

SUSPECTED: Final = "?"
"""Follows the campaign's name where an account is only suspected."""
MOST_REASONS: Final = 6
"""Reasons that are kept of a member, the rarest things first."""

STAGGER_S: Final = 600.0
"""A campaign's ban reaches its members one by one within so long: not in one tick that would tell
everybody who belongs together."""


def staggered(account: str) -> float:
    """Seconds after which a ban of its campaign reaches an account."""
    drawn = hashlib.blake2b(account.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(drawn, "big") / 2**32 * STAGGER_S


@value
class Membership:
    """One account's place in a campaign."""

    who: str
    campaign: str
    suspected: bool
    since: float
    ends: float
    reasons: tuple[Reason, ...]


class Campaigns:
    """Who is in which campaign, as far as this replica has heard; and what operators have said."""

    def __init__(self, board: Notices, verdicts: Notices, clock: Clock) -> None:
        """`verdicts` holds operators' words on accounts: `apart` or `confirmed`."""
        self.board = board
        self.verdicts = verdicts
        self._clock = clock

    def of(self, who: str | None) -> str | None:
        """The name of the campaign that an account is a member of; None while it is only suspected."""
        if who is None or not self.board or (notice := self.board.of(who)) is None:
            return None
        name = notice.by
        if not name.endswith(SUSPECTED):
            return name
        return name[:-1] if self._said(who) == "confirmed" else None

    def forgiven(self, who: str) -> bool:
        """Whether an operator has said that an account belongs to nobody."""
        return self._said(who) == "apart"

    def names(self) -> dict[str, str]:
        """Account → campaign, suspected ones too."""
        return {notice.subject: notice.by.rstrip(SUSPECTED) for notice in self.board.all()}

    def sizes(self) -> Counter[str]:
        """Campaign → how many accounts it has."""
        return Counter(self.names().values())

    def members(self, campaign: str) -> Iterator[Membership]:
        """The members of one campaign, with their reasons."""
        for notice in self.board.all():
            if notice.by.rstrip(SUSPECTED) == campaign:
                yield _membership(notice)

    def publish(self, groups: Sequence[Named], ends: dict[str, float]) -> int:
        """Put up what has changed; how many accounts that were. `ends`: until when each one's ties last."""
        changed, now = 0, self._clock.now()
        standing = {notice.subject: notice for notice in self.board.all()}
        for named in groups:
            for member in named.group.members:
                before = standing.pop(member.who, None)
                by = named.name + (SUSPECTED if member.suspected else "")
                until = ends[member.who]
                fresh = before is not None and before.ends - now >= (until - now) / 2
                if before is not None and before.by == by and fresh:
                    continue
                self.board.put(member.who, max(until - now, 1.0), by, _told(member))
                changed += 1
        for gone in standing:
            self.board.lift(gone)
        return changed + len(standing)

    def _said(self, who: str) -> str | None:
        notice = self.verdicts.of(who)
        return None if notice is None else notice.by


def _told(member: Member) -> str:
    reasons = [
        [one.signal, one.family, one.thing, one.others, round(one.since), round(one.seen)]
        for one in member.reasons[:MOST_REASONS]
    ]
    return orjson.dumps(reasons).decode()


def _membership(notice: Notice) -> Membership:
    try:
        told: Any = orjson.loads(notice.because)
        reasons = tuple(Reason(*one) for one in told)
    except (orjson.JSONDecodeError, TypeError):
        reasons = ()
    return Membership(
        notice.subject,
        notice.by.rstrip(SUSPECTED),
        notice.by.endswith(SUSPECTED),
        min((one.since for one in reasons), default=notice.since),
        notice.ends,
        reasons,
    )
