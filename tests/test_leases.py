"""Slots that are held: renewed in time, never after they were given back."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.counters.protocol import Held, Lease, Op
from proxy.leases import HeldLeases


def lease(name: str, ttl: float = 30.0) -> Lease:
    return Lease("account:a", "few", 8, name, ttl)


def renewed(held: HeldLeases, now: float) -> tuple[list[Op], list[Op]]:
    shared: list[Op] = []
    local: list[Op] = []

    def queue(ops: Sequence[Op]) -> None:
        shared.extend(ops)

    held.renew(now, queue, local.extend)
    return shared, local


def test_a_lease_is_renewed_every_third_of_its_length_while_it_is_held() -> None:
    held = HeldLeases()
    held.note([lease("a")], [Held(True, 1)], 100.0, local=False)
    assert renewed(held, 109.9) == ([], [])
    assert renewed(held, 110.0) == ([lease("a")], [])
    assert renewed(held, 110.5) == ([], [])
    assert renewed(held, 120.0) == ([lease("a")], [])
    held.drop([lease("a")])
    assert renewed(held, 1000.0) == ([], [])
    assert len(held) == 0


def test_what_was_not_granted_is_not_held() -> None:
    held = HeldLeases()
    held.note([lease("a")], [Held(False, 8)], 100.0, local=False)
    assert len(held) == 0


def test_a_lease_in_this_replicas_memory_is_renewed_there() -> None:
    held = HeldLeases()
    held.note([lease("a")], [Held(True, 1)], 100.0, local=True)
    held.note([lease("b", 6.0)], [Held(True, 1)], 100.0, local=False)
    assert renewed(held, 103.0) == ([lease("b", 6.0)], [])
    assert renewed(held, 110.0) == ([lease("b", 6.0)], [lease("a")])
