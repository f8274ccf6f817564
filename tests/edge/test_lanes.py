"""Delay lanes are bounded per subject and in all."""

from __future__ import annotations

import asyncio

from proxy.edge.lanes import DelayLanes


async def test_a_full_lane_turns_the_next_request_away_at_once() -> None:
    lanes = DelayLanes(per_subject=2, total=10)
    held = [asyncio.create_task(lanes.hold("a", 30)) for _ in range(2)]
    await asyncio.sleep(0)
    assert lanes.held == 2
    assert await lanes.hold("a", 30) is False
    other = asyncio.create_task(lanes.hold("b", 30))
    await asyncio.sleep(0)
    assert lanes.held == 3
    for task in (*held, other):
        task.cancel()
    await asyncio.gather(*held, other, return_exceptions=True)
    assert lanes.held == 0


async def test_the_process_bound_holds_over_all_subjects() -> None:
    lanes = DelayLanes(per_subject=8, total=3)
    held = [asyncio.create_task(lanes.hold(f"s{i}", 30)) for i in range(3)]
    await asyncio.sleep(0)
    assert await lanes.hold("another", 0) is False
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)


async def test_a_hold_lets_go_after_its_time_and_frees_its_place() -> None:
    loop = asyncio.get_running_loop()
    lanes = DelayLanes(per_subject=1, total=1)
    started = loop.time()
    assert await lanes.hold("a", 0.02) is True
    assert loop.time() - started >= 0.02
    assert lanes.held == 0
    assert await lanes.hold("a", 0) is True
