"""
Settling: what a request leaves behind in the counters, carried out after it and off its path.

The queue is bounded. When the store is gone or slower than traffic for long, the oldest settlements are
lost and counted: a counter that was not given back is the stricter error, and reservations and leases
end by their own TTL.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from proxy.counters.protocol import Op, Store
from proxy.errors import StoreError

BATCH = 256


class Settler:
    """A queue of operations, applied in batches by one task."""

    def __init__(
        self,
        store: Store,
        *,
        on_lost: Callable[[int], None],
        on_fault: Callable[[BaseException], None] = lambda _error: None,
        limit: int = 65_536,
    ) -> None:
        self._store = store
        self._on_lost = on_lost
        self._on_fault = on_fault
        self._limit = limit
        self._queue: deque[Op] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def __len__(self) -> int:
        return len(self._queue)

    def start(self) -> None:
        """Begin to work the queue off; needs a running loop."""
        self._task = asyncio.create_task(self._work(), name="settle")

    def put(self, ops: Sequence[Op]) -> None:
        """Queue operations. Never blocks; beyond the bound the oldest are lost."""
        queue = self._queue
        queue.extend(ops)
        surplus = len(queue) - self._limit
        if surplus > 0:
            for _ in range(surplus):
                queue.popleft()
            self._on_lost(surplus)
        self._rouse()

    async def close(self, patience: float) -> None:
        """Work off what is queued, for at most `patience` seconds; the rest is lost and counted."""
        self._closing = True
        self._rouse()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._queue:
            self._on_lost(len(self._queue))
            self._queue.clear()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _work(self) -> None:
        queue = self._queue
        loop = asyncio.get_running_loop()
        while True:
            if not queue:
                if self._closing:
                    return
                self._wake = loop.create_future()
                await self._wake
                continue
            batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            try:
                await self._store.apply(batch)
            except asyncio.CancelledError:
                self._on_lost(len(batch))
                raise
            except Exception as error:
                # Whatever it was, the next batch must find somebody who works it off.
                self._on_lost(len(batch))
                if not isinstance(error, StoreError):
                    self._on_fault(error)
