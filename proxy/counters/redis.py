"""
The counters in Redis, Sentinel or Cluster, shared by every replica of Excise.

All counters of one subject go in one script call; all calls of all requests that wait in one tick
of the loop go in one pipeline to each server. See `link.py` for what time-outs and losses mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from proxy.counters.address import Address, parse_address
from proxy.counters.cluster import Cluster
from proxy.counters.codec import pack, prefix_of, read
from proxy.counters.link import Call, Limits, Link, Trip
from proxy.counters.members import Members, read_members
from proxy.counters.protocol import Abandoned, Op, Reading
from proxy.counters.sums import micros
from proxy.counters.wire import Wire
from proxy.errors import StoreError

Groups = Mapping[str, Sequence[Op]]

_CLOSED = "the store is closed"


class Single:
    """One server, or the master that the Sentinels name."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self._address = address
        self._link = Link(address.dial, limits, self)

    async def prepare(self) -> None:
        """Nothing has to be learnt."""

    def link(self, _: str) -> Link:
        """The one link."""
        return self._link

    def links(self) -> Iterator[Link]:
        """The one link."""
        yield self._link

    async def dial(self, _: str) -> Wire:
        """A connection besides the link, to whoever holds a key."""
        return await self._address.dial()

    def redirect(self, call: Call, target: str, *, asking: bool) -> None:
        """A lone server points nowhere else."""
        call.trip.fail(StoreError("the store is a Cluster: its URL must say redis+cluster://"))

    def failed(self) -> None:
        """The link connects anew by itself."""

    async def close(self, error: StoreError) -> None:
        """Drop the connection."""
        self._link.close(error)


class RedisStore:
    """
    A `Store` over Redis 6.2 or later, or Valkey.

    `timeout` bounds the answer to a pipeline, in seconds; `connect_timeout` making a connection,
    which goes on while callers have long been told that the store is late. `waiting` bounds how
    many calls queue for a server. Raises ConfigurationError for a URL that is not understood.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 0.05,
        connect_timeout: float = 1.0,
        waiting: int = 16_384,
    ) -> None:
        address = parse_address(url)
        limits = Limits(timeout, connect_timeout, waiting)
        routes = Cluster if address.kind == "cluster" else Single
        self._route: Single | Cluster = routes(address, limits)
        self._closed = False

    async def apply(
        self, ops: Sequence[Op], now: float | None = None, *, abandoned: Abandoned | None = None
    ) -> Sequence[Reading]:
        """See `Store.apply`."""
        if not ops:
            return []
        if self._closed:
            raise StoreError(_CLOSED)
        await self._route.prepare()
        groups = _by_subject(ops)
        trip = self._send(groups, None if now is None else micros(now))
        try:
            await trip.future
        except asyncio.CancelledError:
            if abandoned is not None:
                trip.abandon(lambda answers: abandoned(_readings(ops, groups, answers)))
            raise
        return _readings(ops, groups, trip.answers)

    async def ready(self) -> Sequence[str]:
        """Have every server run the script on nothing, or raise StoreError."""
        if self._closed:
            raise StoreError(_CLOSED)
        await self._route.prepare()
        words, tail = pack("", (), None)
        links = list(self._route.links())
        trip = Trip(asyncio.get_running_loop().create_future(), len(links))
        for place, link in enumerate(links):
            link.put(Call(trip, place, words, tail))
        await trip.future
        policies = {answer.decode("ascii", "replace") for answer in trip.answers}
        return sorted(policies - {"", "noeviction"})

    async def members(self, key: str, most: int) -> Members:
        """What a set or hash holds that operators fill. Raises StoreError."""
        if self._closed:
            raise StoreError(_CLOSED)
        await self._route.prepare()
        try:
            return await read_members(self._route.dial, key, most)
        except StoreError:
            self._route.failed()  # in a Cluster the key may have moved
            raise

    async def close(self) -> None:
        """Drop the connections; whoever still waits gets a StoreError."""
        self._closed = True
        await self._route.close(StoreError(_CLOSED))

    def _send(self, groups: Groups, stamp: int | None) -> Trip:
        """Have the script run once for each subject."""
        trip = Trip(asyncio.get_running_loop().create_future(), len(groups))
        try:
            for place, (subject, group) in enumerate(groups.items()):
                prefix = prefix_of(subject)
                words, tail = pack(prefix, group, stamp)
                self._route.link(prefix).put(Call(trip, place, words, tail))
        except StoreError:
            trip.future.cancel()
            raise
        return trip


def _by_subject(ops: Sequence[Op]) -> Groups:
    first = ops[0].subject
    if all(op.subject == first for op in ops):
        return {first: ops}
    groups: dict[str, list[Op]] = {}
    for op in ops:
        groups.setdefault(op.subject, []).append(op)
    return groups


def _readings(ops: Sequence[Op], groups: Groups, answers: Sequence[bytes]) -> list[Reading]:
    """The readings of all groups, in the order in which their operations were given."""
    if len(groups) == 1:
        return read(ops, answers[0])
    coming = {
        subject: iter(read(group, answer))
        for (subject, group), answer in zip(groups.items(), answers, strict=True)
    }
    return [next(coming[op.subject]) for op in ops]
