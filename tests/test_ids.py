"""Request ids are ULIDs: the specification's alphabet, length, time and order."""

from __future__ import annotations

import pytest

from proxy.ids import request_id

# https://github.com/ulid/spec: Crockford's base32, without I, L, O and U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NOW = 1_700_000_000.0


def number(identifier: str) -> int:
    """The 130 bits that 26 characters stand for."""
    value = 0
    for letter in identifier:
        value = value * 32 + ALPHABET.index(letter)
    return value


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        (0.0, "0000000000"),
        (1469918176.385, "01ARYZ6S41"),  # the specification's own example
        (281474976710.655, "7ZZZZZZZZZ"),  # and its last moment
    ],
)
def test_it_begins_with_the_milliseconds(now: float, begins: str) -> None:
    assert request_id(now)[:10] == begins


def test_it_has_26_characters_and_128_bits() -> None:
    for _ in range(200):
        identifier = request_id(NOW)
        assert len(identifier) == 26
        assert number(identifier) < 1 << 128
        assert number(identifier) >> 80 == 1_700_000_000_000


def test_a_later_one_sorts_later() -> None:
    ids = [request_id(NOW + at / 1000) for at in range(500)]
    assert ids == sorted(ids)


def test_all_eighty_bits_are_drawn() -> None:
    tails = [number(request_id(NOW)) & (1 << 80) - 1 for _ in range(400)]
    assert len(set(tails)) == len(tails)
    set_somewhere, set_everywhere = 0, ~0
    for tail in tails:
        set_somewhere |= tail
        set_everywhere &= tail
    assert set_somewhere == (1 << 80) - 1
    assert set_everywhere == 0
