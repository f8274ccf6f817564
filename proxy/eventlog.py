"""
The event log: requests append, a thread renders and writes in batches.

A request never waits for the log. The queue is bounded: when it is full, plain `allow` events are dropped
first, and what was dropped is counted and said once there is room again. A writer that fails (a closed
pipe, a full disk) loses that batch, counted likewise, and tries the next.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from aiolimiter import AsyncLimiter

from proxy.clock import Clock
from proxy.events import Event, other

EVENT_BYTES = 1024
"""What one queued event is taken to weigh; measured, an event of a chat request is 0.9 KB of JSON."""
MAX_EVENT_BYTES = 8 * 1024
BATCH = 512
TICK_S = 0.05
"""How long an event may wait for company, so that a burst is one write."""
ALERTS_A_MINUTE = 6


def _stamp(_logger: Any, _method: str, event: Event) -> Event:
    moment = datetime.fromtimestamp(event["timestamp"], UTC)
    event["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _bounded(_logger: Any, _method: str, line: bytes) -> bytes:
    if len(line) <= MAX_EVENT_BYTES:
        return line
    event = orjson.loads(line)
    if event.pop("weighed", None) is not None:
        return _bounded(_logger, _method, orjson.dumps({**event, "truncated": True}))
    kept = {name: value for name, value in event.items() if not isinstance(value, list | dict)}
    kept["truncated"] = True
    return orjson.dumps(kept)


Processor = Callable[[Any, str, Any], Any]

JSON: tuple[Processor, ...] = (
    _stamp,
    structlog.processors.JSONRenderer(serializer=orjson.dumps),
    _bounded,
)


class EventLog:
    """A bounded queue and its writer thread."""

    def __init__(
        self,
        clock: Clock,
        *,
        processors: tuple[Processor, ...] = JSON,
        descriptor: int = 1,
        queue_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._clock = clock
        self._processors = processors
        self._descriptor = descriptor
        self._limit = max(1, queue_bytes // EVENT_BYTES)
        self._queue: deque[Event] = deque()
        self._closing = False
        self._alerts: dict[str, AsyncLimiter] = {}
        self._unreported = 0
        self.dropped = 0
        """Events lost since the start."""
        self._thread = threading.Thread(target=self._work, name="event-log", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """About what the queue holds now."""
        return len(self._queue) * EVENT_BYTES

    def put(self, event: Event) -> None:
        """Queue an event; never blocks and never raises."""
        if len(self._queue) >= self._limit and not self._make_room(event):
            return
        self._queue.append(event)

    def say(self, name: str, **fields: Any) -> None:
        """Queue one of the other documented events, now."""
        self.put(other(name, self._clock.now(), **fields))

    def alert(self, name: str, **fields: Any) -> None:
        """As `say`, at most ALERTS_A_MINUTE of one name: a burst of trouble is one trouble."""
        limiter = self._alerts.get(name)
        if limiter is None:
            limiter = self._alerts[name] = AsyncLimiter(ALERTS_A_MINUTE, 60)
        if limiter.has_capacity():
            # has_capacity leaks, acquire counts; with capacity acquire never suspends.
            acquiring = limiter.acquire()
            try:
                acquiring.send(None)
            except StopIteration:
                self.say(name, **fields)
            finally:
                acquiring.close()

    def close(self, patience: float = 5.0) -> None:
        """Write what is queued, for at most `patience` seconds."""
        self._closing = True
        self._thread.join(patience)

    def _make_room(self, event: Event) -> bool:
        self._unreported += 1
        self.dropped += 1
        if event.get("decision") == "allow":
            return False
        for at, queued in enumerate(self._queue):
            if queued.get("decision") == "allow":
                del self._queue[at]
                return True
            if at > BATCH:
                break
        return False

    def _work(self) -> None:
        queue = self._queue
        while True:
            if not queue:
                if self._closing:
                    return
                time.sleep(TICK_S)
                continue
            batch: list[Event] = []
            while queue and len(batch) < BATCH:
                batch.append(queue.popleft())
            if self._unreported and len(queue) < self._limit:
                count, self._unreported = self._unreported, 0
                batch.append(other("log_dropped", self._clock.now(), count=count))
            self._write(batch)
            if not self._closing and len(queue) < BATCH:
                time.sleep(TICK_S)

    def _write(self, batch: list[Event]) -> None:
        lines: list[bytes] = []
        for event in batch:
            line: Any = event
            try:
                for processor in self._processors:
                    line = processor(None, "", line)
                lines.append(line if isinstance(line, bytes) else str(line).encode())
            except Exception:
                # One event that cannot be rendered must not end the log.
                self.dropped += 1
                self._unreported += 1
        lines.append(b"")
        data = memoryview(b"\n".join(lines))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self.dropped += len(batch)
            self._unreported += len(batch)
