"""
What a process looks after once a second: a store that was lost, forgets or is shared with strangers,
slots and streams that last, files that change, and bans and allowances that others have put up.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from proxy.admin.health import Readiness
from proxy.client.secret import Secret
from proxy.clock import Clock
from proxy.counters.protocol import POSTS_MAX, Posts, Raise, ReadScore, Scores
from proxy.counters.resilient import ResilientStore
from proxy.errors import StoreError
from proxy.eventlog import EventLog
from proxy.notices import Notices
from proxy.passage import Exchange
from proxy.reload import InForce

TICK_S: Final = 1.0
STREAM_OPEN_S: Final = 60.0
STORE_CHECK_S: Final = 300.0
PAGES_A_TICK: Final = 20
"""Pages of a board that are read at once; what is more waits for the next second."""

# A replica that is gone is forgotten after three checks, so that a whole fleet may change its secret.
_HALF_LIFE = 3 * STORE_CHECK_S / math.log2(100)


class Upkeep:
    """Runs until it is cancelled."""

    def __init__(
        self,
        *,
        store: ResilientStore,
        shared: bool,
        secret: Secret,
        readiness: Readiness,
        log: EventLog,
        clock: Clock,
        underway: Callable[[], list[Exchange]],
        on_fault: Callable[[BaseException], None],
        files: InForce,
        boards: Sequence[Notices],
        renew_leases: Callable[[], None],
        lists: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._shared = shared
        self._secret = secret
        self._readiness = readiness
        self._log = log
        self._clock = clock
        self._underway = underway
        self._on_fault = on_fault
        self._files = files
        self._boards = boards
        self._renew_leases = renew_leases
        self._lists = lists
        self._accepted = False
        self._announce_at: dict[str, float] = {}
        self._checked_at = -STORE_CHECK_S

    async def run(self) -> None:
        """Look, and look again a second later."""
        while True:
            try:
                await self._look(self._clock.monotonic())
            except Exception as error:
                self._on_fault(error)
            await asyncio.sleep(TICK_S)

    async def _look(self, now: float) -> None:
        self._renew_leases()  # first: the store may keep the rest waiting
        every = STORE_CHECK_S if self._accepted else TICK_S
        if self._shared and now - self._checked_at >= every:
            with suppress(StoreError):
                await self._check_store()
                self._checked_at = now
        if self._store.state != "ok":
            with suppress(StoreError):
                await self._store.ready()
                if self._accepted:  # only a write tells whether a full store has room again
                    await self._register()
        if self._shared:
            with suppress(StoreError):
                await self._read_boards()
        self._files.look()
        if self._store.state == "ok":
            await self._lists()
        self._announce_streams(now)

    async def _read_boards(self) -> None:
        """What other replicas and operators have put up or taken down."""
        boards = self._boards
        for _ in range(PAGES_A_TICK):
            readings = await self._store.apply([board.reading() for board in boards])
            for board, read in zip(boards, readings, strict=True):
                assert isinstance(read, Posts)
                board.learn(read)
            if all(isinstance(read, Posts) and len(read.posts) < POSTS_MAX for read in readings):
                return

    async def _check_store(self) -> None:
        """Whether the store keeps what it is told, and whether this replica belongs on it.

        The newcomer judges itself: it is not ready while others have been here lately of whom none
        shares a secret with it, current or previous. Who has been accepted stays, whoever comes later.
        """
        if not self._accepted:
            evictions = await self._store.ready()
            if evictions:
                self._log.say("store_evicts", policy=", ".join(evictions))
        mine = self._secret.fingerprints()
        if not self._accepted:
            (here,) = await self._store.apply([ReadScore("replicas", "secrets", _HALF_LIFE)])
            assert isinstance(here, Scores)
            before = self._readiness.states["secret"]
            self._accepted = not here.levels or not here.levels.keys().isdisjoint(mine)
            self._readiness.set(
                "secret", "ok" if self._accepted else "another replica has another secret"
            )
            if not self._accepted and before == "ok":
                self._log.say("secret_mismatch")
        if self._accepted:
            await self._register()
            self._readiness.note("store", self._store.state)

    async def _register(self) -> None:
        """Say that we are here, under every secret that we know."""
        mine = self._secret.fingerprints()
        await self._store.apply(
            [Raise("replicas", "secrets", one, 1.0, _HALF_LIFE) for one in mine]
        )

    def _announce_streams(self, now: float) -> None:
        """Say of each stream that is open for long that it still is."""
        due_at: dict[str, float] = {}
        for exchange in self._underway():
            progress = exchange.progress
            if not progress.streamed:
                continue
            due = self._announce_at.get(progress.request_id, progress.started + STREAM_OPEN_S)
            if now >= due:
                due += STREAM_OPEN_S
                open_s = round(now - progress.started)
                self._log.say("stream_open", request_id=progress.request_id, seconds=open_s)
            due_at[progress.request_id] = due
        self._announce_at = due_at
