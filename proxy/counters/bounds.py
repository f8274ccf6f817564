"""
How many subjects one network may bring into being. Pure.

Keys can be invented by the million, addresses cannot so easily: a subnet may show so many subjects of
one kind within `ttl`, the rest of that kind shares one subject, and with it one set of counters.
Subjects that are known stay themselves while they are seen at least every `ttl`; newcomers never
push them out.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

ELSEWHERE: Final = "elsewhere"
"""Stands for the subnet where more subnets came than can be told apart."""


class _Subnet:
    """Subjects of one network in two generations: this one's, and those of the last not seen since."""

    __slots__ = ("counts", "current", "previous", "turns_at")

    def __init__(self, turns_at: float) -> None:
        self.current: set[str] = set()
        self.previous: set[str] = set()
        self.counts: Counter[str] = Counter()
        """How many subjects of each kind both generations hold."""
        self.turns_at = turns_at


class SubjectBounds:
    """
    Decides which subjects are counted on their own.

    `per_subnet` bounds the subjects of one kind from one subnet, `max_subnets` the subnets told apart,
    `max_subjects` all subjects together; `ttl` is in seconds. A subnet is let go when it has
    been silent for one to two `ttl` and its place is needed.
    """

    def __init__(
        self,
        per_subnet: int = 1024,
        max_subnets: int = 65_536,
        ttl: float = 3600,
        max_subjects: int = 262_144,
    ) -> None:
        self._per_subnet = per_subnet
        self._max_subnets = max_subnets
        self._max_subjects = max_subjects
        self._ttl = ttl
        # In order of their last turn, the one silent longest first.
        self._subnets: dict[str, _Subnet] = {}
        self._subjects = 0

    def __len__(self) -> int:
        return self._subjects

    def admit(self, subject: str, subnet: str, now: float, most: int | None = None) -> str:
        """The subject to count under: itself, or `overflow:{kind}:{subnet}`.

        `subnet` may be any other source of subjects too, with a bound of its own, `most`.
        """
        known = self._subnets.get(subnet)
        if known is not None:
            if now >= known.turns_at:
                self._turn(subnet, known, now)
            if subject in known.current:
                return subject
            if subject in known.previous:
                known.previous.remove(subject)
                known.current.add(subject)
                return subject
        return self._admit_new(subject, subnet, known, now, most or self._per_subnet)

    def _admit_new(
        self, subject: str, subnet: str, known: _Subnet | None, now: float, most: int
    ) -> str:
        kind = _kind(subject)
        if known is None:
            if len(self._subnets) >= self._max_subnets and not self._let_go(now):
                return f"overflow:{kind}:{ELSEWHERE}"
            known = self._subnets[subnet] = _Subnet(now + self._ttl)
        full = self._subjects >= self._max_subjects and not self._let_go(now)
        if full or known.counts[kind] >= most:
            return f"overflow:{kind}:{subnet}"
        known.current.add(subject)
        known.counts[kind] += 1
        self._subjects += 1
        return subject

    def _turn(self, subnet: str, known: _Subnet, now: float) -> None:
        """Start a generation; what the last but one held and nobody has shown since is forgotten."""
        self._subjects -= len(known.previous)
        known.previous = known.current
        if now >= known.turns_at + self._ttl:
            self._subjects -= len(known.previous)
            known.previous = set()
        known.current = set()
        known.counts = Counter(map(_kind, known.previous))
        known.turns_at = now + self._ttl
        del self._subnets[subnet]
        self._subnets[subnet] = known

    def _let_go(self, now: float) -> bool:
        """Forget the subnet that has been silent longest, if it is due; whether there was one."""
        subnet, oldest = next(iter(self._subnets.items()), (None, None))
        if subnet is None or oldest is None or now < oldest.turns_at + self._ttl:
            return False
        self._subjects -= len(oldest.current) + len(oldest.previous)
        del self._subnets[subnet]
        return True


def _kind(subject: str) -> str:
    """What a subject is: `api_key` of `api_key:…`, `account|model` of a composite one."""
    return "|".join([part.partition(":")[0] for part in subject.split("|")])
