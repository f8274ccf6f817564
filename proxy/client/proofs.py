"""
Which keys the upstream has accepted, known to all replicas and across restarts.

Each replica remembers on its own; a key that it does not know is looked up in the store once a request
until it is proven, so that only newcomers and inventors of keys pay the extra trip.

An upstream may accept whatever key it is sent. So that inventing keys does not make accounts without end,
a network proves only so many keys while a proof stands, and all networks together so many; the keys beyond
stay unproven, and are counted as such.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from proxy.client.proven import ProvenKeys
from proxy.clock import Clock
from proxy.counters.bounds import SubjectBounds
from proxy.counters.protocol import Op, Raise, ReadScore, Scores, Store
from proxy.errors import StoreError
from proxy.facts import Client

PER_SUBNET = 16_384
"""Keys of one network that are proven within the life of a proof: a large company's behind its one exit."""

IN_ALL = 262_144
"""Keys of all networks: what they may leave in the store is this times an account's state."""

_KEY = "accepted"
_FORGOTTEN = 0.01
"""A level that has decayed below this is not told any more, see `counters.protocol.Raise`."""


class Proofs:
    """
    Proven keys, local first, then the store. `shared` is None where no store outlives the process.

    `per_subnet` and `in_all` bound the keys that this replica takes for proven by what it saw itself;
    `on_full` is called for every key beyond.
    """

    def __init__(
        self,
        proven: ProvenKeys,
        clock: Clock,
        shared: Store | None,
        settle: Callable[[Sequence[Op]], None],
        *,
        per_subnet: int = PER_SUBNET,
        in_all: int = IN_ALL,
        on_full: Callable[[], None] = lambda: None,
    ) -> None:
        self._proven = proven
        self._clock = clock
        self._shared = shared
        self._settle = settle
        self._bounds = SubjectBounds(
            per_subnet, max_subnets=in_all, ttl=proven.ttl, max_subjects=in_all
        )
        self._on_full = on_full
        # The level is 1 when set, and no longer told after `ttl`.
        self._half_life = proven.ttl / math.log2(1 / _FORGOTTEN)

    async def recall(self, client: Client) -> bool:
        """Whether another replica, or this one before its restart, saw the key accepted."""
        if self._shared is None or client.key_id is None:
            return False
        op = ReadScore(f"api_key:{client.key_id}", _KEY, self._half_life)
        try:
            (reading,) = await self._shared.apply([op])
        except StoreError:
            return False  # then it is counted by its address: the stricter of both errors
        known = isinstance(reading, Scores) and bool(reading.levels)
        if known:
            self._proven.prove(client.key_id, self._clock.now())
        return known

    def record(self, client: Client) -> None:
        """The upstream has accepted this client's key."""
        if client.key_id is None:
            return
        subject, now = f"api_key:{client.key_id}", self._clock.now()
        if self._bounds.admit(subject, client.subnet, now) != subject:
            self._on_full()
            return
        self._proven.prove(client.key_id, now)
        if self._shared is not None:
            self._settle([Raise(subject, _KEY, "upstream", 1.0, self._half_life)])
