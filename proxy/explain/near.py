"""How much of each limit a request has used: what, more of the same, would have had it found or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy.counters.protocol import (
    Different,
    Held,
    Novelty,
    Op,
    Reading,
    Reserve,
    Take,
    Taken,
    Tallied,
    Tally,
    Total,
)
from proxy.decision import Verb
from proxy.explain.levers import more
from proxy.explain.rates import Lever
from proxy.explain.trace import Trace, Weighed
from proxy.explain.way import Steps, fewest, judged, let_back, turned
from proxy.policy import suspicion


def nearest(trace: Trace) -> list[dict[str, Any]]:
    """Each limit that has not been reached, nearest first; those that would refuse before others."""
    # Of several asks in one body the last has come nearest: what was counted for the others stands.
    last = {one.rule.name: one for one in trace.weighed}
    told = [said for one in last.values() if (said := _of_rule(one, trace)) is not None]
    told += _of_suspicion(trace)
    return sorted(told, key=lambda one: (not one["refuses"], -one["used"], one["rule"]))


def _of_rule(one: Weighed, trace: Trace) -> dict[str, Any] | None:
    """Asked of the rule itself: how many more requests like this one it would have let pass."""
    rule = one.rule
    shadow = trace.watching or rule.mode == "shadow"
    if rule.action is None and rule.score is None:
        return None  # it links, and finds nothing
    if rule.score is None and rule.does.strongest <= Verb.ALLOW:
        return None
    if judged(one, trace, one.readings, shadow=shadow) is not None:
        return None
    refuses = rule.does.strongest.refuses
    target = Verb.THROTTLE if refuses else Verb.ALLOW

    def found(steps: Steps) -> bool:
        again = judged(one, trace, turned(one, steps), shadow=shadow)
        return again is not None and again.verb >= target

    needed = _fewest(one, list(more(one.ops, one.readings)), found)
    if not needed:
        return None
    said: dict[str, Any] = {
        "rule": rule.name,
        "used": min(_used(one, lever, steps) for lever, steps in needed),
        "would": " and ".join(lever.text(steps) for lever, steps in needed),
        "action": (rule.does.strongest if refuses else rule.does.verb).word,
        "refuses": refuses and not shadow,
    }
    if rule.score is not None:
        said["score"] = rule.score
    if shadow:
        said["shadow"] = True
    return said


def _fewest(one: Weighed, levers: list[Lever], found: Callable[[Steps], bool]) -> Steps:
    """The lever whose limit is nearest; where none is enough alone, all, each as little as needed."""
    alone = [steps for lever in levers if (steps := fewest(lever, found))]
    if alone:
        return max(alone, key=lambda steps: _used(one, *steps[0]))
    return let_back([(lever, lever.most) for lever in levers], found)


def _used(one: Weighed, lever: Lever, steps: int) -> float:
    """The share of what may be had that has been had: all but one step of what would be found."""
    had = _had(one.readings[lever.at], one.ops[lever.at])
    allowed = had + steps - 1
    return round(had / allowed, 3) if allowed > 0 else 0.0


def _had(reading: Reading, op: Op) -> int:
    """What a reading counts that a limit is set for."""
    match op, reading:
        case Take() | Reserve(), Taken():
            return max(0, op.burst - reading.remaining)
        case _, Total() | Novelty():
            return round(reading.total)
        case _, Different():
            return reading.distinct
        case _, Held():
            return reading.held
        case Tally(), Tallied() if op.items:
            return reading.shown[0]
    return 0


def _of_suspicion(trace: Trace) -> list[dict[str, Any]]:
    settings = trace.policy.suspicion
    told: list[dict[str, Any]] = []
    for stood in trace.standings:
        for threshold in settings.thresholds:
            at = threshold.at - suspicion.NEARLY
            strongest = threshold.action.strongest
            short = strongest is Verb.BLOCK and len(stood.families) < suspicion.FAMILIES_TO_BLOCK
            if stood.level >= at and not short:
                continue
            needs = f"a suspicion of {threshold.at:g} and not {stood.level:.1f}"
            if short:
                needs += f", of {suspicion.FAMILIES_TO_BLOCK} families of evidence"
            told.append(
                {
                    "rule": suspicion.NAME,
                    "used": round(min(stood.level / at, 1.0), 3),
                    "would": needs,
                    "action": strongest.word,
                    "refuses": strongest.refuses and not trace.watching,
                }
            )
    return told
