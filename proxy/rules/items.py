"""Items that counters tell apart: 64-bit hashes of what a request shows."""

from __future__ import annotations

import hashlib
from functools import lru_cache


@lru_cache(maxsize=16_384)
def item(text: str) -> int:
    """64 bits; what is private among these has been keyed before."""
    raw = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big")
