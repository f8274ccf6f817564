"""
Ties: what an account was seen to share with others, while that is fresh. Pure.

A tie leads from an account to a *thing*: a rare template, a way of writing requests, an address, or another
account. Two accounts are linked where both are tied to the same thing. Kept so, links cost as much as there
are accounts, and not as their square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from proxy.decision import Family
from proxy.value import value

PER_ACCOUNT: Final = 24
"""Ties of one account that are kept; those to what most accounts share go first."""
MOST_TIES: Final = 2_000_000


@value
class Tie:
    """One account, one thing that it shares, and what that is worth."""

    who: str
    """`account:acme`."""
    thing: str
    """`template:tpl_…`, `subnet:192.0.2.0/24`, `account:other`; never anything that can be read back."""
    signal: str
    """The rule that has seen it."""
    family: Family
    by_end_users: bool
    """Whether an account's own end users could bring it about, by what they write."""
    since: float
    """Unix time of the first sighting."""
    seen: float
    """Unix time of the last."""
    ends: float
    trusted: bool = False
    """Whether the account is declared or of long standing."""


class TieBook:
    """The ties that are alive, bounded by account and in all."""

    def __init__(self, per_account: int = PER_ACCOUNT, most: int = MOST_TIES) -> None:
        self._per_account = per_account
        self._most = most
        self._ties: dict[str, dict[str, Tie]] = {}
        self._degrees: Counter[str] = Counter()
        self._size = 0
        self.refused = 0
        """Ties that were not taken in for want of room."""

    def __len__(self) -> int:
        return self._size

    @property
    def accounts(self) -> int:
        """How many accounts have ties."""
        return len(self._ties)

    def degree(self, thing: str) -> int:
        """How many accounts are tied to a thing; an account is tied to itself."""
        return self._degrees[thing] + (thing in self._ties)

    def ties_of(self, who: str) -> tuple[Tie, ...]:
        """The ties of one account."""
        return tuple(self._ties.get(who, {}).values())

    def each(self) -> Iterator[tuple[str, tuple[Tie, ...]]]:
        """All accounts with their ties."""
        for who, ties in self._ties.items():
            yield who, tuple(ties.values())

    def add(self, tie: Tie) -> None:
        """Take in a tie, or see one again: it lasts as long as its last sighting says."""
        own = self._ties.get(tie.who)
        if own is None:
            if self._size >= self._most:
                self.refused += 1
                return
            own = self._ties[tie.who] = {}
        before = own.get(tie.thing)
        if before is not None:
            tie = _again(before, tie)
        elif self._size >= self._most or not self._room_in(own, tie):
            self.refused += 1
            return
        else:
            self._size += 1
            self._degrees[tie.thing] += 1
        own[tie.thing] = tie

    def remove(self, who: str, thing: str) -> None:
        """Forget one tie, if it is known."""
        own = self._ties.get(who, {})
        if thing in own:
            self._remove(own, thing)
            if not own:
                del self._ties[who]

    def drop(self, who: str) -> None:
        """Forget an account."""
        for thing in tuple(self._ties.get(who, ())):
            self._remove(self._ties[who], thing)
        self._ties.pop(who, None)

    def fade(self, now: float) -> None:
        """Forget what has ended."""
        for who in [who for who, own in self._ties.items() if _ended(own, now)]:
            own = self._ties[who]
            for thing in [thing for thing, tie in own.items() if tie.ends <= now]:
                self._remove(own, thing)
            if not own:
                del self._ties[who]

    def _room_in(self, own: dict[str, Tie], tie: Tie) -> bool:
        """Make room for one more: of an account's ties, the one to the commonest thing goes."""
        if len(own) < self._per_account:
            return True
        commonest = max(own, key=lambda thing: (self._degrees[thing], thing))
        if self._degrees[commonest] <= self._degrees[tie.thing]:
            return False
        self._remove(own, commonest)
        return True

    def _remove(self, own: dict[str, Tie], thing: str) -> None:
        del own[thing]
        self._size -= 1
        self._degrees[thing] -= 1
        if self._degrees[thing] <= 0:
            del self._degrees[thing]


def _again(before: Tie, tie: Tie) -> Tie:
    return Tie(
        tie.who,
        before.thing,
        tie.signal,
        tie.family,
        tie.by_end_users,
        min(before.since, tie.since),
        max(before.seen, tie.seen),
        max(before.ends, tie.ends),
        before.trusted or tie.trusted,
    )


def _ended(own: dict[str, Tie], now: float) -> bool:
    return any(tie.ends <= now for tie in own.values())
