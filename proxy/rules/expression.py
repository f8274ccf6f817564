"""
expression: whatever the facts of a request and a few counters say together, in CEL.

The escape hatch, for what no other kind looks at. The expression is true or false, over the declared facts
([the table](../policies.md#expressions)) and over the rule's own counters: `readings.all` below is how many
answers were asked for within its window, `readings.probing` counts only where its `when` holds, and a
counter with `distinct: ask.model` counts different values of that fact, up to 128.

    - name: trial-probes
      kind: expression
      per: account
      match: {tier: [free, trial]}
      readings:
        all: {window: 1h}
        probing: {window: 1h, when: ask.logprobs && ask.max_output_tokens < 4}
      expr: readings.all >= 50 && double(readings.probing) / double(readings.all) > 0.5
      family: content
      score: 20

Names, types and functions are checked when the policy loads, with their place. What cannot be evaluated
later (a fact that the request does not have, a number out of range) is never true: it is counted
(`excise_expression_errors_total`) and named in the event. `has(client.asn)` asks whether a fact is there.

Blind spot: it sees one request and its own counters, never the text of a prompt. It is no better than the
idea behind it: watch it with `mode: shadow` first, and see whom it hits.

False positives: those of the idea. Two expressions over the same habit are not two families of evidence, so
say honestly in `family` what kind of evidence it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from proxy.counters.protocol import Count, Different, Distinct, Op, Reading, Total
from proxy.decision import Evidence, Finding
from proxy.expressions.declared import DECLARED
from proxy.expressions.program import Program, holds
from proxy.facts import Facts, Signal
from proxy.nearest import nearest
from proxy.rules.base import RuleKind
from proxy.rules.fields import (
    EXPRESSION_SCHEMA,
    Duration,
    Expression,
    read_expression,
    wrong,
)
from proxy.rules.items import item

MAX_COUNTERS: Final = 6
_COUNTER = r"^[a-z][a-z0-9_]{0,31}$"


class Counter(BaseModel):
    """What one counter of the rule counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    window: Duration
    """The time over which it counts, `1h`."""
    when: Expression | None = None
    """Which requests; all that the rule is about where absent."""
    distinct: str | None = None
    """A declared fact, `ask.model`, whose different values are counted in place of requests, up to 128. On
    a request without that fact there is no reading."""

    @field_validator("distinct")
    @classmethod
    def _check_distinct(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if value not in DECLARED:
            raise wrong(f"names `{value}`, which is no declared fact", (), nearest(value, DECLARED))
        if DECLARED[value].type == "list":
            raise wrong("must be a fact of one value, not a list")
        return value

    @model_validator(mode="after")
    def _check_both(self) -> Counter:
        if self.when is not None and self.distinct is not None:
            raise wrong("`distinct` counts over all requests of the rule: it takes no `when`")
        return self

    def canonical(self) -> str:
        """One text for what changes counting."""
        when = self.when.canonical if self.when is not None else ""
        return f"{self.window:g} {self.distinct or ''} {when}"


class ExpressionRule(RuleKind):
    """An expression over facts and counters."""

    kind: ClassVar[str] = "expression"

    readings: dict[Annotated[str, Field(pattern=_COUNTER)], Counter] = Field(
        default_factory=dict, max_length=MAX_COUNTERS
    )
    """What it counts, by name: `{all: {window: 1h}}` is `readings.all` in the expression."""
    expr: Annotated[
        Program,
        PlainValidator(lambda value: value),
        PlainSerializer(lambda program: program.text),
        WithJsonSchema(EXPRESSION_SCHEMA),
    ]
    """The expression, true or false."""
    family: Literal["volume", "content", "client", "network"] = "content"  # type: ignore[misc]
    """What kind of evidence it is."""  # each rule says its own, where other kinds have one

    @field_validator("expr", mode="before")
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> Program:
        return read_expression(value, info.data.get("readings", {}))

    @property
    def expressions(self) -> tuple[Program, ...]:
        """Its own, those of its counters, and `when`."""
        counted = (one.when for one in self.readings.values() if one.when is not None)
        return (*super().expressions, *counted, self.expr)

    @cached_property
    def wants(self) -> frozenset[Signal]:
        """The signals of the facts that it names."""
        named = {DECLARED[path].signal for path in self._paths}
        return super().wants | {signal for signal in named if signal is not None}

    @cached_property
    def _paths(self) -> frozenset[str]:
        named = {path for program in self.expressions for path in program.paths}
        return frozenset(named | {one.distinct for one in self.readings.values() if one.distinct})

    def looks_at_body(self) -> bool:
        """Where it names a fact of the body."""
        return any(DECLARED[path].of_body for path in self._paths)

    def counted_by(self) -> tuple[str, ...]:
        """Its counters; the expression only judges."""
        return tuple(f"{name}={one.canonical()}" for name, one in sorted(self.readings.items()))

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """One operation for each counter that the request has something for."""
        ops: list[Op] = []
        for name, one in self.readings.items():
            key = f"{self.key}:{name}"
            if one.distinct is not None:
                shown = DECLARED[one.distinct].of(facts)
                if shown is not None:
                    ops.append(Distinct(subject, key, one.window, item(str(shown))))
                continue
            counted = one.when is None or holds(one.when, facts, self.name)
            ops.append(Count(subject, key, one.window, facts.answers if counted else 0))
        return tuple(ops)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires where the expression is true."""
        read: dict[str, int] = {}
        coming = iter(readings)
        for name, one in self.readings.items():
            if one.distinct is not None and DECLARED[one.distinct].of(facts) is None:
                continue
            reading = next(coming)
            assert isinstance(reading, Total | Different)
            read[name] = reading.total if isinstance(reading, Total) else reading.distinct
        if not holds(self.expr, facts, self.name, read):
            return None
        evidence: Evidence = {
            **self.expr.shown(facts),
            **{name: read[name] for name in self.expr.readings},
        }
        return Finding("expression_true", evidence)
