"""
What has been found about one request so far, and what was counted for it; it grows over two stages.

Pure but for growing: who counts is `judge.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proxy.counters.protocol import (
    Op,
    Reading,
    Taken,
    undo,
)
from proxy.decision import ALLOWED, Decision, Finding, RuleFinding, Verb
from proxy.facts import MOST_CLASSIFIED, Facts, Outcome, lean
from proxy.notices import Notice
from proxy.policy.decide import JITTER, decide, jitter_of
from proxy.policy.model import Policy
from proxy.policy.select import Selected, Stage
from proxy.policy.suspicion import Standing
from proxy.rules.base import RuleKind
from proxy.rules.subjects import kind_of
from proxy.signals.sketch import prompt_text

Known = dict[int, Reading]
"""Readings that need not be asked for, by the identity of their operation."""

Counted = list[tuple[RuleKind, Facts, tuple[Op, ...], Sequence[Reading]]]
"""A rule, the facts that it counted, its operations as they were carried out, and what they read."""


@dataclass(slots=True)
class Judgement:
    """What has been found about one request so far; it grows over at most two stages."""

    policy: Policy
    shadow: bool
    """Whether this process only watches, whatever the policy says."""
    id: str | None = None
    """Of the request: by it delays differ from request to request."""
    decision: Decision = ALLOWED
    store: str = "unused"
    """How it was counted: ok, local, skipped, blocked; unused where no rule wanted a counter."""
    blocked_by: str | None = None
    """The rule whose `on_store_failure: block` refuses the request."""
    store_s: float = 0.0
    found: list[RuleFinding] = field(default_factory=list)
    standings: tuple[Standing, ...] = ()
    """How the suspicion's subjects stood when the request came."""
    allowance: Notice | None = None
    """An operator's word that this account is to be left alone for a while."""
    campaign: str | None = None
    """The campaign that the account is a member of."""
    ties: tuple[str, ...] = ()
    """Rules that have tied the account to something that others share, in force or in shadow."""
    no_subject: tuple[str, ...] = ()
    exempted_by: tuple[str, ...] = ()
    expression_errors: dict[str, str] = field(default_factory=dict)
    """Rule or exemption → why an expression of its could not be evaluated."""
    stages: tuple[Stage, ...] = ()
    """What has been judged: not the body's rules where the identity's have refused."""
    counted: Counted = field(default_factory=list)
    counted_locally: Counted = field(default_factory=list)

    def absorb(self, other: Judgement) -> None:
        """Take over what has been found about something else in the same request: one finding a rule,
        the strongest."""
        for found in other.found:
            at = next((at for at, one in enumerate(self.found) if _same(one, found)), None)
            if at is None:
                self.found.append(found)
            elif _strength(found) > _strength(self.found[at]):
                self.found[at] = found
        if other.found:
            self.decision = decide(self.found)
        if other.store != "unused":
            self.store = other.store
        self.blocked_by = self.blocked_by or other.blocked_by
        self.ties += tuple(rule for rule in other.ties if rule not in self.ties)
        self.store_s += other.store_s
        self.expression_errors |= other.expression_errors
        self.counted += other.counted
        self.counted_locally += other.counted_locally

    def let_go(self) -> None:
        """Keep of what was asked only what counters and the event still need."""
        kept: dict[int, Facts] = {}
        classified = MOST_CLASSIFIED if self.policy.classifies else 0
        self.counted = _lean(self.counted, kept, classified)
        self.counted_locally = _lean(self.counted_locally, kept, classified)

    @property
    def jitter(self) -> float:
        """By what delays differ for this request."""
        return 1 + JITTER if self.id is None else jitter_of(self.id)

    @property
    def watches(self) -> bool:
        """Whether nothing may be refused: shadow mode, or an allowance."""
        return self.shadow or self.policy.mode == "shadow" or self.allowance is not None


def _same(one: RuleFinding, other: RuleFinding) -> bool:
    return _which(one) == _which(other)


def _which(found: RuleFinding) -> tuple[object, ...]:
    """What is one finding, whichever ask of a request made it: of suspicion each threshold is one."""
    at = None if found.of is None else found.finding.evidence.get("at")
    return found.rule, found.kind, found.shadow, found.of, at


def _strength(found: RuleFinding) -> tuple[Verb, float]:
    return found.verb, max(found.finding.wait_s or 0.0, found.finding.retry_after_s or 0.0)


def assigned(
    facts: Facts, wanted: Sequence[Selected], readings: Sequence[Reading], known: Known
) -> Counted:
    """Each rule with its readings: those that were asked for now, and those that were known."""
    counted: Counted = []
    coming = iter(readings)
    for selected in wanted:
        ops = selected.ops
        read = [known[id(op)] if id(op) in known else next(coming) for op in ops] if ops else ()
        counted.append((selected.rule, facts, ops, read))
    return counted


def _lean(counted: Counted, kept: dict[int, Facts], classified: int) -> Counted:
    """The same with lean facts, each made once; `kept` holds them by the identity of the full ones.

    Of a prompt stays what a classifier is sent, so many characters."""
    for _, facts, _, _ in counted:
        if id(facts) not in kept:
            ask = facts.ask
            if ask is not None:
                prompt = prompt_text(ask)[:classified] if classified else ""
                kept[id(facts)] = replace(facts, ask=lean(ask, prompt))
            else:
                kept[id(facts)] = facts
    return [(rule, kept[id(facts)], ops, readings) for rule, facts, ops, readings in counted]


def settling(counted: Counted, outcome: Outcome) -> list[Op]:
    """What rules count of how the request has ended."""
    return [
        op
        for rule, facts, ops, readings in counted
        if rule.settles
        for op in rule.settle(facts, ops, readings, outcome)
    ]


def whose(rule: RuleKind, ops: Sequence[Op], finding: Finding) -> Finding:
    """A limit's finding says whose it was: the counter's name tells, which several callers may share."""
    if not rule.plain_limit or not ops:
        return finding
    told = {"subject": kind_of(ops[0].subject), **finding.evidence}
    return replace(finding, evidence=told)


def admitted(reading: Reading) -> bool:
    """Whether an operation gave what it was asked for."""
    return not isinstance(reading, Taken) or reading.admitted


def undoing(counted: Counted) -> list[Op]:
    """What takes back all that a refused request has counted."""
    undone = [
        undo(op, reading)
        for rule, _, ops, readings in counted
        if rule.counts == "admitted"
        for op, reading in zip(ops, readings, strict=True)
    ]
    return [op for op in undone if op is not None]
