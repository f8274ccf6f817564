"""Actions that never decide: whenever the one is due, another one that is as strong is due as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Final

from proxy.decision import Degradation, Verb
from proxy.policy.analysis.told import Told
from proxy.policy.suspicion import Threshold
from proxy.policy.yamltree import Path as Place
from proxy.rules.base import RuleKind
from proxy.rules.concurrency import Concurrency
from proxy.rules.rate_limit import RateLimit
from proxy.rules.tiers import Tiered
from proxy.rules.token_budget import TokenBudget
from proxy.rules.units import Rate

_SHARED: Final = frozenset(RuleKind.model_fields)
_SOONER: Final = ("max_", "min_requests", "min_exceeded", "min_signs", "min_confidence")
"""Beginnings of bounds: the smaller, the sooner a rule fires."""

_Choice = tuple[str | None, str | None]
"""What chooses (`tier`), and which one; None for `else`."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What a limit lets pass, for each tier: (events a second, events at one instant, period)."""

    rates: dict[_Choice, tuple[float, float, float]]

    def within(self, other: Flow) -> bool:
        """Whether whatever this lets pass the other one lets pass, too, whoever asks."""
        return all(
            mine[0] <= theirs[0] and mine[1] <= theirs[1] for mine, theirs in _pairs(self, other)
        )

    def shorter(self, other: Flow) -> bool:
        """Whether each of its periods is shorter."""
        return all(mine[2] < theirs[2] for mine, theirs in _pairs(self, other))

    def most(self, seconds: float) -> float:
        """The most that it lets anybody have in a stretch of time."""
        return max(burst + rate * seconds for rate, burst, _ in self.rates.values())


