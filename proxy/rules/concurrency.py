"""
concurrency: so many requests under way at once, for each subject.

Each request holds a slot from when it is judged until its answer has ended, however that happens: in full,
refused by another rule, broken off by the upstream or left by its caller. While it lasts, also while
another rule holds it back, its slot is renewed every third of `lease`; the slots of a replica that was
killed are free again within one `lease`.

    - name: few-streams
      kind: concurrency
      per: account
      slots: {by: tier, free: 4, else: 32}
      action: throttle

When a slot will be free nobody knows: callers are told to come back after `retry_after`. With `delay` a
request beyond the slots is held back for `at_most`, takes no slot, and then passes: that slows a crowd
down, and bounds nothing.

A request is one, however many answers or prompts stand in its body; an upload is one while it lasts. A rule
that looks at no body counts a request from its head on, so a slow upload holds a slot too. While the store
does not answer, `on_store_failure: local` counts in each replica by itself with the slots divided among
them; a slot that could not be given back ends by its lease.

Blind spot: short requests one after the other never meet it, so set a `rate_limit` beside it. Who spreads
over many accounts has as many times the slots.

False positives: everybody behind one address shares its slots, if they are counted `per: address`; an agent
that fans out, an evaluation harness and a batch worker need many. Give them a tier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

from pydantic import PlainValidator, WithJsonSchema, field_validator, model_validator

from proxy.counters.protocol import Held, Lease, Op, Reading, Release
from proxy.decision import Evidence, Family, Finding, Verb
from proxy.facts import Facts, Outcome
from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration, wrong
from proxy.rules.tiers import Tiered, parse_tiered, tiered_schema

MAX_SLOTS: Final = 10_000
MIN_LEASE, MAX_LEASE = 5.0, 600.0
"""Seconds: slots are renewed once a second at most, and are not to outlive a killed replica for long."""


def _slots(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SLOTS:
        raise ValueError(f"must be a whole number from 1 to {MAX_SLOTS}")
    return value


def _parse_slots(value: object) -> Tiered[int]:
    return parse_tiered(value, _slots)


_SLOTS_SCHEMA: Final = tiered_schema({"type": "integer", "minimum": 1, "maximum": MAX_SLOTS})


class Concurrency(RuleKind):
    """So many requests under way at once, for each subject."""

    kind: ClassVar[str] = "concurrency"
    family: ClassVar[Family] = "volume"
    plain_limit: ClassVar[bool] = True
    schema_also: ClassVar[Mapping[str, Any]] = {"properties": {"counts": {"const": "admitted"}}}
    settles: ClassVar[bool] = True
    leases: ClassVar[bool] = True

    slots: Annotated[Tiered[int], PlainValidator(_parse_slots), WithJsonSchema(_SLOTS_SCHEMA)]
    """How many may be under way, `8`, or tiers: `{by: tier, free: 4, else: 32}`."""
    lease: Duration = 30.0
    """How long a slot stays taken whose replica was killed, from `5s` to `10m`."""
    retry_after: Duration = 1.0
    """When callers are told to come back."""

    @field_validator("lease")
    @classmethod
    def _check_lease(cls, value: float) -> float:
        if not MIN_LEASE <= value <= MAX_LEASE:
            raise wrong("must be from 5s to 10m")
        return value

    @model_validator(mode="after")
    def _check_counts(self) -> Concurrency:
        if self.counts == "attempts":
            raise wrong(
                "what was refused holds no slot, so `attempts` means nothing here", ("counts",)
            )
        return self

    def looks_at_body(self) -> bool:
        """Only slots by model do."""
        return self.slots.by == "model"

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """One slot a request; tiers share no slots, as they share no limit."""
        if facts.part:
            return ()
        tier, slots = self.slots.of(facts)
        key = self.key if tier is None else f"{self.key}:{tier}"
        return (Lease(subject, key, slots, facts.id, self.lease),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Nothing where there was a slot."""
        if not readings:
            return None
        (held,) = readings
        assert isinstance(held, Held)
        if held.granted:
            return None
        slots = self.slots.of(facts)[1]
        if self.does.verb is Verb.DELAY:
            waits: Evidence = {"slots": slots, "held": held.held, "wait_s": self.does.at_most}
            return Finding("too_many_at_once", waits, wait_s=self.does.at_most)
        again = self.retry_after
        evidence: Evidence = {"slots": slots, "held": held.held, "retry_after_s": again}
        return Finding("too_many_at_once", evidence, retry_after_s=again)

    def settle(
        self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading], outcome: Outcome
    ) -> tuple[Op, ...]:
        """The slot back, unless it was given back as a refused request's."""
        if outcome.refused:
            return ()
        return tuple(
            Release(op.subject, op.key, op.id)
            for op, held in zip(ops, readings, strict=True)
            if isinstance(op, Lease) and isinstance(held, Held) and held.granted
        )
