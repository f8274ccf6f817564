"""What differs between the rules of two policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from proxy.policy.analysis.overruled import Flow, flows
from proxy.policy.diff.change import (
    Change,
    Effect,
    by_action,
    by_members,
    by_number,
    by_order,
    turned,
)
from proxy.policy.diff.counters import anew, names
from proxy.policy.diff.scope import scope
from proxy.policy.diff.words import shown
from proxy.policy.load import Source
from proxy.policy.model import Policy
from proxy.rules.base import RuleKind

_SHARED: Final = frozenset(RuleKind.model_fields)
_LIMITS: Final = ("limit", "limits", "slots", "burst")
_LOWER: Final = (
    "max_",
    "min_accounts",
    "min_bytes",
    "min_gaps",
    "min_requests",
    "min_exceeded",
    "min_signs",
    "min_weight",
    "min_confidence",
)
"""Beginnings of bounds that are stricter where they are lower."""
_HIGHER: Final = ("keep", "min_variation", "within")
_LISTS: Final = ("kinds", "asns", "countries", "key_ids", "file", "redis_set")
_ON_FAILURE: Final = ("allow", "local", "block")


def rules(old: Source, new: Source) -> Iterator[Change]:
    """Rules that are gone, new, called otherwise, or otherwise in some field."""
    before = {rule.name: rule for rule in old.policy.rules}
    after = {rule.name: rule for rule in new.policy.rules}
    gone = {name: rule for name, rule in before.items() if name not in after}
    come = {name: rule for name, rule in after.items() if name not in before}
    for name, rule in list(come.items()):
        same = next(
            (one for one, was in gone.items() if _but_for_name(was) == _but_for_name(rule)), None
        )
        if same is not None:
            del gone[same], come[name]
            yield Change(
                "anew", name, "name", same, name, "it counts, and is suspected, by its name"
            )
    for name, rule in gone.items():
        yield Change("looser", name, "rule", _summary(old.policy, rule), None)
    for name, rule in come.items():
        yield Change("stricter", name, "rule", None, _summary(new.policy, rule))
    for name, rule in after.items():
        if name in before:
            yield from _changed(old, new, before[name], rule)


def _but_for_name(rule: RuleKind) -> tuple[str, dict[str, Any]]:
    return rule.kind, {**_plain(rule), "name": "", "acknowledge_single_family": ""}


def _plain(rule: RuleKind) -> dict[str, Any]:
    return {name: shown(getattr(rule, name)) for name in type(rule).model_fields}


def mode_of(policy: Policy, rule: RuleKind) -> str:
    """The mode in which a rule is judged."""
    return "shadow" if policy.mode == "shadow" else rule.mode


def _summary(policy: Policy, rule: RuleKind) -> str:
    does = ["ties"] if rule.links else []
    does += [] if rule.action is None else [shown(rule.action)]
    does += [] if rule.score is None else [f"score {rule.score:g}"]
    shadow = ", in shadow" if mode_of(policy, rule) == "shadow" else ""
    return f"{rule.kind} per {shown(rule.per)}: {', '.join(does)}{shadow}"


def _changed(old: Source, new: Source, was: RuleKind, rule: RuleKind) -> Iterator[Change]:
    name = rule.name
    if was.kind != rule.kind:
        summaries = _summary(old.policy, was), _summary(new.policy, rule)
        yield Change("otherwise", name, "kind", *summaries)
    else:
        yield from _shared(old.policy, new.policy, was, rule)
        yield from _limit(was, rule)
        yield from _own(was, rule)
        yield from _data(old, new, was, rule)
    yield from _anew(old.policy, new.policy, was, rule)


def _shared(old: Policy, new: Policy, was: RuleKind, rule: RuleKind) -> Iterator[Change]:
    name = rule.name
    modes = mode_of(old, was), mode_of(new, rule)
    # What the whole policy's mode changes is said once, of the policy.
    if modes[0] != modes[1] and was.mode != rule.mode:
        yield Change(by_order(("shadow", "enforce"), *modes), name, "mode", *modes)
    yield from scope(name, (was.match, was.when), (rule.match, rule.when))
    if was.per != rule.per:
        yield Change("otherwise", name, "per", shown(was.per), shown(rule.per))
    if was.does != rule.does or (was.action is None) != (rule.action is None):
        effect = by_action(was.does, rule.does) if was.does != rule.does else "otherwise"
        yield _field(effect, name, "action", was.action, rule.action)
    if was.score != rule.score:
        yield _field(
            by_number(was.score or 0, rule.score or 0), name, "score", was.score, rule.score
        )
    excused = set(was.excuse or ()), set(rule.excuse or ())
    if excused[0] != excused[1]:
        yield _field(turned(by_members(*excused)), name, "excuse", was.excuse, rule.excuse)
    if was.counts != rule.counts:
        effect = by_order(("admitted", "attempts"), was.counts, rule.counts)
        yield Change(effect, name, "counts", was.counts, rule.counts)
    failing = [
        one.on_store_failure or policy.defaults.on_store_failure
        for policy, one in ((old, was), (new, rule))
    ]
    if failing[0] != failing[1]:
        effect = by_order(_ON_FAILURE, failing[0], failing[1])
        yield Change(effect, name, "on_store_failure", failing[0], failing[1])


def _field(effect: Effect, where: str, what: str, before: Any, after: Any) -> Change:
    """A change of a field that may be absent."""
    texts = [None if one is None else shown(one) for one in (before, after)]
    return Change(effect, where, what, texts[0], texts[1])


def _limit(was: RuleKind, rule: RuleKind) -> Iterator[Change]:
    """A limit by what it lets pass, however it is written."""
    before, after = flows(was, waiting=False), flows(rule, waiting=False)
    tighter, wider = _within(after, before), _within(before, after)
    if tighter and wider:
        return
    effect: Effect = "stricter" if tighter else "looser" if wider else "otherwise"
    if before or after:
        yield Change(effect, rule.name, "limit", _limit_text(was), _limit_text(rule))


def _within(some: list[Flow], others: list[Flow]) -> bool:
    return all(any(one.within(other) for one in some) for other in others)


def _limit_text(rule: RuleKind) -> str:
    texts = []
    for name in _LIMITS:
        found = getattr(rule, name, None)
        if found is not None:
            texts.append(f"burst {found}" if name == "burst" else shown(found))
    return ", ".join(texts)


def _own(was: RuleKind, rule: RuleKind) -> Iterator[Change]:
    """The kind's own fields."""
    for name, field in type(rule).model_fields.items():
        before, after = getattr(was, name, None), getattr(rule, name)
        if name in _SHARED or name in _LIMITS or before == after:
            continue
        if (
            name in _LISTS
            and before is not None
            and after is not None
            and set(before) == set(after)
        ):
            continue
        texts = [None if one is None else shown(one, field) for one in (before, after)]
        yield Change(_effect(rule, name, before, after), rule.name, name, texts[0], texts[1])


