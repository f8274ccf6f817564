"""Remove all that a store holds of one subject: for requests to be forgotten, never on the hot path."""

from __future__ import annotations

from collections.abc import AsyncIterator

from proxy.counters.address import Address, Node, parse_address
from proxy.counters.cluster import read_slots
from proxy.counters.wire import Wire
from proxy.errors import StoreError

PAGE = 1000
"""Keys that a server looks through at once."""


async def sweep(url: str, subject: str, *, remove: bool) -> int:
    """How many counters the store holds of a subject, alone or as a part of others; removed if so asked.

    Raises ConfigurationError for a URL that is not understood, StoreError where a server does not answer.
    """
    swept = 0
    async for wire in _servers(parse_address(url)):
        try:
            swept += await _sweep_one(wire, subject, remove=remove)
        finally:
            wire.abort()
    return swept


def concerns(key: str, subject: str) -> bool:
    """Whether a key is a counter of the subject: `x1:{account:acme|model:large}:rule:hash` is acme's."""
    if not key.startswith("x1:{"):
        return False
    owner = key[4:].partition("}")[0]
    if owner.startswith("overflow:"):
        return owner.endswith(f":{subject}")
    return owner == subject or f"|{subject}|" in f"|{owner}|"


async def _servers(address: Address) -> AsyncIterator[Wire]:
    """A connection to each server that holds keys."""
    if address.kind != "cluster":
        yield await address.dial()
        return
    for node in await _masters(address):
        yield await address.dial_node(node)


async def _masters(address: Address) -> list[Node]:
    error = StoreError("no server of the Cluster answers")
    for node in address.nodes:
        try:
            wire = await address.dial_node(node)
            try:
                slots = read_slots(await wire.tell(b"CLUSTER", b"SLOTS"), node[0])
            finally:
                wire.abort()
        except (StoreError, ValueError) as failure:
            error = failure if isinstance(failure, StoreError) else error
            continue
        return sorted({holder for holder in slots if holder is not None})
    raise error


async def _sweep_one(wire: Wire, subject: str, *, remove: bool) -> int:
    swept, cursor = 0, b"0"
    while True:
        told = await wire.tell(b"SCAN", cursor, b"MATCH", b"x1:*", b"COUNT", b"%d" % PAGE)
        match told:
            case [bytes() as cursor, list() as keys]:
                found = [key for key in keys if concerns(key.decode("utf-8", "replace"), subject)]
            case _:
                raise StoreError("the store answered SCAN with something else")
        for key in found if remove else ():  # one by one: a Cluster takes no keys of several slots
            await wire.tell(b"UNLINK", key)
        swept += len(found)
        if cursor == b"0":
            return swept
