"""A process of its own that takes from a shared limit: says `ready`, waits for a line, takes."""

from __future__ import annotations

import asyncio
import sys

from proxy.counters.protocol import Take, Taken

from .stores import T0, redis_store

BURST = 120
TAKES = 100
"""By each process."""


async def main(url: str, subject: str) -> None:
    store = redis_store(url)
    await store.ready()
    print("ready", flush=True)  # noqa: T201 - how the test hears of it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    op = Take(subject, "t", amount=7, period=60, burst=BURST)
    batches = await asyncio.gather(*(store.apply([op], T0) for _ in range(TAKES)))
    taken = [reading for readings in batches for reading in readings]
    print(sum(isinstance(one, Taken) and one.admitted for one in taken))  # noqa: T201 - the same
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
