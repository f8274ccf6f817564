"""
From ties to groups. Pure.

Two accounts belong together where they share two things of different families of evidence, of which an
account's end users can forge at most one; and so does whoever belongs together with one of them. What one
family tells alone joins nobody: thousands of honest keys run the same app (content), or stand behind one
address (network). Accounts that are declared or of long standing link nobody: they join what others have
made, as suspected.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

from proxy.campaigns.ties import Tie, TieBook
from proxy.decision import Family
from proxy.value import value

Pair = tuple[str, str]

LEAST_MEMBERS: Final = 5
"""Accounts that make a group; a few keys of one customer are none."""
MOST_PAIRS: Final = 24
"""Pairs of things by which one account is joined, those of the rarest things first."""
SUPPORTING: Final = "pivot:"
"""Things that so begin join nobody, for at a release all keen users share them: one more reason."""


@value
class Reason:
    """Why an account is a member: one thing that it shares with others of the group."""

    signal: str
    family: Family
    thing: str
    others: int
    """Members who share it, besides the account itself."""
    since: float
    seen: float
    by_end_users: bool = False
    """Whether the account's own end users could bring it about."""


@value
class Member:
    """One account of a group."""

    who: str
    suspected: bool
    """True for a declared or long-standing account: it is told, and nothing is done about it."""
    reasons: tuple[Reason, ...]

    @property
    def since(self) -> float:
        """Unix time of the first sighting of what it shares."""
        return min(reason.since for reason in self.reasons)

    @property
    def seen(self) -> float:
        """Unix time of the last."""
        return max(reason.seen for reason in self.reasons)


@value
class Group:
    """Accounts that belong together, by name."""

    members: tuple[Member, ...]

    @property
    def since(self) -> float:
        """Unix time of the first sighting."""
        return min(member.since for member in self.members)


class _Sets:
    """Disjoint sets of accounts: who is joined to whom, however many steps away."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, who: str) -> str:
        parents = self._parents
        root = parents.setdefault(who, who)
        while parents[root] != root:
            root = parents[root]
        while parents[who] != root:
            parents[who], who = root, parents[who]
        return root

    def join(self, one: str, other: str) -> None:
        one, other = self.find(one), self.find(other)
        if one != other:
            # The smaller name stands for the set, whatever the order in which it was joined.
            self._parents[max(one, other)] = min(one, other)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parents)


def join(
    book: TieBook,
    common: Callable[[str], bool] = lambda _thing: False,
    *,
    least_members: int = LEAST_MEMBERS,
    apart: Callable[[str], bool] = lambda _who: False,
    side: Callable[[str], str] = lambda _who: "",
) -> list[Group]:
    """The groups, the largest first. `common` says which things are background and link nobody, `apart`
    which accounts belong to nobody; accounts of two sides are never joined."""
    ranked = {who: _ranked(book, ties, common) for who, ties in book.each() if not apart(who)}
    sets, of_pair = _Sets(), dict[tuple[str, Pair], str]()
    suspects: list[str] = []
    for who, ties in ranked.items():
        if any(tie.trusted for tie in ties):
            suspects.append(who)
            continue
        own = side(who)
        for pair in _pairs(who, ties):
            first = of_pair.setdefault((own, pair), who)
            if first != who:
                sets.join(first, who)
    joined: dict[str, list[str]] = defaultdict(list)
    for who in sets:
        joined[sets.find(who)].append(who)
    suspected = _suspected(suspects, ranked, of_pair, sets, side)
    groups = [
        _group(sorted(members), suspected.get(root, ()), ranked)
        for root, members in joined.items()
        if len(members) >= least_members
    ]
    return sorted(groups, key=lambda group: (-len(group.members), group.members[0].who))


def _ranked(book: TieBook, ties: tuple[Tie, ...], common: Callable[[str], bool]) -> tuple[Tie, ...]:
    """The ties that may link, those to the rarest things first: one order for all accounts."""
    shared = [tie for tie in ties if book.degree(tie.thing) > 1 and not common(tie.thing)]
    shared.sort(key=lambda tie: (book.degree(tie.thing), tie.thing))
    return tuple(shared)


def _pairs(who: str, ties: tuple[Tie, ...]) -> Iterator[Pair]:
    """The pairs of things by which an account is joined to whoever has the same."""
    told = 0
    ties = tuple(tie for tie in ties if not tie.thing.startswith(SUPPORTING))
    for one, other in combinations((*ties, *_itself(who, ties)), 2):
        if one.family == other.family or (one.by_end_users and other.by_end_users):
            continue
        yield (one.thing, other.thing) if one.thing < other.thing else (other.thing, one.thing)
        told += 1
        if told == MOST_PAIRS:
            return


def _itself(who: str, ties: tuple[Tie, ...]) -> tuple[Tie, ...]:
    """What ties an account to itself, as others may be tied to it: by what they are seen to echo."""
    if not ties:
        return ()
    since, seen, ends = ties[0].since, ties[0].seen, ties[0].ends
    return (Tie(who, who, "", "linkage", False, since, seen, ends),)


def _suspected(
    suspects: list[str],
    ranked: dict[str, tuple[Tie, ...]],
    of_pair: dict[tuple[str, Pair], str],
    sets: _Sets,
    side: Callable[[str], str],
) -> dict[str, tuple[str, ...]]:
    """Root of a group → the trusted accounts that share its things."""
    found: dict[str, tuple[str, ...]] = {}
    for who in suspects:
        own = side(who)
        pairs = ((own, pair) for pair in _pairs(who, ranked[who]))
        shared = (of_pair[pair] for pair in pairs if pair in of_pair)
        root = next((sets.find(one) for one in shared), None)
        if root is not None:
            found[root] = (*found.get(root, ()), who)
    return found


def _group(
    members: list[str], suspected: tuple[str, ...], ranked: dict[str, tuple[Tie, ...]]
) -> Group:
    shared = Counter(tie.thing for who in (*members, *suspected) for tie in ranked[who])
    shared.update(who for who in members if who in shared)
    return Group(
        tuple(
            Member(
                who,
                who in suspected,
                tuple(
                    Reason(
                        tie.signal,
                        tie.family,
                        tie.thing,
                        shared[tie.thing] - 1,
                        tie.since,
                        tie.seen,
                        tie.by_end_users,
                    )
                    for tie in ranked[who]
                    if shared[tie.thing] > 1
                ),
            )
            for who in (*members, *sorted(suspected))
        )
    )
