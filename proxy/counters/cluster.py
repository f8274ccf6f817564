"""
Which server of a Redis Cluster holds a subject, learnt from the servers and kept up to date.

The map is asked for when first needed, when a server says MOVED, and when one is lost. Callers never
wait for a map to be refreshed, only for the first one.
"""

from __future__ import annotations

import asyncio
from binascii import crc_hqx
from collections.abc import Iterator

from proxy.counters.address import Address, Node
from proxy.counters.link import Call, Limits, Link, text_of
from proxy.counters.resp import Reply
from proxy.counters.wire import Wire
from proxy.errors import StoreError, StoreTimeoutError

SLOTS = 16_384

REFRESH_S = 0.1
"""Least time between two refreshments of the map."""


def slot_of(prefix: str) -> int:
    """The slot of a key by its hash tag (Redis Cluster specification, "hash tags")."""
    tag = prefix[prefix.index("{") + 1 : prefix.index("}")].encode()
    return crc_hqx(tag, 0) % SLOTS


class Cluster:
    """The links to all masters, by slot."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self._address = address
        self._limits = limits
        self._links: dict[Node, Link] = {}
        self._slots: list[Node | None] = []
        self._learning: asyncio.Task[None] | None = None
        self._learnt_at = float("-inf")

    async def prepare(self) -> None:
        """Wait for the first map, no longer than for an answer. Raises StoreError."""
        if self._slots:
            return
        learning = self._learn()
        try:
            async with asyncio.timeout(self._limits.timeout):
                await asyncio.shield(learning)
        except TimeoutError:
            raise StoreTimeoutError("the Cluster did not answer in time") from None

    def link(self, prefix: str) -> Link:
        """The link to whoever holds the subject's slot."""
        node = self._slots[slot_of(prefix)]
        if node is None:
            self.failed()
            raise StoreError("no server of the Cluster holds this slot")
        return self._link_to(node)

    async def dial(self, key: str) -> Wire:
        """A connection besides the links, to whoever holds a key."""
        node = self._slots[crc_hqx(key.encode(), 0) % SLOTS]
        if node is None:
            raise StoreError("no server of the Cluster holds this slot")
        return await self._address.dial_node(node)

    def links(self) -> Iterator[Link]:
        """One link to each master."""
        for node in {node for node in self._slots if node is not None}:
            yield self._link_to(node)

    def redirect(self, call: Call, target: str, *, asking: bool) -> None:
        """Follow MOVED (and remember it) or ASK (once)."""
        slot, _, place = target.partition(" ")
        host, _, port = place.rpartition(":")
        if not host or not port.isdecimal():
            call.trip.fail(StoreError("the Cluster points nowhere"))
            return
        node = (host, int(port))
        if not asking:
            self._slots[int(slot)] = node
            self.failed()
        call.asking = asking
        try:
            self._link_to(node).put(call)
        except StoreError as error:
            call.trip.fail(error)

    def failed(self) -> None:
        """Refresh the map in the background, unless that has just been done."""
        now = asyncio.get_running_loop().time()
        if now - self._learnt_at >= REFRESH_S:
            self._learn()

    async def close(self, error: StoreError) -> None:
        """Drop all connections."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.wait({self._learning})
        for link in self._links.values():
            link.close(error)

    def _link_to(self, node: Node) -> Link:
        link = self._links.get(node)
        if link is None:
            link = Link(lambda: self._address.dial_node(node), self._limits, self)
            self._links[node] = link
        return link

    def _learn(self) -> asyncio.Task[None]:
        if self._learning is None or self._learning.done():
            self._learnt_at = asyncio.get_running_loop().time()
            self._learning = asyncio.create_task(self._ask_around(), name="store-cluster-map")
            # A failed refreshment leaves the old map; only `prepare` waits for the outcome.
            self._learning.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._learning

    async def _ask_around(self) -> None:
        error = StoreError("no server of the Cluster answers")
        for node in dict.fromkeys([*self._links, *self._address.nodes]):
            try:
                async with asyncio.timeout(self._limits.connect_timeout):
                    wire = await self._address.dial_node(node)
                    try:
                        told = await wire.tell(b"CLUSTER", b"SLOTS")
                    finally:
                        wire.abort()
                slots = read_slots(told, node[0])
            except (StoreError, TimeoutError, ValueError) as failure:
                error = failure if isinstance(failure, StoreError) else error
                continue
            self._slots = slots
            self._let_go()
            return
        raise error

    def _let_go(self) -> None:
        """Close the links to servers that hold nothing any more."""
        masters = set(self._slots)
        for node, link in list(self._links.items()):
            if node not in masters and link.idle:
                del self._links[node]
                link.close(StoreError("the server left the Cluster"))


def read_slots(told: Reply, asked: str) -> list[Node | None]:
    """The table out of a CLUSTER SLOTS reply; a server that leaves its own name out is `asked`."""
    slots: list[Node | None] = [None] * SLOTS
    if not isinstance(told, list) or not told:
        raise ValueError("no slots")
    for part in told:
        match part:
            case [int() as first, int() as last, [host, int() as port, *_], *_]:
                node = (text_of(host) or asked, port)
                slots[first : last + 1] = [node] * (last + 1 - first)
            case _:
                raise ValueError("not a slot range")
    return slots
