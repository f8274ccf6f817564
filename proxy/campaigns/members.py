"""
Which account belongs to which campaign: a board that every replica mirrors, so that a look costs no trip.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import orjson

from proxy.campaigns.joining import Member, Reason
from proxy.campaigns.naming import Named
from proxy.campaigns.verdicts import Verdicts
from proxy.clock import Clock
from proxy.notices import Notice, Notices
from proxy.value import value

SUSPECTED: Final = "?"
"""Follows the campaign's name where an account is only suspected."""
MOST_REASONS: Final = 6
"""Reasons that are kept of a member, the rarest things first."""

RENEW_S: Final = 86_400.0
"""A membership that lasts is told again so often, for the evidence to be of today."""
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
        """`verdicts` is the board of operators' words on accounts."""
        self.board = board
        self.verdicts = Verdicts(verdicts)
        self._clock = clock

    def of(self, who: str | None) -> str | None:
        """The name of the campaign that an account is a member of; None while it is only suspected."""
        if who is None or not self.board or (notice := self.board.of(who)) is None:
            return None
        name = notice.by
        if not name.endswith(SUSPECTED):
            return None if self.verdicts.apart(who) else name
        return name[:-1] if self.verdicts.confirmed(who) else None

    def placed(self, who: str) -> bool:
        """Whether an account is in a campaign, or suspected to be."""
        return self.board.of(who) is not None

    def names(self) -> dict[str, str]:
        """Account → campaign, suspected ones too."""
        return {notice.subject: name_in(notice) for notice in self.board.all()}

    def counted(self) -> tuple[int, int]:
        """How many campaigns there are, and how many accounts are in them, suspected ones too."""
        sizes = Counter(name_in(one) for one in self.board if not self.verdicts.apart(one.subject))
        return len(sizes), sizes.total()

    def sizes(self) -> Counter[str]:
        """Campaign → how many accounts it has."""
        return Counter(self.names().values())

    def standing(self) -> list[Notice]:
        """The notices by which accounts are in campaigns; not of those who have been forgiven since."""
        return [notice for notice in self.board if not self.verdicts.apart(notice.subject)]

    def publish(self, groups: Sequence[Named], ends: dict[str, float]) -> int:
        """Put up what has changed; how many accounts that were. `ends`: until when each one's ties last."""
        changed, now = 0, self._clock.now()
        standing = {notice.subject: notice for notice in self.board.all()}
        for named in groups:
            for member in named.group.members:
                before = standing.pop(member.who, None)
                by = named.name + (SUSPECTED if member.suspected else "")
                until = ends[member.who]
                if before is not None and before.by == by and _fresh(before.ends, until, now):
                    continue
                self.board.put(member.who, max(until - now, 1.0), by, _told(member))
                changed += 1
        for gone in standing:
            self.board.lift(gone)
        return changed + len(standing)


def _fresh(told: float, until: float, now: float) -> bool:
    """Whether a membership that was told to end at `told` need not be told anew: it lasts until `until`."""
    return told - now >= (until - now) / 2 and until - told < RENEW_S


def _told(member: Member) -> str:
    reasons = [
        [
            one.signal,
            one.family,
            one.thing,
            one.others,
            round(one.since),
            round(one.seen),
            one.by_end_users,
        ]
        for one in member.reasons[:MOST_REASONS]
    ]
    return orjson.dumps(reasons).decode()


def name_in(notice: Notice) -> str:
    """The campaign that an account's notice names."""
    return notice.by.rstrip(SUSPECTED)


def suspected_in(notice: Notice) -> bool:
    """Whether an account is only suspected, as its notice says."""
    return notice.by.endswith(SUSPECTED)


def membership(notice: Notice) -> Membership:
    """An account's place, as its notice tells it."""
    try:
        told: Any = orjson.loads(notice.because)
        reasons = tuple(Reason(*one) for one in told)
    except (orjson.JSONDecodeError, TypeError):
        reasons = ()
    return Membership(
        notice.subject,
        name_in(notice),
        suspected_in(notice),
        min((one.since for one in reasons), default=notice.since),
        notice.ends,
        reasons,
    )
