"""The watch ends what stands still, and nothing that shows signs of life."""

from __future__ import annotations

import asyncio

from proxy.edge.watch import Watch


async def test_a_silent_wait_is_ended_once_and_not_before_its_limit() -> None:
    loop = asyncio.get_running_loop()
    watch = Watch(loop)
    ended: asyncio.Future[float] = loop.create_future()
    started = loop.time()
    watched = watch.wait(0.04, lambda: ended.set_result(loop.time()))
    passed = await asyncio.wait_for(ended, 5) - started
    assert passed >= 0.04
    assert watched.expired
    assert len(watch) == 0


async def test_signs_of_life_move_the_limit() -> None:
    loop = asyncio.get_running_loop()
    watch = Watch(loop)
    order: list[str] = []
    both: asyncio.Event = asyncio.Event()
    lively = watch.wait(0.05, lambda: (order.append("lively"), both.set()))
    watch.wait(0.05, lambda: order.append("silent"))
    lively.last = loop.time() + 0.1
    await asyncio.wait_for(both.wait(), 5)
    assert order == ["silent", "lively"]


async def test_a_stopped_wait_never_ends() -> None:
    loop = asyncio.get_running_loop()
    watch = Watch(loop)
    ended: list[str] = []
    later: asyncio.Event = asyncio.Event()
    watch.wait(0.02, lambda: ended.append("stopped")).stop()
    watch.wait(0.06, later.set)
    await asyncio.wait_for(later.wait(), 5)
    assert ended == []


async def test_closing_ends_all_waits_without_calling_anybody() -> None:
    watch = Watch(asyncio.get_running_loop())
    watch.wait(0.001, lambda: 1 / 0)
    watch.close()
    assert len(watch) == 0
