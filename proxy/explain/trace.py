"""
What is kept of a request that has ended, so that its decision can be explained: facts, counters'
operations, what they read, and findings. No prompt and no secret is among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from proxy.counters.protocol import Op, Reading
from proxy.decision import Decision, RuleFinding
from proxy.facts import Ask, Facts, Turn
from proxy.policy.model import Policy
from proxy.policy.select import Stage
from proxy.policy.suspicion import Standing
from proxy.rules.base import RuleKind
from proxy.value import value
from proxy.visit import Visit

MOST_COUNTED: Final = 128
"""Rules of one request, each with what it read, that are kept: a file of many requests has more."""
MODEL: Final = 256
"""Characters of a model's name that are kept."""
UNSAID: Final = Turn("", "")
UNSAID_BIAS: Final = (("", 0.0),)
PLAIN_WEIGHT: Final = 6_000
"""Bytes that a trace with its event takes, besides what grows with the request."""


@value
class Weighed:
    """A rule that was about the request, and what its counters read."""

    rule: RuleKind
    facts: Facts
    ops: tuple[Op, ...]
    readings: Sequence[Reading]


Counted = tuple[RuleKind, Facts, tuple[Op, ...], Sequence[Reading]]


@value
class Trace:
    """All that an explanation is made of."""

    event: dict[str, Any]
    policy: Policy
    facts: Facts | None
    """Without texts; None where nobody was identified."""
    decision: Decision
    stages: tuple[Stage, ...] = ()
    counted: tuple[Counted, ...] = ()
    standings: tuple[Standing, ...] = ()
    no_subject: tuple[str, ...] = ()
    exempted_by: tuple[str, ...] = ()
    jitter: float = 1.0
    watching: bool = False
    """Whether nothing could be refused: shadow mode, or an allowance."""
    bytes: int = PLAIN_WEIGHT
    """About what it takes of memory."""

    @property
    def weighed(self) -> tuple[Weighed, ...]:
        """The rules that were about the request."""
        return tuple(Weighed(*one) for one in self.counted)

    @property
    def findings(self) -> tuple[RuleFinding, ...]:
        """Strongest first."""
        return self.decision.findings


def trace_of(visit: Visit, event: dict[str, Any]) -> Trace:
    """The trace of a request that has ended; `event` is what the log says of it."""
    judgement, decision = visit.judgement, visit.decision
    known: dict[int, Facts] = {}
    if judgement is None:
        facts = _facts(visit, known)
        return Trace(event, visit.policy, facts, decision, watching=visit.watching)
    counted: list[Counted] = []
    facts = None
    weight = PLAIN_WEIGHT + 300 * len(decision.findings)
    for rule, whole, ops, readings in judgement.counted + judgement.counted_locally:
        if len(counted) == MOST_COUNTED:
            break
        unread = known.get(id(whole)) or _unread(whole, known)
        if not whole.part:
            facts = unread
        counted.append((rule, unread, ops, readings))
        weight += 400
    if facts is None or facts.ask is None:
        facts = _facts(visit, known)
    return Trace(
        event,
        visit.policy,
        facts,
        decision,
        judgement.stages,
        tuple(counted),
        judgement.standings,
        judgement.no_subject,
        judgement.exempted_by,
        judgement.jitter,
        judgement.watches,
        weight + sum(map(_grown, known.values())),
    )


def _grown(facts: Facts) -> int:
    """Bytes of what grows with a request."""
    ask = facts.ask
    return 0 if ask is None else 8 * (len(ask.turns) + len(ask.tools) + len(ask.logit_bias))


def _facts(visit: Visit, known: dict[int, Facts]) -> Facts | None:
    if visit.client is None or visit.route is None:
        return None
    whole = Facts(
        visit.client,
        visit.route,
        visit.ask,
        visit.end_user,
        len(visit.body),
        visit.signals,
        1 if visit.ask is None else visit.ask.choices,
        visit.id,
        0,
        visit.received,
    )
    return _unread(whole, known)


def _unread(facts: Facts, known: dict[int, Facts]) -> Facts:
    """Facts without texts; `known` holds them by the identity of the full ones.

    What expressions were evaluated over holds the texts, and the store's lists may be large and are others'
    by the time that somebody asks: neither is kept.
    """
    made = known[id(facts)] = Facts(
        facts.client,
        facts.route,
        None if facts.ask is None else _without_texts(facts.ask),
        facts.end_user,
        facts.request_bytes,
        facts.signals,
        facts.answers,
        facts.id,
        facts.part,
        facts.now,
        facts.common_template,
        facts.estimate,
    )
    return made


def _without_texts(ask: Ask) -> Ask:
    """What is kept of an ask, field by field: what is not named here is not kept."""
    return Ask(
        model=None if ask.model is None else ask.model[:MODEL],
        turns=(UNSAID,) * len(ask.turns),
        stream=ask.stream,
        max_output_tokens=ask.max_output_tokens,
        choices=ask.choices,
        temperature=ask.temperature,
        top_p=ask.top_p,
        logprobs=ask.logprobs,
        top_logprobs=ask.top_logprobs,
        logit_bias=UNSAID_BIAS * len(ask.logit_bias),
        tools=("",) * len(ask.tools),
        prompt_logprobs=ask.prompt_logprobs,
        constrained=ask.constrained,
    )
