"""
token_budget: so many tokens in a time, for each subject, in one or several windows at once.

Before a request is sent on, what it may use is reserved; once it has ended, the reservation is replaced
by what it really used, and the rest is given back. `tokens` says what is counted: `input`, `output`
(reasoning included), `reasoning`, or `total` (input and output).

    - name: harvest-budget
      kind: token_budget
      per: account
      tokens: output
      limits:
        - {by: tier, free: 20000/minute, else: 100000/minute}
        - 2000000/day
      action: throttle

What is reserved: of output, the request's own limit (`max_tokens` and its likes), and the prompt where it
is to be echoed, times the answers that it asks for; where it names no limit, half as much again as
answers to that account by that model have had of late, 2048 an answer as long as none is known. Of input,
the prompt's bytes times the tokens a byte that the account and model have had of late, and what came with
prompts besides (tools, images); half a token a byte as long as nothing is known. Of reasoning, the budget
that the request names, else what is known of the past, never more than its output. Where a single request
may need more than `burst`, `burst` is reserved, so that it waits for a full budget and is not refused for
ever.

What is charged: what the upstream reports. Where it reports nothing, because the caller left, the
upstream broke off or keeps silent, then the output that has passed, told by its bytes, and the input as it
was reserved. Nothing where the request was refused, by whatever, never reached the upstream, or was
answered with an error. Of answers that are fetched later (results of batches, stored responses) the
output is charged to whoever fetches them, each time; what a batch asks must fit into the budget when it is
asked, and is charged for its input then. Counting tokens is free.

Bound: in any stretch of time a subject gets at most `burst`, plus what the limit gives in that time, plus
what the requests that were under way at once have used beyond their reservations. A request whose output
limit the upstream keeps uses none beyond, of output, unless it was clamped to `burst`; so the excess is the
error of the estimates of input and of answers without a limit, clamped requests, and answers fetched
later, all of which is one request's each time, never a sum over time: what was used beyond is charged
late, past the limit, and later requests wait until it is paid. `burst` is the shortest window's; the others
may be spent at once, as all may where it is absent. So within one window that begins with a full budget
a subject gets at most twice its limit, and in the long run the limit.

In numbers: since an answer without a limit reserves 256 tokens at least, no more than `burst` / 256 of them
are under way at once, each as long as the model's longest. A budget of 1,000 tokens lets three pass
together, 12,000 tokens where the model ends at 4,000; one of 100,000 lets 390 pass, whatever was learned
before. Who may not have that needs `concurrency` beside the budget (`slots: 4` is four such answers), or a
limit for each answer by `degrade: [{cap_output_tokens: 4096}]`.

`delay` holds a request back that conforms soon, as `rate_limit` does. What a rule would refuse but lets
pass (`log`, `score`, shadow mode, `then: allow`) is not charged, as if it had been refused; and where one
window refuses, the others get back at once what they gave. While the store does not answer,
`on_store_failure: local` counts in each replica by itself, with the limit divided among them; what was
reserved in the store stays charged as it was estimated, if it could not be settled.

Blind spot: who spreads over many accounts stays below any budget of one. A compressed reply,
which no upstream is asked for where a budget stands, is charged a token for each of its bytes and no less
than was estimated, and the input as it was estimated. The input of a cached prompt counts in full.

False positives: callers that set a large output limit for short answers have it reserved while they wait,
so that few of their requests fit at once; let them lower it, or give `burst` room for as many. Run a new
budget in shadow first.

Keys that nobody has vouched for yet share the budget of their address (`keys: {unknown: provisional}`):
a small budget meets a newcomer before the upstream has accepted its key once. Give strangers one of
their own by `per: address`, or name your customers in the accounts file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from proxy.counters.protocol import Op, Reading, Reserve, Settle, Taken
from proxy.decision import Family, Finding, Verb
from proxy.facts import PROMPTING, Facts, Outcome, Usage
from proxy.rules.base import RuleKind
from proxy.rules.fields import wrong
from proxy.rules.tiers import Tiered, parse_tiered, tiered_schema
from proxy.rules.units import MAX_AMOUNT, RATE_PATTERN, Rate, parse_rate

MAX_WINDOWS: Final = 4
RESERVED_S: Final = 86_400.0
"""Seconds that a reservation is kept for its settlement: longer than any stream lasts."""

_FREE: Final = frozenset({"count_tokens", "tokenize"})
_SAYS_NOTHING: Final = frozenset(
    {"cache", "classify", "embeddings", "moderations", "rerank", "score"}
)
"""Operations without output."""
_FETCHED: Final = PROMPTING | {"batch"}
"""Operations whose metered replies are answers to earlier requests, which have paid for their input."""

_RATES: Final = tiered_schema({"type": "string", "pattern": RATE_PATTERN})
_LIMITS_SCHEMA: Final = {
    "anyOf": [_RATES, {"type": "array", "items": _RATES, "minItems": 1, "maxItems": MAX_WINDOWS}]
}


def _parse_limits(value: object) -> tuple[Tiered[Rate], ...]:
    if not isinstance(value, list):
        return (parse_tiered(value, parse_rate),)
    if not 1 <= len(value) <= MAX_WINDOWS:
        raise wrong(f"must be one to {MAX_WINDOWS} limits")
    limits: list[Tiered[Rate]] = []
    seen: set[float] = set()
    for at, one in enumerate(value):
        try:
            limit = parse_tiered(one, parse_rate)
        except PydanticCustomError as error:
            raise _within(error, at) from None
        periods = {rate.period for rate in limit.all()}
        if periods & seen:
            raise wrong("has two limits of the same period", (at,))
        seen |= periods
        limits.append(limit)
    return tuple(limits)


def _within(error: PydanticCustomError, at: int) -> PydanticCustomError:
    """The same mistake, in the `at`-th of a list."""
    context = error.context or {}
    return wrong(error.message(), (at, *context["path"]), context["suggestion"])


class TokenBudget(RuleKind):
    """So many tokens in a time, for each subject."""

    kind: ClassVar[str] = "token_budget"
    family: ClassVar[Family] = "volume"
    plain_limit: ClassVar[bool] = True
    schema_also: ClassVar[Mapping[str, Any]] = {"properties": {"counts": {"const": "admitted"}}}
    settles: ClassVar[bool] = True
    estimates: ClassVar[bool] = True
    all_or_none: ClassVar[bool] = True

    tokens: Literal["input", "output", "reasoning", "total"]
    """What is counted: `input`, `output` (with reasoning), `reasoning`, or `total` (input and output)."""
    limits: Annotated[
        tuple[Tiered[Rate], ...], PlainValidator(_parse_limits), WithJsonSchema(_LIMITS_SCHEMA)
    ]
    """`100000/minute`, or a list of up to four with different periods, each plain or by tiers:
    `{by: tier, free: 20000/minute, else: 100000/minute}`."""
    burst: int | None = Field(default=None, ge=1, le=MAX_AMOUNT, strict=True)
    """Tokens of the shortest window that may be taken at one instant; its whole amount where absent."""

    @model_validator(mode="after")
    def _check_counts(self) -> TokenBudget:
        if self.counts == "attempts":
            raise wrong(
                "a budget counts what was used, so `attempts` means nothing here", ("counts",)
            )
        return self

    @cached_property
    def _max_wait(self) -> float:
        delays = self.action is not None and self.action.verb is Verb.DELAY
        return self.action.at_most if delays and self.action is not None else 0.0

    @cached_property
    def _windows(self) -> tuple[tuple[Tiered[Rate], int | None], ...]:
        """Each limit, and its burst where that is not its whole amount; the shortest comes first."""
        ordered = sorted(self.limits, key=lambda limit: limit.otherwise.period)
        return tuple((limit, self.burst if at == 0 else None) for at, limit in enumerate(ordered))

    def counted_by(self) -> tuple[str, ...]:
        """What is counted; each window has a counter of its own besides."""
        return (f"tokens={self.tokens}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """One reservation a window, the shortest first."""
        if not self._concerns(facts):
            return ()
        wanted = self._of(facts.estimate)
        ops: list[Op] = []
        for limit, burst in self._windows:
            tier, rate = limit.of(facts)
            most = burst or rate.amount
            ops.append(
                Reserve(
                    subject,
                    self._key(tier, rate),
                    rate.amount,
                    rate.period,
                    most,
                    min(wanted, most),
                    facts.id,
                    RESERVED_S,
                    self._max_wait,
                )
            )
        return tuple(ops)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Nothing within all limits; else by the one that takes longest."""
        refused: tuple[float, Rate] | None = None
        held: tuple[float, Rate] | None = None
        for (limit, _), taken in zip(self._windows, readings, strict=bool(readings)):
            assert isinstance(taken, Taken)
            if not taken.admitted:
                again = taken.retry_after_s or 0.0
                if refused is None or again > refused[0]:
                    refused = again, limit.of(facts)[1]
            elif taken.wait_s > 0 and (held is None or taken.wait_s > held[0]):
                held = taken.wait_s, limit.of(facts)[1]
        if refused is None and held is None:
            return None
        seconds, rate = refused or held or (0.0, self.limits[0].otherwise)
        evidence: dict[str, str | float] = {
            "limit": rate.text,
            "tokens": self.tokens,
            "estimate": self._of(facts.estimate),
        }
        if refused is None:
            evidence["wait_s"] = round(seconds, 3)
            return Finding("budget_exceeded", evidence, wait_s=seconds)
        evidence["retry_after_s"] = round(seconds, 3)
        return Finding("budget_exceeded", evidence, retry_after_s=seconds)

    def settle(
        self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading], outcome: Outcome
    ) -> tuple[Op, ...]:
        """What was used, in place of what was reserved. Of what was refused nothing is held any more."""
        if outcome.refused or not all(isinstance(one, Taken) and one.admitted for one in readings):
            return ()
        used = self._used(facts, outcome)
        return tuple(
            Settle(op.subject, op.key, op.amount, op.period, op.id, used)
            for op in ops
            if isinstance(op, Reserve)
        )

    def _concerns(self, facts: Facts) -> bool:
        route = facts.route
        if route.kind not in {"inspected", "metered"} or route.operation in _FREE:
            return False
        return self.tokens in {"input", "total"} or route.operation not in _SAYS_NOTHING

    def _key(self, tier: str | None, rate: Rate) -> str:
        """One arrival time cannot serve two rates, so each tier and period has its own."""
        key = f"{self.key}:{rate.period:g}"
        return key if tier is None else f"{key}:{tier}"

    def _of(self, usage: Usage) -> int:
        match self.tokens:
            case "input":
                return usage.input_tokens or 0
            case "output":
                return usage.output_tokens or 0
            case "reasoning":
                return usage.reasoning_tokens or 0
        return (usage.input_tokens or 0) + (usage.output_tokens or 0)

    def _used(self, facts: Facts, outcome: Outcome) -> int:
        if not outcome.served or outcome.failed:
            return 0
        told, estimate = outcome.usage, facts.estimate
        given = _share(told.input_tokens, facts, outcome, estimate.input_tokens)
        if facts.route.kind == "metered" and facts.route.operation in _FETCHED:
            given = 0
        made = _share(told.output_tokens, facts, outcome, estimate.output_tokens)
        if outcome.at_least:
            made = max(made, estimate.output_tokens or 0)
        thought = _share(
            told.reasoning_tokens, facts, outcome, min(estimate.reasoning_tokens or 0, made)
        )
        return self._of(Usage(given, made, thought))


def _share(told: int | None, facts: Facts, outcome: Outcome, estimate: int | None) -> int:
    """What this one of a body's asks has of what was told of all, so that the shares add up."""
    if told is None:
        return estimate or 0
    asks = outcome.asks
    part = min(facts.part, asks - 1)
    return told * (part + 1) // asks - told * part // asks
