"""
The step that makes campaigns out of ties, on one replica at a time.

Whoever holds a lease in the store reads the ties that were told since its last look, joins them, and
puts up who belongs to what. Where it dies, its lease runs out and another one begins by reading all ties
that still stand: they are the state, and nothing is lost with a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from proxy.campaigns.joining import LEAST_MEMBERS, join
from proxy.campaigns.members import Campaigns
from proxy.campaigns.naming import Named, name_all
from proxy.campaigns.report import SUBJECT, TIES, parts_of, tie_of
from proxy.campaigns.ties import TieBook
from proxy.clock import Clock
from proxy.counters.protocol import POSTS_MAX, Held, Lease, Posts, ReadPosts, Store
from proxy.errors import StoreError

LEASE_S: Final = 30.0
"""A replica that has died is followed after so long."""
EVERY_S: Final = 15.0
"""How often ties are looked at."""
HEAR_S: Final = 1.0
"""How often whoever joins looks whether an operator has spoken."""
GROWN: Final = 1.5
"""A campaign that is larger than it was told to be by this factor is told again."""
SHARE: Final = 20
"""Joining takes at most one part in so many of a replica's time: who has joined for long reads on, keeps
the lease, and joins again later."""

Aside = Callable[[Callable[[], list[Named]]], Awaitable[list[Named]]]


async def at_once(work: Callable[[], list[Named]]) -> list[Named]:
    """Does work where it is asked for: in a replay nothing runs aside."""
    return work()


class Joiner:
    """Joins ties while this replica holds the lease."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        campaigns: Campaigns,
        replica: str,
        *,
        common: Callable[[str], bool] = lambda _thing: False,
        least_members: int = LEAST_MEMBERS,
        aside: Aside = asyncio.to_thread,
        on_campaign: Callable[[Named], None] = lambda _named: None,
    ) -> None:
        """`replica` is a name that no other has; `common` says which things are background; `aside` has
        work done that takes seconds; `on_campaign` hears of each one that is new or has grown by half."""
        self._store = store
        self._clock = clock
        self._campaigns = campaigns
        self._replica = replica
        self._common = common
        self._least_members = least_members
        self._aside = aside
        self._on_campaign = on_campaign
        self._told: dict[str, int] = {}
        """Campaign → how many members it had when that was last told."""
        self._since = 0.0
        self._changed = False
        self._rests_until = 0.0
        self._heard = 0
        """The version of operators' verdicts that was joined by."""
        self.book = TieBook()
        self.leads = False
        """Whether this replica is the one that joins."""

    async def run(
        self, wanted: Callable[[], bool], on_fault: Callable[[BaseException], None]
    ) -> None:
        """Look again and again, as long as it is `wanted`, until it is cancelled."""
        while True:
            try:
                if wanted():
                    await self.step()
            except StoreError:
                pass  # the next look will tell
            except Exception as error:
                on_fault(error)
            await self._rest()

    async def _rest(self) -> None:
        """Wait, but not where an operator has said something that this replica has to act on."""
        ends = self._clock.monotonic() + EVERY_S
        while (left := ends - self._clock.monotonic()) > 0:
            if self.leads and self._campaigns.verdicts.version != self._heard:
                return
            await asyncio.sleep(min(HEAR_S, left))

    async def step(self) -> int:
        """Look once; how many accounts' places have changed. Raises StoreError."""
        lease = Lease(SUBJECT, "joiner", 1, self._replica, LEASE_S)
        (held,) = await self._store.apply((lease,))
        assert isinstance(held, Held)
        if not held.granted:
            self._stand_down()
            return 0
        self.leads = True
        await self._read()
        started = self._clock.monotonic()
        version = self._campaigns.verdicts.version
        if version == self._heard and (not self._changed or started < self._rests_until):
            return 0
        self._heard = version
        # Read here: the board goes on changing while work is done aside.
        groups = await self._aside(partial(self.joined, self._campaigns.names()))
        changed = self.publish(groups)
        ended = self._clock.monotonic()
        self._rests_until = ended + (ended - started) * SHARE
        return changed

    def joined(self, before: Mapping[str, str]) -> list[Named]:
        """Join what is known. `before` is what each account's campaign was."""
        self.book.fade(self._clock.now())
        verdicts = self._campaigns.verdicts
        groups = join(
            self.book,
            self._common,
            least_members=self._least_members,
            apart=verdicts.apart,
            side=verdicts.side,
        )
        return name_all(groups, before)

    def publish(self, groups: list[Named]) -> int:
        """Put up who belongs to what; how many accounts' places have changed."""
        self._changed = False
        self._tell(groups)
        members = (member.who for named in groups for member in named.group.members)
        ends = {who: max(tie.ends for tie in self.book.ties_of(who)) for who in members}
        return self._campaigns.publish(groups, ends)

    def _tell(self, groups: list[Named]) -> None:
        """Say which campaigns are new, or much larger than was said."""
        told = self._told
        self._told = {}
        for named in groups:
            size, before = len(named.group.members), told.get(named.name, 0)
            if size > before * GROWN:
                self._on_campaign(named)
                before = size
            self._told[named.name] = before

    async def _read(self) -> None:
        """Take in what was told since the last look, page by page."""
        while True:
            (read,) = await self._store.apply((ReadPosts(SUBJECT, TIES, self._since),))
            assert isinstance(read, Posts)
            # Earlier than the last time: another server answers now, which is read from its beginning.
            again = read.until >= self._since
            onward = read.until > self._since
            self._since = read.until if again else 0.0
            for name, text, ends in read.posts:
                if not text:  # somebody is to be forgotten
                    self.book.remove(*parts_of(name))
                    self._changed = True
                    continue
                tie = tie_of(name, text, ends)
                if tie is not None:
                    self.book.add(tie)
                    self._changed = True
            if again and not (onward and len(read.posts) == POSTS_MAX):
                return

    def _stand_down(self) -> None:
        """Another replica joins: what it will read, should we follow it, stands in the store."""
        if self.leads:
            self.leads, self._since, self.book = False, 0.0, TieBook()
