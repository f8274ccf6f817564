"""
Bounds on invented subjects: addresses, keys and end users that nobody has vouched for cost memory each.

First-seen subjects are bounded per subnet; the overflow shares one subject, and so one counter. Pure.
"""

from __future__ import annotations

from collections import OrderedDict


class SubjectBounds:
    """At most `per_subnet` subjects of one subnet in `ttl` seconds, of at most `max_subnets`."""

    def __init__(
        self, *, per_subnet: int = 1024, max_subnets: int = 16_384, ttl: float = 3600.0
    ) -> None:
        self._per_subnet = per_subnet
        self._max_subnets = max_subnets
        self._ttl = ttl
        self._subnets: OrderedDict[str, _Subnet] = OrderedDict()

    def admit(self, subject: str, subnet: str, now: float) -> str:
        """The subject itself, or `overflow:{kind}:{subnet}` once its subnet has too many."""
        seen = self._subnets.get(subnet)
        if seen is None or now - seen.since > self._ttl:
            seen = self._subnets[subnet] = _Subnet(now)
            self._subnets.move_to_end(subnet)
            if len(self._subnets) > self._max_subnets:
                self._subnets.popitem(last=False)
        if subject in seen.subjects:
            return subject
        if len(seen.subjects) >= self._per_subnet:
            return f"overflow:{subject.partition(':')[0]}:{subnet}"
        seen.subjects.add(subject)
        return subject


class _Subnet:
    __slots__ = ("since", "subjects")

    def __init__(self, since: float) -> None:
        self.since = since
        self.subjects: set[str] = set()