def _pairs(
    one: Flow, other: Flow
) -> Iterator[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    by = {choice[0] for choice in (*one.rates, *other.rates)} - {None}
    if len(by) > 1:  # who has which of both is not known
        yield from (
            (mine, theirs) for mine in one.rates.values() for theirs in other.rates.values()
        )
        return
    for choice in one.rates.keys() | other.rates.keys():
        yield (
            one.rates.get(choice, one.rates[None, None]),
            other.rates.get(choice, other.rates[None, None]),
        )


def flows(rule: RuleKind, *, waiting: bool = True) -> list[Flow]:
    """What a limit of requests, of tokens or of slots lets pass, window by window; with `waiting` what it
    holds back and lets pass then counts as well."""
    does = rule.does
    waits = does.at_most if waiting and does.verb is Verb.DELAY else 0.0
    if isinstance(rule, RateLimit):
        return [_flow(rule.limit, rule.burst, 10, waits)]
    if isinstance(rule, TokenBudget):
        shortest = min(rule.limits, key=lambda limit: limit.otherwise.period)
        return [
            _flow(limit, rule.burst if limit is shortest else None, 1, waits)
            for limit in rule.limits
        ]
    if isinstance(rule, Concurrency):
        slots = rule.slots
        found: dict[_Choice, tuple[float, float, float]] = {
            (slots.by, name): (0.0, float(value), 0.0) for name, value in slots.values.items()
        }
        return [Flow(found | {(None, None): (0.0, float(slots.otherwise), 0.0)})]
    return []


def _flow(limit: Tiered[Rate], burst: int | None, share: int, waits: float) -> Flow:
    def of(rate: Rate) -> tuple[float, float, float]:
        a_second = rate.amount / rate.period
        at_once = burst or max(1, rate.amount // share)
        return a_second, at_once + a_second * waits, rate.period

    found: dict[_Choice, tuple[float, float, float]] = {
        (limit.by, name): of(rate) for name, rate in limit.values.items()
    }
    return Flow(found | {(None, None): of(limit.otherwise)})


def overruled(told: Told) -> None:
    """Rules beside each other, and thresholds beside each other."""
    done: set[str] = set()
    alike: dict[tuple[str, tuple[str, ...]], list[tuple[int, RuleKind]]] = {}
    for at, rule in enumerate(told.policy.rules):
        alike.setdefault((rule.kind, rule.per), []).append((at, rule))
    pairs = (pair for group in alike.values() for pair in permutations(group, 2))
    for (first, one), (at, rule) in pairs:
        if {one.name, rule.name} & told.dead or rule.name in done or one.name in done:
            continue
        if not covers(told, one, rule) or not _acts_for(one, rule):
            continue
        if not _whenever(one, rule) or (_whenever(rule, one) and _equal(one, rule) and at < first):
            continue
        done.add(rule.name)
        place: Place = ("action",)
        message = f"never decides: whenever it is due, `{one.name}` refuses the request already"
        told.say("overruled", told.spot(at), place, message)
    _thresholds(told)


def _acts_for(one: RuleKind, rule: RuleKind) -> bool:
    """Whether what a rule does is nothing beside what another one does."""
    acts = one.mode == "enforce" and one.does.strongest.refuses and rule.mode == "enforce"
    if not acts or rule.action is None or rule.does.verb <= Verb.LOG or rule.does.ban_s:
        return False
    limit = bool(flows(one))
    return (one.does.verb.refuses or limit) and one.does.strongest >= rule.does.strongest


def _equal(one: RuleKind, rule: RuleKind) -> bool:
    return one.does.strongest == rule.does.strongest


def lets_pass(limit: RuleKind, rule: RuleKind) -> bool:
    """Whether a rule sees only what a limit, over the same subject, has let pass."""
    refuses = limit.mode == "enforce" and limit.does.strongest.refuses
    return refuses and limit is not rule and limit.per == rule.per


def covers(told: Told, one: RuleKind, rule: RuleKind) -> bool:
    """Whether a rule is about every request that another one is about."""
    policy = told.policy
    if one.match is not None and told.canonical[one.name] != told.canonical[rule.name]:
        return False
    if one.when is not None and one.when != rule.when:
        return False
    if not set(one.excuse or ()) <= set(rule.excuse or ()):
        return False
    failing = [each.on_store_failure or policy.defaults.on_store_failure for each in (one, rule)]
    if failing[0] == "allow" != failing[1]:
        return False
    lifted = [exemption.rules for exemption in policy.exemptions]
    return all(rule.name in names for names in lifted if one.name in names)


def _whenever(one: RuleKind, rule: RuleKind) -> bool:
    """Whether one fires whenever the other does."""
    if flows(one):
        if (
            isinstance(one, TokenBudget)
            and isinstance(rule, TokenBudget)
            and one.tokens != rule.tokens
        ):
            return False
        if rule.counts != "admitted":
            return False
        return all(any(mine.within(theirs) for mine in flows(one)) for theirs in flows(rule))
    return _sooner(one, rule)


def _sooner(one: RuleKind, rule: RuleKind) -> bool:
    for name in type(one).model_fields.keys() - _SHARED | {"counts"}:
        mine, theirs = getattr(one, name), getattr(rule, name)
        bound = name.startswith(_SOONER) and isinstance(mine, int | float)
        if mine == theirs or (bound and isinstance(theirs, int | float) and mine <= theirs):
            continue
        return False
    return True


def _thresholds(told: Told) -> None:
    """Thresholds that a lower one has made pointless."""
    found = list(enumerate(told.policy.suspicion.thresholds))
    for (_, lower), (at, higher) in permutations(found, 2):
        if lower.at < higher.at and _pointless(lower, higher):
            place: Place = ("suspicion", "thresholds", at, "action")
            message = f"never decides: what is done from {lower.at:g} on is as strong"
            told.say("overruled", told.main, place, message)


def _pointless(lower: Threshold, higher: Threshold) -> bool:
    mine, theirs = lower.action, higher.action
    if theirs.ban_s:
        return False
    if mine.verb is Verb.BLOCK:  # only where two families show
        return theirs.verb is Verb.BLOCK
    if mine.verb.refuses:
        return theirs.verb <= mine.verb
    if mine.verb is Verb.DELAY and theirs.verb is Verb.DELAY:
        return theirs.at_most <= mine.at_most and theirs.then <= mine.then
    if mine.verb is Verb.DEGRADE and theirs.verb is Verb.DEGRADE:
        taken = mine.degradation or Degradation()
        return taken.joined(theirs.degradation or Degradation()) == taken
    return theirs.verb <= Verb.LOG and mine.verb > Verb.LOG
