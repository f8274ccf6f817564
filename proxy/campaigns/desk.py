"""
Where operators look into campaigns and have their say. Who asks is the admin API, or a replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from proxy.campaigns import told
from proxy.campaigns.members import Campaigns, membership, name_in, suspected_in
from proxy.campaigns.totals import Told as Totalled
from proxy.campaigns.totals import Totals, summed
from proxy.campaigns.verdicts import Verdict, verdict_of
from proxy.clock import Clock, utc
from proxy.notices import Notice, Notices
from proxy.rules.subjects import KEY_ID
from proxy.value import value

AT_ONCE: Final = 250
"""Verdicts that are said before requests, and whoever carries them to the store, have their turn."""
PAUSE_S: Final = 0.02
OPERATOR: Final = "operator"
MOST_SUBJECTS: Final = 20
"""Accounts that are named where a verdict is told; all of them are counted."""


class UnknownCampaignError(Exception):
    """There is no campaign of that name."""


class WrongAccountsError(ValueError):
    """The accounts that are named are not such as can be meant; the text says why, for operators."""


@value
class Said:
    """What an operator has said."""

    verdict: Verdict
    campaign: str
    accounts: int
    """Of whom it was said."""
    no_room: int
    """Of whom it was not, for want of room."""
    subjects: tuple[str, ...]
    """The first MOST_SUBJECTS."""
    because: str
    ends: float
    lifted: tuple[str, ...]
    """Subjects whose bans were lifted."""


class Desk:
    """One replica's view of campaigns, and the way to say something of them."""

    def __init__(
        self,
        campaigns: Campaigns,
        totals: Totals,
        bans: Notices,
        clock: Clock,
        *,
        item_hash: Callable[[bytes], int],
        shown: Callable[[str], str],
        on_verdict: Callable[[Said], None] = lambda _said: None,
    ) -> None:
        """`item_hash` is keyed; `shown` gives a subject as the log shows it."""
        self._campaigns = campaigns
        self._totals = totals
        self._bans = bans
        self._clock = clock
        self._item_hash = item_hash
        self._shown = shown
        self._on_verdict = on_verdict

    async def heads(self, account: str | None = None) -> list[told.Told]:
        """All campaigns, without their members; those alone to which an account belongs, where one is
        given, by whichever of its names. Raises StoreError."""
        notices = self._campaigns.standing()
        if account is not None:
            wanted = {name_in(one) for one in notices if account in self._names(one.subject)}
            notices = [one for one in notices if name_in(one) in wanted]
        totals = await self._totals.read([one.subject for one in notices], self._clock.now())
        banned = self._banned()
        return await asyncio.to_thread(
            lambda: told.campaigns(map(membership, notices), self._known(totals, banned))
        )

    async def one(self, name: str) -> told.Told:
        """All that is known of a campaign. Raises UnknownCampaignError and StoreError."""
        notices, now = self._of(name), self._clock.now()
        totals = await self._totals.read([one.subject for one in notices], now)
        banned = self._banned()
        return await asyncio.to_thread(
            lambda: told.campaign(list(map(membership, notices)), self._known(totals, banned), now)
        )

    async def all_at_once(self) -> list[told.Told]:
        """Everything about every campaign, the largest first, where nothing else waits."""
        notices, now = self._campaigns.standing(), self._clock.now()
        totals = await self._totals.read([one.subject for one in notices], now)
        known = self._known(totals, self._banned())
        found: dict[str, list[Notice]] = {}
        for one in notices:
            found.setdefault(name_in(one), []).append(one)
        ordered = sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))
        return [told.campaign(list(map(membership, own)), known, now) for _, own in ordered]

    async def say(
        self, verdict: Verdict, name: str, accounts: Sequence[str], seconds: float, because: str
    ) -> Said:
        """Say something of a campaign's accounts; of all that it can be said of, where none is named.

        Raises UnknownCampaignError and WrongAccountsError."""
        notices = self._of(name)
        meant = self._meant(verdict, notices, accounts)
        done = 0
        saying = self._campaigns.verdicts.say(verdict, meant, seconds, because)
        for number, notice in enumerate(saying, 1):
            done += notice is not None
            if number % AT_ONCE == 0:
                await asyncio.sleep(PAUSE_S)
        lifted: list[str] = []
        if verdict == "apart":
            every = len(meant) == len(notices)
            lifted = self._lift(meant, name if every else None)
        ends = self._clock.now() + seconds
        said = Said(
            verdict,
            name,
            done,
            len(meant) - done,
            tuple(meant[:MOST_SUBJECTS]),
            because,
            ends,
            tuple(lifted),
        )
        self._on_verdict(said)
        return said

    def verdicts(self) -> list[told.Told]:
        """What operators have said that still stands."""
        return [
            {
                "subject": notice.subject,
                "verdict": verdict_of(notice),
                "since": utc(notice.since),
                "ends": utc(notice.ends),
                "because": notice.because,
            }
            for notice in self._campaigns.verdicts.board.all()
        ]

    def withdraw(self, who: str) -> bool:
        """Take back what was said of an account; whether anything was."""
        return self._campaigns.verdicts.board.lift(who) is not None

    def _meant(self, verdict: Verdict, notices: list[Notice], accounts: Sequence[str]) -> list[str]:
        """The accounts that are named, by whichever of their names; all that can be meant where none is."""
        if verdict == "confirmed":
            notices = [one for one in notices if suspected_in(one)]
            if not notices:
                raise WrongAccountsError("Nobody is suspected to be of this campaign.")
        by_name = {name: one.subject for one in notices for name in self._names(one.subject)}
        unknown = [text for text in accounts if text not in by_name]
        if unknown:
            named = ", ".join(text[:80] for text in unknown[:3])
            which = "suspected to be of" if verdict == "confirmed" else "in"
            raise WrongAccountsError(f"No account of that name is {which} this campaign: {named}")
        meant = list(dict.fromkeys(by_name[text] for text in accounts))
        if not meant and verdict == "split":
            raise WrongAccountsError("Name the accounts that do not belong to the rest.")
        if len(meant) == len(notices) and verdict == "split":
            raise WrongAccountsError(
                "These are all of its accounts: there is no rest to split them from."
            )
        return meant or sorted(one.subject for one in notices)

    def _lift(self, meant: list[str], campaign: str | None) -> list[str]:
        """Lift what rules have banned these accounts for, and the campaign; what operators have banned
        stays so. The subjects that are free again."""
        subjects = [] if campaign is None else [f"campaign:{campaign}"]
        for who in meant:
            account = who.partition(":")[2]
            subjects += [who, f"api_key:{account}"] if KEY_ID(account) else [who]
        bans = ((one, self._bans.of(one)) for one in subjects)
        lifted = [one for one, ban in bans if ban is not None and ban.by != OPERATOR]
        for one in lifted:
            self._bans.lift(one)
        return lifted

    def _of(self, name: str) -> list[Notice]:
        notices = [one for one in self._campaigns.standing() if name_in(one) == name]
        if not notices:
            raise UnknownCampaignError
        return notices

    def _banned(self) -> dict[str, float]:
        """`campaign:…` → when its ban ends."""
        bans = self._bans.all()
        return {one.subject: one.ends for one in bans if one.subject.startswith("campaign:")}

    def _known(self, totals: Totalled, banned: dict[str, float]) -> told.Known:
        return told.Known(
            summed(totals),
            self._keyed,
            self._thing,
            self._campaigns.verdicts.confirmed,
            banned.get,
        )

    def _names(self, who: str) -> tuple[str, str, str]:
        """By what an operator may name an account: as a subject, as the log does, and keyed."""
        return who, who.partition(":")[2], self._keyed(who)

    def _keyed(self, who: str) -> str:
        """An account's keyed id: that of its key where it has no other name."""
        account = who.partition(":")[2]
        return account if KEY_ID(account) else f"acc_{self._item_hash(who.encode()):016x}"

    def _thing(self, thing: str) -> str:
        return (
            f"account:{self._keyed(thing)}" if thing.startswith("account:") else self._shown(thing)
        )
