"""Whose counts start anew: the names of a rule's counters, as its own code makes them."""

from __future__ import annotations

from dataclasses import replace

from proxy.facts import Facts
from proxy.policy.analysis.limits import tiers_of
from proxy.policy.analysis.traffic import known, rich
from proxy.rules.base import RuleKind

Choice = tuple[str, str] | None
"""(`tier`, `free`): who has it; None is everybody else."""


def choices(*rules: RuleKind) -> list[Choice]:
    """All that the limits of these rules tell apart."""
    found: dict[Choice, None] = {None: None}
    for rule in rules:
        for _, tiered in tiers_of(rule):
            if tiered.by is not None:
                found |= {(tiered.by, name): None for name in tiered.values}
    return list(found)


def names(rule: RuleKind, choice: Choice) -> frozenset[str]:
    """The names of all counters that the requests of such a caller may have with a rule."""
    routes = {(one.kind, one.dialect, one.operation): one for one in known()}
    found = set()
    for route in routes.values():
        facts = _with(rich(route), choice)
        if facts is not None:
            found |= {op.key for op in rule.counters(facts, "account:sample")}
    return frozenset(found)


def _with(facts: Facts, choice: Choice) -> Facts | None:
    """The same, asked by somebody who has what a limit tells apart; None where nothing can have it."""
    match choice:
        case None:
            return facts
        case ("model", name):
            return None if facts.ask is None else replace(facts, ask=replace(facts.ask, model=name))
        case ("tier", name):
            return replace(facts, client=replace(facts.client, tier=name))
        case ("profile", name):
            return replace(facts, client=replace(facts.client, profile=name))
        case (_, name):
            return replace(facts, client=replace(facts.client, account=name))


def anew(old: RuleKind, new: RuleKind) -> list[Choice] | None:
    """Whose counts start anew; None where everybody's do."""
    everybody = choices(old, new)
    changed = [one for one in everybody if _lost(old, new, one)]
    return None if changed and len(changed) == len(everybody) else changed


def _lost(old: RuleKind, new: RuleKind, choice: Choice) -> bool:
    """Whether something that was counted is counted under another name now; what is counted for the first
    time besides has lost nothing."""
    before, after = names(old, choice), names(new, choice)
    return bool(before - after) and bool(after - before)
