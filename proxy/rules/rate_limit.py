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

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from proxy.counters.protocol import Op, Reading, Take, Taken
from proxy.decision import Evidence, Family, Finding, Verb
from proxy.facts import PROFILES, Facts
from proxy.rules.base import RuleKind
from proxy.rules.fields import nearest, wrong
from proxy.rules.units import RATE_PATTERN, Rate, parse_rate

MAX_BURST = 1_000_000

_BY: Final[dict[str, Callable[[Facts], str | None]]] = {
    "tier": lambda facts: facts.client.tier,
    "account": lambda facts: facts.client.account,
    "profile": lambda facts: facts.client.profile,
    "model": lambda facts: facts.ask.model if facts.ask is not None else None,
}


_RATE_SCHEMA: Final = {"type": "string", "pattern": RATE_PATTERN}
_LIMIT_SCHEMA: Final = {
    "anyOf": [
        _RATE_SCHEMA,
        {
            "type": "object",
            "properties": {"by": {"enum": list(_BY)}},
            "required": ["by", "else"],
            "additionalProperties": _RATE_SCHEMA,
        },
    ]
}


class TieredRate:
    """One rate for all, or one for each value of a fact and `else` for the rest."""

    __slots__ = ("by", "otherwise", "rates")

    def __init__(self, by: str | None, rates: dict[str, Rate], otherwise: Rate) -> None:
        self.by = by
        self.rates = rates
        self.otherwise = otherwise


def _parse_limit(value: object) -> TieredRate:
    if not isinstance(value, dict):
        return TieredRate(None, {}, _rate(value, ()))
    by = value.get("by")
    if not isinstance(by, str) or by not in _BY:
        message = f"`by` must be one of {', '.join(_BY)}"
        place = ("by",) if "by" in value else ()
        raise wrong(message, place, nearest(str(by), _BY) if "by" in value else None)
    if "else" not in value:
        raise wrong("a limit by tiers needs `else`, for whoever has none of them")
    for tier in value.keys() - {"by", "else"} if by == "profile" else ():
        if tier not in PROFILES:
            message = f"`{tier}` is not one of {', '.join(PROFILES)}"
            raise wrong(message, (tier,), nearest(str(tier), PROFILES))
    rates = {
        tier: _rate(rate, (tier,)) for tier, rate in value.items() if tier not in {"by", "else"}
    }
    return TieredRate(by, rates, _rate(value["else"], ("else",)))


def _rate(value: object, path: tuple[str, ...]) -> Rate:
    try:
        return parse_rate(value)
    except ValueError as error:
        raise wrong(str(error), path) from None


class RateLimit(RuleKind):
    """So many requests in a time, for each subject."""

    kind: ClassVar[str] = "rate_limit"
    family: ClassVar[Family] = "volume"
    plain_limit: ClassVar[bool] = True

    limit: Annotated[TieredRate, PlainValidator(_parse_limit), WithJsonSchema(_LIMIT_SCHEMA)]
    """`60/minute`, or tiers: `{by: tier, free: 20/minute, else: 60/minute}`."""
    burst: int | None = Field(default=None, ge=1, le=MAX_BURST, strict=True)
    """Requests that may come at one instant; a tenth of the rate's amount where absent."""

    @cached_property
    def _tier_of(self) -> Callable[[Facts], str | None] | None:
        return _BY[self.limit.by] if self.limit.by is not None else None

    @cached_property
    def _max_wait(self) -> float:
        delays = self.action is not None and self.action.verb is Verb.DELAY
        return self.action.at_most if delays and self.action is not None else 0.0

    def looks_at_body(self) -> bool:
        """Only limits by model do."""
        return self.limit.by == "model"

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """One GCRA take; each tier has its own, for one arrival time cannot serve two rates."""
        tier, rate = self._rate_of(facts)
        key = self.key if tier is None else f"{self.key}:{tier}"
        burst = self.burst or max(1, rate.amount // 10)
        return (Take(subject, key, rate.amount, rate.period, burst, facts.answers, self._max_wait),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Nothing within the limit; how long to wait beyond it."""
        (taken,) = readings
        assert isinstance(taken, Taken)
        if taken.admitted and taken.wait_s <= 0:
            return None
        limit = self._rate_of(facts)[1].text
        if taken.admitted:
            held: Evidence = {"limit": limit, "wait_s": round(taken.wait_s, 3)}
            return Finding("rate_exceeded", held, wait_s=taken.wait_s)
        again = taken.retry_after_s
        refused: dict[str, str | float] = {"limit": limit}
        if again is None:
            # So many answers at once never fit in the burst: told is how long they would take.
            rate = self._rate_of(facts)[1]
            again = facts.answers * rate.period / rate.amount
            refused["burst"] = self.burst or max(1, rate.amount // 10)
        if facts.answers > 1:
            refused["answers"] = facts.answers
        refused["retry_after_s"] = round(again, 3)
        return Finding("rate_exceeded", refused, retry_after_s=again)

    def _rate_of(self, facts: Facts) -> tuple[str | None, Rate]:
        """(tier, its rate); None for `else` and for a limit without tiers."""
        limit = self.limit
        tier_of = self._tier_of
        tier = None if tier_of is None else tier_of(facts)
        rate = None if tier is None else limit.rates.get(tier)
        return (None, limit.otherwise) if rate is None else (tier, rate)
