"""
What is known of uploaded files: how many answers a batch of each makes, and whether one was made.

An upload pays for one batch of its file, as each of its lines was judged. Further batches of the same file
make all answers anew, so they are judged for as many. It is kept in the store, under the account that
uploaded the file, for a week; while the store is gone, in this replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log2
from typing import Any, Final

import orjson

from proxy.batchfile import Kind
from proxy.clock import Clock
from proxy.counters.bounds import SubjectBounds
from proxy.counters.protocol import Held, Lease, Op, Raise, Reading, ReadScore, Release, Scores
from proxy.counters.resilient import ResilientStore
from proxy.dialects.routes import find_route
from proxy.errors import StoreError
from proxy.facts import Client, Route
from proxy.rules.subjects import safe
from proxy.value import value

KEPT_S: Final = 7 * 86_400.0
"""Seconds for which a file is known after its upload."""
PER_ACCOUNT: Final = 512
"""Files that one account may have noted within an hour; no batch can be made of the others."""

_HOLDS, _MADE = "file_holds", "file_batches"
_FORGOTTEN: Final = 0.01
"""A level that has decayed below this is not told any more, see `counters.protocol.Raise`."""
_HALF_LIFE: Final = KEPT_S / log2(1 / _FORGOTTEN)


@value
class Planned:
    """A batch that somebody wants to have made."""

    answers: tuple[tuple[Kind, int], ...]
    """What it makes, by route and model."""
    paid: Release | None
    """Gives back that the upload has paid for it; None where it paid for an earlier one."""
    local: bool
    """Whether it is kept in this replica alone."""

    @property
    def total(self) -> int:
        """All answers."""
        return sum(count for _, count in self.answers)

    def goes_to(self, endpoint: str) -> bool:
        """Whether all requests of the file go to that endpoint, as the servers that read it want."""
        return go_to((kind for kind, _ in self.answers), endpoint)


class BatchBook:
    """Notes files as they are uploaded, and finds them again when a batch is to be made."""

    def __init__(
        self,
        store: ResilientStore,
        clock: Clock,
        settle: Callable[[Sequence[Op]], None],
        settle_locally: Callable[[Sequence[Op]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._settle = settle
        self._settle_locally = settle_locally
        self._bounds = SubjectBounds()

    async def note(self, client: Client, file: str, answers: Mapping[Kind, int]) -> None:
        """A file has been taken by the upstream, under this id. Returns once a batch can be made of it."""
        who = owner(client)
        subject = f"{who}|file:{safe(file)}"
        if self._bounds.admit(subject, who, self._clock.now(), PER_ACCOUNT) != subject:
            return
        ops = [
            Raise(subject, _HOLDS, _written(kind, count), 1.0, _HALF_LIFE)
            for kind, count in answers.items()
        ]
        try:
            await self._store.apply(ops)
        except StoreError:
            await self._store.apply_local(ops)

    async def plan(
        self, client: Client, file: str, request: str, endpoint: str | None = None
    ) -> Planned | None:
        """The batch that a request wants of a file; None where nobody knows the file. `endpoint` is for a
        book that has no ids to go by.

        Raises StoreError where that cannot be told, for the store is gone.
        """
        subject = f"{owner(client)}|file:{safe(file)}"
        asked = ReadScore(subject, _HOLDS, _HALF_LIFE)
        (known,) = await self._store.apply_local([asked])
        local = bool(answers := _read(known))
        if not local:
            (known,) = await self._store.apply([asked])
            answers = _read(known)
        if not answers:
            return None
        lease = Lease(subject, _MADE, 1, request, KEPT_S)
        (held,) = await (self._store.apply_local if local else self._store.apply)([lease])
        first = isinstance(held, Held) and held.granted
        return Planned(answers, Release(subject, _MADE, request) if first else None, local)

    def give_back(self, planned: Planned) -> None:
        """The batch was not made: the upload still pays for one."""
        if planned.paid is not None:
            (self._settle_locally if planned.local else self._settle)([planned.paid])


def go_to(kinds: Iterable[Kind], endpoint: str) -> bool:
    """Whether all of them are requests of that endpoint."""
    template = find_route("POST", endpoint).template
    return all(route.template == template for route, _ in kinds)


def owner(client: Client) -> str:
    """Whose a file is that a client uploads: its account's, or its address's where it has none."""
    if client.account is None:
        return f"address:{client.address}"
    return f"account:{safe(client.account)}"


def _written(kind: Kind, count: int) -> str:
    route, model = kind
    return orjson.dumps([count, route.dialect, route.operation, route.template, model]).decode()


def _read(reading: Reading) -> tuple[tuple[Kind, int], ...]:
    assert isinstance(reading, Scores)
    found: list[tuple[Kind, int]] = []
    for text in sorted(reading.levels):
        count, dialect, operation, template, model = _fields(text)
        found.append(((Route("inspected", dialect, operation, template), model), count))
    return tuple(found)


def _fields(text: str) -> Any:
    return orjson.loads(text)
