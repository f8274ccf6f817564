"""
What is kept of a request that has ended, so that its decision can be explained: facts, counters'
operations, what they read, and findings. No prompt and no secret is among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from proxy.counters.protocol import Op, Reading
from proxy.decision import Decision, RuleFinding
from proxy.facts import Facts, lean
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
PLAIN_WEIGHT: Final = 6_000
"""Bytes that a trace with its event takes, besides what grows with the request."""


@value
class Weighed:
    """A rule that was about the request, and what its counters read."""

    rule: RuleKind
    facts: Facts
    ops: tuple[Op, ...]
    readings: Sequence[Reading]


@value
class Trace:
    """All that an explanation is made of."""

    event: dict[str, Any]
    policy: Policy
    facts: Facts | None
    """Without texts; None where nobody was identified."""
    decision: Decision
    stages: tuple[Stage, ...] = ()
    weighed: tuple[Weighed, ...] = ()
    standings: tuple[Standing, ...] = ()
    no_subject: tuple[str, ...] = ()
    exempted_by: tuple[str, ...] = ()
    jitter: float = 1.0
    watching: bool = False
    """Whether nothing could be refused: shadow mode, or an allowance."""

    @property
    def findings(self) -> tuple[RuleFinding, ...]:
        """Strongest first."""
        return self.decision.findings

    @property
    def bytes(self) -> int:
        """About what it takes of memory."""
        grown = 400 * len(self.weighed) + 300 * len(self.findings)
        ask = self.facts.ask if self.facts is not None else None
        if ask is not None:
            grown += 8 * (len(ask.turns) + len(ask.tools) + len(ask.logit_bias))
        return PLAIN_WEIGHT + grown


def trace_of(visit: Visit, event: dict[str, Any]) -> Trace:
    """The trace of a request that has ended; `event` is what the log says of it."""
    judgement = visit.judgement
    if judgement is None:
        facts = _unread(_facts(visit), {})
        return Trace(event, visit.policy, facts, visit.decision, watching=visit.watching)
    known: dict[int, Facts] = {}
    weighed = tuple(
        [
            Weighed(rule, _unread(facts, known), ops, readings)
            for rule, facts, ops, readings in (*judgement.counted, *judgement.counted_locally)[
                :MOST_COUNTED
            ]
        ]
    )
    facts = next((one.facts for one in reversed(weighed) if not one.facts.part), None)
    if facts is None or facts.ask is None:
        facts = _unread(_facts(visit), known)
    return Trace(
        event,
        visit.policy,
        facts,
        visit.decision,
        judgement.stages,
        weighed,
        judgement.standings,
        judgement.no_subject,
        judgement.exempted_by,
        judgement.jitter,
        judgement.watches,
    )


def _facts(visit: Visit) -> Facts | None:
    if visit.client is None or visit.route is None:
        return None
    return Facts(
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


def _unread(facts: Any, known: dict[int, Facts]) -> Any:
    """Facts without texts, each made once; `known` holds them by the identity of the full ones."""
    if facts is None:
        return None
    made = known.get(id(facts))
    if made is None:
        ask = facts.ask
        if ask is not None:
            model = None if ask.model is None else ask.model[:MODEL]
            ask = replace(lean(ask), model=model, end_user=None, parameters=())
        # What expressions were evaluated over holds the texts; lists may be large, and are others' by now.
        made = known[id(facts)] = replace(facts, ask=ask, evaluation=None, lists=None)
    return made
