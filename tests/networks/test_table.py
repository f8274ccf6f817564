"""Ranges: what holds a number, in tables that nest, end and touch."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.networks.info import Mark
from proxy.networks.layer import layer_of
from proxy.networks.table import IndexedTable, Table, index_of, number_of, range_of, table_of

V4 = st.builds(
    lambda bits, length: ipaddress.ip_network((bits, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)


@given(st.lists(V4, max_size=12), st.lists(st.integers(0, 2**32 - 1), max_size=8))
def test_the_narrowest_network_that_holds_an_address_tells(
    networks: list[ipaddress.IPv4Network], numbers: list[int]
) -> None:
    ranges = [(*range_of(network), at + 1) for at, network in enumerate(networks)]
    table = table_of(ranges, wide=False)
    edges = [
        edge + step for first, last, _ in ranges for edge in (first, last) for step in (-1, 0, 1)
    ]
    for number in [*numbers, *(edge for edge in edges if 0 <= edge < 2**32)]:
        address = ipaddress.IPv4Address(number)
        holding = [at for at, network in enumerate(networks) if address in network]
        narrowest = min(holding, key=lambda at: (-networks[at].prefixlen, at), default=-1)
        assert table.find(number) == narrowest + 1
    assert list(table.starts) == sorted(set(table.starts))
    assert all(one != other for one, other in zip(table.values, table.values[1:], strict=False))


@pytest.mark.parametrize("wide", [False, True])
def test_an_index_finds_what_the_table_finds(wide: bool) -> None:
    bits = 64 if wide else 32
    chance = random.Random(7)
    starts = sorted({0, *(chance.randrange(2**bits) for _ in range(3000)), 2 << (bits - 4)})
    values = [chance.randrange(99) for _ in starts]
    plain = Table(starts, values)
    indexed = IndexedTable(starts, values, index_of(starts, wide=wide), wide=wide)
    edges = [number + step for number in starts for step in (-1, 0, 1)]
    edges += [0, 2**bits - 1, *(chance.randrange(2**bits) for _ in range(3000))]
    for number in edges:
        if 0 <= number < 2**bits:
            assert indexed.find(number) == plain.find(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.1", (False, 1)),
        ("255.255.255.255", (False, 2**32 - 1)),
        ("::ffff:0.0.0.2", (False, 2)),
        ("2001:db8::1", (True, 0x20010DB800000000)),
        ("::1", (True, 0)),
        ("", None),
        ("1.2.3", None),
        ("1.2.3.4.5", None),
        ("256.1.1.1", None),
        ("1.2.3.4\0", None),
        ("fe80::1%eth0", None),
        ("\ud800", None),
        ("\u0661.2.3.4", None),
        ("localhost", None),
        (":" * 100_000, None),
    ],
)
def test_an_address_is_a_number_and_anything_else_is_none(
    text: str, expected: tuple[bool, int] | None
) -> None:
    assert number_of(text) == expected


def test_both_families_end_at_their_last_address() -> None:
    everything = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    layer = layer_of((network, Mark("vpn", "x")) for network in everything)
    for address in ("0.0.0.0", "255.255.255.255", "::", "ffff:" * 7 + "ffff"):
        parsed = number_of(address)
        assert parsed is not None
        found = layer.find(*parsed)
        assert found is not None
        assert found.kind == "vpn"


def test_tables_that_make_no_sense_are_refused() -> None:
    for starts, values in (([], []), ([1], [0]), ([0, 1], [0])):
        with pytest.raises(ValueError, match="fit together"):
            Table(starts, values)
    with pytest.raises(ValueError, match="index"):
        IndexedTable([0], [0], [0], wide=False)
