"""
The slots that this replica's requests hold: renewed in batches while they last, off their path.

Renewals go the same way as what gives slots back, one after the other, so that none comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.counters.protocol import Held, Lease, Op, Reading

RENEWALS = 3
"""A lease is renewed so many times within its length: two may be lost."""

Queue = Callable[[Sequence[Op]], None]


class _Slot:
    __slots__ = ("due", "local", "op")

    def __init__(self, op: Lease, due: float, *, local: bool) -> None:
        self.op = op
        self.due = due
        self.local = local


class HeldLeases:
    """Which leases are held, and when each is to be renewed next."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, str], _Slot] = {}

    def __len__(self) -> int:
        return len(self._held)

    def note(
        self, ops: Sequence[Op], readings: Sequence[Reading], now: float, *, local: bool
    ) -> None:
        """Remember what was granted. `now` in monotonic seconds."""
        for op, reading in zip(ops, readings, strict=True):
            if isinstance(op, Lease) and isinstance(reading, Held) and reading.granted:
                slot = _Slot(op, now + op.ttl / RENEWALS, local=local)
                self._held[op.subject, op.key, op.id] = slot

    def drop(self, ops: Sequence[Op]) -> None:
        """Their request has ended."""
        for op in ops:
            if isinstance(op, Lease):
                self._held.pop((op.subject, op.key, op.id), None)

    def renew(self, now: float, shared: Queue, local: Queue) -> None:
        """Queue the renewals that are due: of the store's leases, and of those in this replica's memory."""
        due = [slot for slot in self._held.values() if slot.due <= now]
        for slot in due:
            slot.due = now + slot.op.ttl / RENEWALS
        for queue, is_local in ((shared, False), (local, True)):
            ops = [slot.op for slot in due if slot.local is is_local]
            if ops:
                queue(ops)
