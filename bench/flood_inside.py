"""
The same flood without HTTP: `python -m bench.flood --inside`.

Invented callers are handed to the line itself, all of it: identity, body, signals, select, count in a real
Redis, decide, settle, event. The process' clock is paced, so many callers to the second, however long the
machine takes for them; Redis counts by its own clock, which is why both are told.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import redis

from proxy.app import App
from proxy.clock import Clock, SystemClock
from proxy.dialects.base import RefusalReply
from proxy.errors import Refusal
from proxy.eventlog import EventLog
from proxy.events import Event
from proxy.head import Head
from proxy.passage import Exchange, Forward, Progress
from proxy.settings import Settings

AT_ONCE = 32
REPLY = (
    b'{"id":"x","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":'
    b'{"role":"assistant","content":"Yes."}}],"usage":{"prompt_tokens":20,"completion_tokens":2}}'
)


class Paced(SystemClock):
    """Moves on by a caller's share of a second with each caller, and not else."""

    def __init__(self, rate: float) -> None:
        self._start, self._rate, self.callers = time.time(), rate, 0

    @property
    def elapsed(self) -> float:
        return self.callers / self._rate

    def now(self) -> float:
        return self._start + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed


class Unwritten(EventLog):
    """Events are built, counted by what was decided and why, and weigh nothing after."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.decided: Counter[tuple[object, ...]] = Counter()

    def put(self, event: Event) -> None:
        if event["event"] == "request":
            names = ("http.response.status_code", "decision", "rule", "reason")
            self.decided[tuple(event.get(name) for name in names)] += 1


class Invented:
    """One request of a caller whom nobody has seen, and a model that says yes to everybody."""

    reads_early = True

    def __init__(self, raw: bytes) -> None:
        head, _, self._body = raw.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = tuple((name, value) for name, _, value in (one.partition(b": ") for one in lines))
        self.head = Head("POST", first.split()[1].decode(), "", headers, "127.0.0.1")
        self.progress = Progress()
        self.reason: str | None = None

    def objection(self) -> Refusal | None:
        return None

    async def receive(self) -> bytes | Refusal:
        return self._body

    async def hold(self, subject: str, seconds: float) -> bool:
        return False

    def answer(self, reply: RefusalReply, *, close: bool) -> None:
        self.progress.status = reply.status
        self.progress.end = "complete"

    async def forward(self, forward: Forward) -> Refusal | None:
        reader = forward.observe(200, False, True)
        if reader is not None:
            reader.feed(REPLY)
            reader.finish()
        self.progress.status, self.progress.end = 200, "complete"
        return None


def settings(policy: Path, mode: str, url: str) -> Settings:
    anywhere: dict[str, Any] = dict.fromkeys(
        ("listen", "health_listen", "admin_listen"), "127.0.0.1:0"
    )
    return Settings.model_validate(
        {
            **anywhere,
            "policy": policy,
            "mode": mode,
            "upstream": {"url": "http://127.0.0.1:9"},
            "redis_url": url,
            # What stays behind is measured; a busy machine is not to have anything given up.
            "store": {"timeout": 5.0},
            "secret": "of-the-bench-alone-0123456789",
            "client_address": {"from": "x-forwarded-for", "trusted": ["127.0.0.0/8"]},
            "header_evidence": "on",
        }
    )


async def flood_inside(
    policy: Path,
    mode: str,
    port: int,
    rate: float,
    seconds: float,
    times: int,
    request: Any,
    resident: Any,
) -> None:
    """Print the process, Redis and its keys as the flood goes on; `request(number)` invents a caller,
    who comes `times` times, AT_ONCE others between."""
    clock = Paced(rate)
    log = Unwritten(clock)
    app = App(settings(policy, mode, f"redis://127.0.0.1:{port}/0"), log, clock)
    await app.start()
    line = app._pipeline  # noqa: SLF001 - the listener is what this goes without
    store, answered = redis.Redis(port=port), dict[int | None, int]()
    began, points = time.monotonic(), [round(rate * seconds * step / 8) for step in range(9)]

    async def one(number: int) -> None:
        number, place = divmod(number, AT_ONCE)
        exchange: Exchange = Invented(request(number // times * AT_ONCE + place))
        await line.run(exchange)
        status = exchange.progress.status
        answered[status] = answered.get(status, 0) + 1

    try:
        print("| seconds, by its clock | took | process, MiB | Redis, MiB | keys in Redis |")
        print("|---|---|---|---|---|")
        for start, end in zip([0, *points], points, strict=False):
            for first in range(start, end, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, end))
                await asyncio.gather(*map(one, numbers))
                clock.callers += len(numbers)
            used = int(store.info("memory")["used_memory"]) / 1024**2
            told = f"{resident(os.getpid()):.0f} | {used:.0f} | {store.dbsize():,}"
            print(f"| {clock.elapsed:.1f} | {time.monotonic() - began:.0f} | {told} |", flush=True)
    finally:
        await app.stop()
    took = time.monotonic() - began
    print(
        f"\n{clock.callers:,} requests, {clock.callers / took:,.0f} a second by the machine's clock;"
    )
    print(f"answered: {answered}; the store at the end: {app.status()['store']}.")
    for decided, count in log.decided.most_common(8):
        print(f"{count:,}: {' '.join(map(str, decided))}")
