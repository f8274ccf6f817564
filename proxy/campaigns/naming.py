"""
Names of campaigns that last: a group keeps its name while most of it stays together. Pure.

Where two groups become one, the name of the larger part stays; where one falls apart, its largest part
keeps the name and the rest is named anew.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from proxy.campaigns.joining import Group
from proxy.value import value


@value
class Named:
    """A group and its name."""

    name: str
    """`cmp_…`."""
    group: Group
    merged: tuple[str, ...] = ()
    """Names of before whose largest part is in here now."""


def name_all(groups: Sequence[Group], before: Mapping[str, str]) -> list[Named]:
    """Each group with its name. `before` is what each account's campaign was."""
    votes = [
        Counter(before[member.who] for member in group.members if member.who in before)
        for group in groups
    ]
    claims = sorted(
        ((count, name, at) for at, counted in enumerate(votes) for name, count in counted.items()),
        key=lambda claim: (-claim[0], claim[1], claim[2]),
    )
    names: dict[int, str] = {}
    merged: dict[int, tuple[str, ...]] = {}
    taken: set[str] = set()
    for _, name, at in claims:
        if name in taken:
            continue
        taken.add(name)
        if at in names:
            merged[at] = (*merged.get(at, ()), name)
        else:
            names[at] = name
    taken |= set(before.values())
    named: list[Named] = []
    for at, group in enumerate(groups):
        name = names.get(at) or _new(group, taken)
        taken.add(name)
        named.append(Named(name, group, merged.get(at, ())))
    return named


def _new(group: Group, taken: set[str]) -> str:
    """A name out of who was seen first: two replicas that join the same ties say the same."""
    first = min(group.members, key=lambda member: (member.since, member.who))
    salt = 0
    while True:
        drawn = hashlib.blake2b(f"{first.who}\n{first.since}\n{salt}".encode(), digest_size=10)
        name = "cmp_" + base64.b32encode(drawn.digest()).decode().lower()
        if name not in taken:
            return name
        salt += 1
