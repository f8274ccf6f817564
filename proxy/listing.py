"""
The lists that operators keep in Redis, mirrored: read every few seconds, kept while the store is gone.

What cannot be taken in (a member of no known form, more than the bound) is left out, and said once. No
member is ever quoted: it may be somebody's key.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from proxy.clock import Clock
from proxy.counters.members import Members
from proxy.errors import StoreError
from proxy.lists import MAX_ENTRIES, Entry, ListTable, Tables, read_member

KEY: Final = "excise:list:"
EVERY_S: Final = 5.0
SHARE: Final = 20
"""A list that takes long to read is read less often: at most a twentieth of the time."""
BREATH: Final = 100
"""Entries that are read before requests get their turn."""

NO_REDIS: Final = "no Redis is configured"

_Read = Entry | str
"""An entry, or why it is none."""


class StoreLists:
    """The lists that the policy names; `tables` is replaced whole."""

    def __init__(
        self,
        read: Callable[[str, int], Awaitable[Members]] | None,
        clock: Clock,
        say: Callable[..., None],
    ) -> None:
        """`read` reads a set or hash by its key; None where there is no Redis."""
        self._read = read
        self._clock = clock
        self._say = say
        self._due_at: dict[str, float] = {}
        self._known: dict[str, dict[bytes, tuple[bytes | None, _Read]]] = {}
        self._said: dict[str, object] = {}
        self.tables: Tables = {}

    async def look(self, names: Sequence[str]) -> None:
        """Read the lists that are due; forget those that the policy names no more."""
        if self.tables.keys() - set(names):
            self.tables = {name: one for name, one in self.tables.items() if name in names}
            self._known = {name: one for name, one in self._known.items() if name in names}
            self._due_at = {name: one for name, one in self._due_at.items() if name in names}
        for name in names:
            started = self._clock.monotonic()
            if started < self._due_at.get(name, 0.0):
                continue
            if self._read is None:
                self._unread(name, 0, NO_REDIS)
                continue
            self._due_at[name] = started + EVERY_S
            try:
                members = await self._read(KEY + name, MAX_ENTRIES)
            except StoreError as error:
                self._unread(name, 0, str(error))
                continue
            await self._take(name, members)
            now = self._clock.monotonic()
            self._due_at[name] = now + max(EVERY_S, SHARE * (now - started))

    async def _take(self, name: str, members: Members) -> None:
        before = self._known.get(name)
        known: dict[bytes, tuple[bytes | None, _Read]] = {}
        for at, (member, more) in enumerate(members.items()):
            if at == MAX_ENTRIES:
                break
            if at % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            held = before.get(member) if before else None
            known[member] = held if held is not None and held[0] == more else _entry(member, more)
        reasons = Counter(one for _, one in known.values() if isinstance(one, str))
        if len(members) > MAX_ENTRIES:
            reasons[f"more than {MAX_ENTRIES} entries"] += len(members) - MAX_ENTRIES
        reason = ", ".join(f"{why} ({count})" for why, count in sorted(reasons.items()))
        self._unread(name, reasons.total(), reason)
        if known == before:
            return
        entries = [one for _, one in known.values() if isinstance(one, Entry)]
        table = await asyncio.to_thread(ListTable, entries)
        self._known[name] = known
        self.tables = {**self.tables, name: table}
        self._say("list_read", list=name, entries=len(table))

    def _unread(self, name: str, count: int, reason: str) -> None:
        """Say what is left out, once for each state."""
        if reason and self._said.get(name) != (count, reason):
            self._say("list_unread", list=name, count=count, reason=reason)
        self._said[name] = (count, reason)


def _entry(member: bytes, more: bytes | None) -> tuple[bytes | None, Any]:
    try:
        return more, read_member(member, more)
    except ValueError as error:
        return more, str(error)
