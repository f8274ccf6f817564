"""
machine_pace: requests that come like a clock, around the clock, at the very limit, or before they may.

People pause and sleep. A harvest runs at an even pace, day and night, as fast as it is let: it probes
the advertised limit and then rides it. Four signs are read, each with a bound of its own, and
`min_signs` says how many must show at once:

- how regular arrivals are: the variation of their gaps, 0 of a clock, 1 of chance, more of people
  (`min_variation`);
- how many of the last 24 hours were busy, each with at least half of an hour's mean (`max_busy_hours`);
- how many of them came to nine tenths of a limit (`riding` and `max_riding_hours`);
- how often the same prompt came again before the time that a refusal had told (`max_early`).

    - name: around-the-clock
      kind: machine_pace
      per: account
      min_requests: 500
      max_busy_hours: 20
      riding: 60/minute
      max_riding_hours: 4
      min_signs: 2
      excuse: [batch, eval, gateway, multi_tenant]
      score: 15

Arrivals count, admitted or not. A pause of ten minutes is no gap.

Blind spot: who adds chance to the gaps and stops at night pays with time. Many accounts at an even pace
together look busy as one network, not each.

False positives: batch jobs, cron jobs and products with users in every time zone are just so. Score it
low, and let another sign or another family of evidence decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from proxy.counters.protocol import HOURS, Held, Lease, Op, Pace, Paced, Reading, Tallied, Tally
from proxy.decision import Family, Finding, Scalar
from proxy.facts import Facts, Outcome, Signal
from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration, RateField, wrong

EARLY: Final = (1,)
RIDING_SHARE: Final = 0.9
BUSY_SHARE: Final = 0.5
"""An hour is busy that has at least so much of an hour's mean."""
_SIGNS: Final = ("min_variation", "max_busy_hours", "riding", "max_early")
LONGEST_WAIT: Final = 3600.0


class MachinePace(RuleKind):
    """How regular, how constant, how close to the limit, and how patient."""

    kind: ClassVar[str] = "machine_pace"
    family: ClassVar[Family] = "volume"
    settles: ClassVar[bool] = True
    schema_also: ClassVar[Mapping[str, Any]] = {
        "anyOf": [{"required": [name]} for name in _SIGNS],
        "dependentRequired": {"riding": ["max_riding_hours"], "max_riding_hours": ["riding"]},
    }

    window: Duration = 86_400.0
    """The time over which early retries are counted, `1d`."""
    min_requests: int = Field(default=200, ge=20, le=1_000_000, strict=True)
    """Requests of the last 24 hours before anything is judged."""
    min_variation: float | None = Field(default=None, gt=0, lt=1, strict=True)
    """The coefficient of variation of the gaps between requests below which they come like a clock."""
    max_busy_hours: int | None = Field(default=None, ge=1, lt=HOURS, strict=True)
    """Hours of the last 24 that may be busy."""
    riding: RateField | None = None
    """The limit that is ridden: as a rule what the policy allows, `60/minute`."""
    max_riding_hours: int | None = Field(default=None, ge=1, lt=HOURS, strict=True)
    """Hours of the last 24 that may come to nine tenths of it."""
    max_early: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    """Prompts in the window that may come again before the time told."""
    min_signs: int = Field(default=1, ge=1, le=4, strict=True)
    """How many of these signs must show at once."""
    counts: Literal["admitted", "attempts"] = "attempts"
    """Whether refused requests count too: arrivals always do."""

    @model_validator(mode="after")
    def _check_signs(self) -> MachinePace:
        if (self.riding is None) != (self.max_riding_hours is None):
            raise wrong("`riding` and `max_riding_hours` go together")
        given = sum(getattr(self, name) is not None for name in _SIGNS)
        if not given:
            raise wrong("needs at least one sign, such as `max_busy_hours`")
        if self.min_signs > given:
            raise wrong(f"is more than the {given} signs given", ("min_signs",))
        return self

    @cached_property
    def wants(self) -> frozenset[Signal]:
        """The prompt, where early retries are told by it."""
        prompt: frozenset[Signal] = frozenset(("prompt",)) if self.max_early else frozenset()
        return super().wants | prompt

    @cached_property
    def _ridden(self) -> float:
        """Requests an hour that count as riding."""
        if self.riding is None:
            return 0.0
        return RIDING_SHARE * self.riding.amount / self.riding.period * 3600

    def counted_by(self) -> tuple[str, ...]:
        """The window of early retries; bounds only judge."""
        return (f"window={self.window:g}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """The arrival; whether its prompt was told to wait, and how often that was not heeded."""
        if facts.part:  # the asks of one body arrive together
            return ()
        pace = Pace(subject, self.key)
        marks = facts.signals.prompt
        if self.max_early is None or not marks:
            return (pace,)
        # A lease of no slots asks who holds one, and holds none itself.
        waits = Lease(subject, self._waiting(marks), 0, "wait", 1.0)
        return (pace, waits, Tally(subject, f"{self.key}:early", self.window, (), EARLY))

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires where enough signs show."""
        if not readings:
            return None
        evidence: dict[str, Scalar] = {}
        signs = 0
        for reading in readings:
            if isinstance(reading, Paced):
                if sum(reading.hours) < self.min_requests:
                    return None
                signs += self._pace(reading, evidence)
            elif isinstance(reading, Tallied) and self.max_early is not None:
                early = reading.shown[0]
                if early > self.max_early:
                    signs += 1
                    evidence |= {"early": early, "max_early": self.max_early}
        return Finding("pace_of_a_machine", evidence) if signs >= self.min_signs else None

    def settle(
        self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading], outcome: Outcome
    ) -> tuple[Op, ...]:
        """A refusal's time to wait, kept for its prompt; an arrival that did not keep it."""
        if len(ops) < 3:
            return ()
        settled: tuple[Op, ...] = ()
        subject, held = ops[0].subject, readings[1]
        if isinstance(held, Held) and held.held:
            settled += (Tally(subject, f"{self.key}:early", self.window, EARLY, requests=0),)
        wait = outcome.retry_after_s
        if outcome.refused and wait is not None and wait > 0:
            key = self._waiting(facts.signals.prompt)
            settled += (Lease(subject, key, 1, "wait", min(wait, LONGEST_WAIT)),)
        return settled

    def _waiting(self, marks: tuple[int, ...]) -> str:
        return f"{self.key}:wait:{marks[0]:x}"

    def _pace(self, read: Paced, evidence: dict[str, Scalar]) -> int:
        """How many signs an account's arrivals show."""
        signs = 0
        low = self.min_variation
        if low is not None and read.gaps >= self.min_requests and read.variation < low:
            signs += 1
            evidence |= {"variation": round(read.variation, 3), "mean_gap_s": round(read.mean_s, 3)}
        if self.max_busy_hours is not None:
            least = BUSY_SHARE * sum(read.hours) / HOURS
            busy = sum(1 for count in read.hours if count and count >= least)
            if busy > self.max_busy_hours:
                signs += 1
                evidence |= {"busy_hours": busy, "max_busy_hours": self.max_busy_hours}
        if self.max_riding_hours is not None:
            riding = sum(1 for count in read.hours if count >= self._ridden)
            if riding > self.max_riding_hours:
                signs += 1
                evidence |= {"riding_hours": riding, "max_riding_hours": self.max_riding_hours}
        return signs
