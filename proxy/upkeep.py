"""
What a process looks after once a second: a store that was lost, forgets or is shared with strangers, and
streams that last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from proxy.admin.health import Readiness
from proxy.client.secret import Secret
from proxy.clock import Clock
from proxy.counters.protocol import Seen, Sighting
from proxy.counters.resilient import ResilientStore
from proxy.errors import StoreError
from proxy.eventlog import EventLog
from proxy.passage import Exchange

TICK_S: Final = 1.0
STREAM_OPEN_S: Final = 60.0
STORE_CHECK_S: Final = 300.0


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
    ) -> None:
        self._store = store
        self._shared = shared
        self._secret = secret
        self._readiness = readiness
        self._log = log
        self._clock = clock
        self._underway = underway
        self._announce_at: dict[str, float] = {}
        self._checked_at = -STORE_CHECK_S

    async def run(self) -> None:
        """Look, and look again a second later."""
        while True:
            now = self._clock.monotonic()
            if self._shared and now - self._checked_at >= STORE_CHECK_S:
                with suppress(StoreError):
                    await self._check_store()
                    self._checked_at = now
            if self._store.state != "ok":
                with suppress(StoreError):
                    await self._store.ready()
            self._announce_streams(now)
            await asyncio.sleep(TICK_S)

    async def _check_store(self) -> None:
        """Whether all replicas on this store share a secret, and whether it keeps what it is told."""
        evictions = await self._store.ready()
        if evictions:
            self._log.say("store_evicts", policy=", ".join(evictions))
        hour = int(self._clock.now() // 3600)
        mine = self._secret.fingerprints()
        note = Seen("replicas", "secret", hour, mine[0], 7200.0)
        (sighting,) = await self._store.apply((note,))
        assert isinstance(sighting, Sighting)
        foreign = [who for who in sighting.who if who not in mine]
        self._readiness.set("secret", "another replica has another secret" if foreign else "ok")

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
