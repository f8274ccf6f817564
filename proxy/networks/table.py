"""
Which range does a number lie in: sorted starts, one value each, found by bisection.

An IPv4 address is its 32 bits, an IPv6 address its upper 64: a single customer picks any of the lower
ones. Ranges are disjoint by construction; the value 0 stands for what lies in none.
"""

from __future__ import annotations

import ipaddress
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from struct import Struct
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Range = tuple[int, int, int]
"""First and last number, and a value above 0."""

V6_BITS: Final = 64
_INDEX: Final = {False: (0, 16, 1 << 16), True: (0x20000, 44, 1 << 16)}
"""By family, IPv6 or not: the first bucket, its bits, how many. IPv4 by /16; 2000::/4 by /20."""
_HALVES = Struct(">QQ").unpack
_from_bytes = int.from_bytes


class Table:
    """An immutable table of one address family."""

    __slots__ = ("starts", "values")

    def __init__(self, starts: Sequence[int], values: Sequence[int]) -> None:
        """`starts` grow and begin with 0; there are as many `values`."""
        if len(starts) != len(values) or not starts or starts[0] != 0:
            raise ValueError("starts and values do not fit together")
        self.starts = starts
        self.values = values

    def find(self, number: int) -> int:
        """The value of the range that a number lies in, or 0."""
        return self.values[bisect_right(self.starts, number) - 1]


class IndexedTable(Table):
    """A table of many ranges: an index by a number's upper bits leaves few steps of the search.

    `index[n]` is how many starts lie before the n-th bucket of 2**shift numbers, counted from the
    bucket `base`; numbers outside of the buckets are searched for in the whole table.
    """

    __slots__ = ("base", "buckets", "index", "shift")

    def __init__(
        self, starts: Sequence[int], values: Sequence[int], index: Sequence[int], *, wide: bool
    ) -> None:
        """As a Table, with the index that `index_of` has made."""
        super().__init__(starts, values)
        self.base, self.shift, self.buckets = _INDEX[wide]
        if len(index) != self.buckets + 1 or index[-1] > len(starts):
            raise ValueError("the index does not fit its table")
        self.index = index

    def find(self, number: int) -> int:
        """The value of the range that a number lies in, or 0."""
        bucket = (number >> self.shift) - self.base
        starts, index = self.starts, self.index
        if 0 <= bucket < self.buckets:
            at = bisect_right(starts, number, index[bucket], index[bucket + 1])
        else:
            at = bisect_right(starts, number)
        return self.values[at - 1]


def index_of(starts: Sequence[int], *, wide: bool) -> array[int]:
    """The index of an IndexedTable."""
    base, shift, buckets = _INDEX[wide]
    edges = (bucket << shift for bucket in range(base, base + buckets + 1))
    return array("I", [bisect_left(starts, edge) for edge in edges])


def number_of(address: str) -> tuple[bool, int] | None:
    """(is IPv6, number) of an address' text, IPv4-mapped IPv6 as IPv4; None for anything else."""
    try:
        if ":" not in address:
            return False, _from_bytes(inet_pton(AF_INET, address))
        upper, lower = _HALVES(inet_pton(AF_INET6, address))
    except (OSError, ValueError):  # a ValueError for NUL and for what is not ASCII
        return None
    if upper == 0 and lower >> 32 == 0xFFFF:
        return False, lower & 0xFFFFFFFF
    return True, upper


def range_of(network: Network) -> tuple[int, int]:
    """First and last number of a network; one narrower than an IPv6 /64 counts as its /64."""
    first, last = int(network.network_address), int(network.broadcast_address)
    return (first, last) if network.version == 4 else (first >> V6_BITS, last >> V6_BITS)


def table_of(ranges: Iterable[Range], *, wide: bool) -> Table:
    """A table of ranges that may nest: the narrowest one that holds a number tells its value.

    Of two ranges that are the same the first wins. `wide` is IPv6. Of ranges that overlap though
    neither holds the other (no networks do) the one that begins later wins.
    """
    building = _Building(wide=wide)
    taken: tuple[int, int] | None = None
    for first, last, value in sorted(ranges, key=lambda one: (one[0], -one[1])):
        if (first, last) != taken:
            taken = first, last
            building.begin(first, last, value)
    return building.done()


class _Building:
    def __init__(self, *, wide: bool) -> None:
        self._starts = array("Q" if wide else "I", [0])
        self._values = array("I", [0])
        self._end = (1 << (V6_BITS if wide else 32)) - 1
        self._open: list[tuple[int, int]] = []
        """(last, value) of what has begun and not ended, outermost first."""

    def begin(self, first: int, last: int, value: int) -> None:
        self._close(first)
        self._put(first, value)
        self._open.append((last, value))

    def done(self) -> Table:
        self._close(self._end + 1)
        return Table(self._starts, self._values)

    def _close(self, before: int) -> None:
        """End the ranges whose last number is less than `before`."""
        opened = self._open
        while opened and opened[-1][0] < before:
            last, _ = opened.pop()
            while opened and opened[-1][0] <= last:
                opened.pop()
            if last < self._end:
                self._put(last + 1, opened[-1][1] if opened else 0)

    def _put(self, start: int, value: int) -> None:
        starts, values = self._starts, self._values
        if starts[-1] == start:
            starts.pop()
            values.pop()
        if not values or values[-1] != value:
            starts.append(start)
            values.append(value)
