"""
What has come before, as far as this replica can tell in a little memory. Pure.

Most of what requests show comes once: a question, its beginning. An entry in the store for each would
cost an account more than all that is counted of it. So a thing gets one when it comes the second time.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

BITS: Final = 1 << 23
"""Of each of the two filters: a mebibyte."""
MOST: Final = 500_000
"""Things that one filter holds before the other begins anew: by then one new one in eighty looks known."""


class Repeats:
    """Two Bloom filters, the older of which is emptied when the newer is full."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._newer, self._older = bytearray(BITS >> 3), bytearray(BITS >> 3)
        self._held = 0

    def again(self, thing: str) -> bool:
        """Whether a thing has come before; from now on it has."""
        drawn = int.from_bytes(blake2b(thing.encode(), digest_size=8).digest(), "big")
        one, other = drawn % BITS, (drawn >> 32) % BITS
        newer = self._newer
        if newer[one >> 3] >> (one & 7) & newer[other >> 3] >> (other & 7) & 1:
            return True
        older = self._older
        known = bool(older[one >> 3] >> (one & 7) & older[other >> 3] >> (other & 7) & 1)
        if self._held >= self._most:
            self._older, self._newer, self._held = newer, bytearray(BITS >> 3), 0
            newer = self._newer
        newer[one >> 3] |= 1 << (one & 7)
        newer[other >> 3] |= 1 << (other & 7)
        self._held += 1
        return known
