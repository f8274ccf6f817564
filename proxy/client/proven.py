"""Which keys the upstream has accepted once: bounded, with an end. Pure."""

from __future__ import annotations

from collections import OrderedDict


class ProvenKeys:
    """The most recently used of the keys that were answered 2xx within `ttl` seconds."""

    def __init__(self, *, capacity: int = 100_000, ttl: float = 86_400.0) -> None:
        self._capacity = capacity
        self.ttl = ttl
        self._since: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._since)

    def is_proven(self, key_id: str, now: float) -> bool:
        """Whether the upstream accepted the key not too long ago."""
        since = self._since.get(key_id)
        if since is None:
            return False
        if now - since > self.ttl:
            del self._since[key_id]
            return False
        self._since.move_to_end(key_id)
        return True

    def prove(self, key_id: str, now: float) -> None:
        """The upstream has accepted the key."""
        self._since[key_id] = now
        self._since.move_to_end(key_id)
        if len(self._since) > self._capacity:
            self._since.popitem(last=False)
