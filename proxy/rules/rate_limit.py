"""
rate_limit: so many requests in a time, for each subject.

A leaky bucket (GCRA): requests conform when they come no faster than the rate, up to `burst` at one
instant. With `action: delay` requests that come too early are held back until they conform, at most
`at_most`; beyond that, and with `throttle`, they are refused with the exact time to come back, and
spend nothing.

    - name: shape-requests
      kind: rate_limit
      per: api_key
      limit: {by: tier, free: 20/minute, pro: 600/minute, else: 60/minute}
      burst: 20
      action: {delay: {at_most: 2s, then: throttle}}

Blind spot: it counts requests, not what they cost; ten short questions weigh as much as ten long ones.
A campaign that spreads over thousands of keys stays below any limit per key.

False positives: everybody behind one address (an office, a cloud's NAT) shares a limit per address; a
customer's first load test meets a limit that daily traffic never does. Run a new limit in shadow first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from proxy.counters.protocol import Op, Reading, Take, Taken
from proxy.decision import Evidence, Family, Finding, Verb
from proxy.facts import Facts
from proxy.rules.base import RuleKind
from proxy.rules.tiers import Tiered, parse_tiered, tiered_schema
from proxy.rules.units import RATE_PATTERN, Rate, parse_rate

MAX_BURST = 1_000_000

_LIMIT_SCHEMA: Final = tiered_schema({"type": "string", "pattern": RATE_PATTERN})


def _parse_limit(value: object) -> Tiered[Rate]:
    return parse_tiered(value, parse_rate)


class RateLimit(RuleKind):
    """So many requests in a time, for each subject."""

    kind: ClassVar[str] = "rate_limit"
    family: ClassVar[Family] = "volume"
    plain_limit: ClassVar[bool] = True

    limit: Annotated[Tiered[Rate], PlainValidator(_parse_limit), WithJsonSchema(_LIMIT_SCHEMA)]
    """`60/minute`, or tiers: `{by: tier, free: 20/minute, else: 60/minute}`."""
    burst: int | None = Field(default=None, ge=1, le=MAX_BURST, strict=True)
    """Requests that may come at one instant; a tenth of the rate's amount where absent."""

    @cached_property
    def _max_wait(self) -> float:
        delays = self.action is not None and self.action.verb is Verb.DELAY
        return self.action.at_most if delays and self.action is not None else 0.0

    def looks_at_body(self) -> bool:
        """Only limits by model do."""
        return self.limit.by == "model"

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """One GCRA take; each tier has its own, for one arrival time cannot serve two rates."""
        tier, rate = self.limit.of(facts)
        key = self.key if tier is None else f"{self.key}:{tier}"
        burst = self.burst or max(1, rate.amount // 10)
        return (Take(subject, key, rate.amount, rate.period, burst, facts.answers, self._max_wait),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Nothing within the limit; how long to wait beyond it."""
        (taken,) = readings
        assert isinstance(taken, Taken)
        if taken.admitted and taken.wait_s <= 0:
            return None
        limit = self.limit.of(facts)[1].text
        if taken.admitted:
            held: Evidence = {"limit": limit, "wait_s": round(taken.wait_s, 3)}
            return Finding("rate_exceeded", held, wait_s=taken.wait_s)
        again = taken.retry_after_s
        refused: dict[str, str | float] = {"limit": limit}
        if again is None:
            # So many answers at once never fit in the burst: told is how long they would take.
            rate = self.limit.of(facts)[1]
            again = facts.answers * rate.period / rate.amount
            refused["burst"] = self.burst or max(1, rate.amount // 10)
        if facts.answers > 1:
            refused["answers"] = facts.answers
        refused["retry_after_s"] = round(again, 3)
        return Finding("rate_exceeded", refused, retry_after_s=again)
