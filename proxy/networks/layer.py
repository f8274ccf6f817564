"""A layer: networks, and what one source of knowledge says of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.networks.info import Mark
from proxy.networks.table import Network, Table, range_of, table_of


class Layer:
    """Tables of both families, whose values count into `marks`; mark 0 is none."""

    __slots__ = ("marks", "tables")

    def __init__(self, tables: tuple[Table, Table], marks: Sequence[Mark | None]) -> None:
        """`marks[0]` is None."""
        self.tables = tables
        self.marks = marks

    def find(self, wide: bool, number: int) -> Mark | None:
        """What is said of a number."""
        return self.marks[self.tables[wide].find(number)]


def layer_of(said: Iterable[tuple[Network, Mark]]) -> Layer:
    """A layer of networks that may nest: the narrowest that holds an address tells."""
    marks: dict[Mark | None, int] = {None: 0}
    ranges: tuple[list[tuple[int, int, int]], ...] = ([], [])
    for network, mark in said:
        value = marks.setdefault(mark, len(marks))
        ranges[network.version == 6].append((*range_of(network), value))
    four, six = (table_of(ranges[wide], wide=bool(wide)) for wide in (0, 1))
    return Layer((four, six), tuple(marks))
