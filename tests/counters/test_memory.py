"""What memory alone must see to: it keeps counters by how long they last, as told when they were made."""

from __future__ import annotations

from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Reserve, Settle, Taken

from .stores import StillClock


def reserve(subject: str, estimate: int) -> Reserve:
    return Reserve(subject, "r", 10, 1, 100, estimate, f"{subject}{estimate}", 300)


async def test_a_debt_is_kept_until_it_is_paid_though_a_burst_would_long_be() -> None:
    clock = StillClock()
    store = MemoryStore(clock=clock)
    await store.apply([reserve("s", 0)])
    await store.apply([Settle("s", "r", 10, 1, "s0", actual=100_000)])
    clock.advance(5_000)
    # Newcomers that last as long drive out what has ended.
    for number in range(64):
        await store.apply([reserve(f"other{number}", 10)])
    clock.advance(4_000)
    (taken,) = await store.apply([reserve("s", 1)])
    assert isinstance(taken, Taken)
    assert (taken.admitted, taken.retry_after_s) == (False, 990.1)
