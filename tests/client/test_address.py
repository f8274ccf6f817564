"""The client's address is configured, not guessed."""

from __future__ import annotations

import ipaddress

import pytest

from proxy.client.address import FORWARDED_MALFORMED, AddressResolver, Source, canonical, subnet
from proxy.head import Head

TRUSTED = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


def resolve(source: Source, peer: str, *values: tuple[bytes, bytes]) -> tuple[str, str | None]:
    return AddressResolver(source, TRUSTED).resolve(Head("GET", "/", "", values, peer))


def forwarded_for(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"X-Forwarded-For", value.encode()) for value in values]


def test_by_default_nobody_is_believed_loopback_included() -> None:
    forged = Head("GET", "/", "", tuple(forwarded_for("203.0.113.7")), "127.0.0.1")
    assert AddressResolver().resolve(forged) == ("127.0.0.1", None)


@pytest.mark.parametrize(
    ("peer", "values", "address", "note"),
    [
        ("198.51.100.1", ["203.0.113.7"], "198.51.100.1", None),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7", None),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.7, 10.0.0.2"], "203.0.113.7", None),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.7"], "203.0.113.7", None),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", None),
        ("10.0.0.1", [], "10.0.0.1", None),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7", None),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1", None),
        ("10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7", None),
        ("10.0.0.1", ["203.0.113.7, unknown"], "10.0.0.1", FORWARDED_MALFORMED),
        ("10.0.0.1", ["203.0.113.7, fe80::1%eth0"], "10.0.0.1", FORWARDED_MALFORMED),
        ("10.0.0.1", [""], "10.0.0.1", FORWARDED_MALFORMED),
        ("10.0.0.1", ["bogus, 203.0.113.7"], "203.0.113.7", None),
        ("fd00::1", ["2001:DB8::2"], "2001:db8::2", None),
        ("::ffff:10.0.0.1", ["203.0.113.7"], "203.0.113.7", None),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(
    peer: str, values: list[str], address: str, note: str | None
) -> None:
    assert resolve("x-forwarded-for", peer, *forwarded_for(*values)) == (address, note)


@pytest.mark.parametrize(
    ("value", "address", "note"),
    [
        (b"for=203.0.113.7", "203.0.113.7", None),
        (b'proto=https; For="[2001:db8::1]:443";by=x', "2001:db8::1", None),
        (b"for=1.1.1.1, for=203.0.113.7", "203.0.113.7", None),
        (b"for=_hidden", "10.0.0.1", FORWARDED_MALFORMED),
        (b"proto=https", "10.0.0.1", FORWARDED_MALFORMED),
    ],
)
def test_forwarded_is_read_likewise(value: bytes, address: str, note: str | None) -> None:
    assert resolve("forwarded", "10.0.0.1", (b"Forwarded", value)) == (address, note)


def test_headers_that_are_not_configured_are_ignored() -> None:
    others = ((b"X-Real-IP", b"1.1.1.1"), (b"Forwarded", b"for=1.1.1.1"))
    assert resolve("x-forwarded-for", "10.0.0.1", *others) == ("10.0.0.1", None)


def test_canonical_and_subnet() -> None:
    assert canonical("2001:0DB8::0:1") == "2001:db8::1"
    assert canonical("1.2.3") is None
    assert subnet("203.0.113.7") == "203.0.113.0/24"
    assert subnet("2001:db8:1:2::3") == "2001:db8:1::/56"
    assert subnet("203.0.113.7", 32) == "203.0.113.7/32"