def _effect(rule: RuleKind, name: str, before: Any, after: Any) -> Effect:
    if name in _LISTS:
        effect = by_members(before, after)
        return turned(effect) if getattr(rule, "invert", False) else effect
    numbers = all(isinstance(one, int | float) for one in (before, after))
    if numbers and name.startswith(_LOWER):
        return turned(by_number(before, after))
    return by_number(before, after) if numbers and name in _HIGHER else "otherwise"


def _data(old: Source, new: Source, was: RuleKind, rule: RuleKind) -> Iterator[Change]:
    """Files beside the policy that say something else under the same name."""
    before = {name for _, name in was.data_files()}
    for _, name in rule.data_files():
        if name in before and old.data.get(name) != new.data.get(name):
            yield Change("otherwise", rule.name, "file", name, name, "it holds something else")


def _anew(old: Policy, new: Policy, was: RuleKind, rule: RuleKind) -> Iterator[Change]:
    """What a rule has counted and is not found again."""
    found = anew(was, rule)
    if found is None:
        because = "all that it has counted: its counters have another name"
        yield Change("anew", rule.name, "counters", *_stems(was, rule), because)
    elif found:
        told = ", ".join("everybody else" if one is None else f"{one[0]} {one[1]}" for one in found)
        yield Change("anew", rule.name, "counters", None, None, f"what it has counted of {told}")
    modes = mode_of(old, was), mode_of(new, rule)
    if modes[0] != modes[1] and was.score is not None and rule.score is not None:
        because = "levels set in shadow and in force are kept apart"
        yield Change("anew", rule.name, "suspicion", *modes, because)


def _stems(was: RuleKind, rule: RuleKind) -> tuple[str | None, str | None]:
    return (was.key if names(was, None) else None, rule.key if names(rule, None) else None)
