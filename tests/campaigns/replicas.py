"""Replicas as far as campaigns go: what each knows, on a store that they share."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.campaigns.desk import Desk, Said
from proxy.campaigns.joiner import Aside, Joiner, at_once
from proxy.campaigns.members import Campaigns
from proxy.campaigns.report import TieReports
from proxy.campaigns.ties import Tie
from proxy.campaigns.totals import Ledger, Totals
from proxy.client.secret import Secret
from proxy.counters.protocol import Op, Store
from proxy.events import EventBuilder
from proxy.notices import Notices
from tests.counters.stores import StillClock

from .test_joining import tie


class Shared:
    """A store that several replicas share, and its clock."""

    def __init__(self, store: Store, clock: StillClock) -> None:
        self.store, self.clock = store, clock


class Replica:
    """What one process has of campaigns."""

    def __init__(self, shared: Shared, name: str, aside: Aside = at_once) -> None:
        self._shared = shared
        self._queue: list[Op] = []
        clock = shared.clock
        self.reports = TieReports(clock, self._queue.extend)
        self.board = Notices("campaigns", clock, self._queue.extend)
        self.verdicts = Notices("verdicts", clock, self._queue.extend)
        self.campaigns = Campaigns(self.board, self.verdicts, clock)
        self.joiner = Joiner(shared.store, clock, self.campaigns, name, aside=aside)
        self.bans = Notices("bans", clock, self._queue.extend)
        self.ledger = Ledger(clock, self._queue.extend, name, self.campaigns.placed)
        self.said: list[Said] = []
        secret = Secret(b"of-these-tests-alone")
        self.desk = Desk(
            self.campaigns,
            Totals(shared.store),
            self.bans,
            clock,
            item_hash=secret.item_hash,
            shown=EventBuilder("hashed", secret.item_hash).subject,
            on_verdict=self.said.append,
        )

    async def report(self, ties: Iterable[Tie]) -> None:
        self.reports.report(tuple(ties))
        await self.flush()

    async def step(self) -> int:
        changed = await self.joiner.step()
        await self.flush()
        return changed

    async def learn(self) -> None:
        for board in (self.board, self.verdicts, self.bans):
            (read,) = await self._shared.store.apply((board.reading(),))
            board.learn(read)  # type: ignore[arg-type]

    async def flush(self) -> int:
        ops, self._queue[:] = tuple(self._queue), []
        if ops:
            await self._shared.store.apply(ops)
        return len(ops)


def lasting(ties: Iterable[Tie], clock: StillClock) -> list[Tie]:
    now = clock.now()
    return [tie(one.who.partition(":")[2], one.thing, at=now, ends=now + 86_400) for one in ties]
