"""Request ids: ULIDs (github.com/ulid/spec), sortable by time and unique without coordination."""

from __future__ import annotations

import random

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


def request_id(now: float) -> str:
    """26 characters of Crockford base32: 48 bits of Unix milliseconds, 80 random bits.

    Ids are names, not secrets, so a fast generator serves.
    """
    value = int(now * 1000) << 80 | random.getrandbits(80)
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def known_id(text: str) -> bool:
    """Whether a text has the form of a request's id."""
    return len(text) == 26 and set(text) <= set(_ALPHABET)
