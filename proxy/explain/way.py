"""A way in which a finding would not have been, and the search for the smallest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.counters.protocol import Reading
from proxy.decision import RuleFinding
from proxy.explain.rates import Lever
from proxy.explain.trace import Trace, Weighed
from proxy.facts import Facts
from proxy.judgement import whose
from proxy.policy.decide import weigh
from proxy.value import value

Holds = Callable[[RuleFinding | None], bool]
"""Whether a finding, or none, still stands in the way."""


@value
class Way:
    """One way in which a finding would not have been: changes that go together."""

    changes: tuple[str, ...]
    left: RuleFinding | None
    """What the rule would have found instead."""
    shared: str | None = None
    """What the change is about, where it may serve other findings too: `declared_network`."""
    seconds: float | None = None
    """How much later, where that is the change."""


def judged(
    one: Weighed,
    trace: Trace,
    readings: Sequence[Reading],
    *,
    shadow: bool,
    facts: Facts | None = None,
) -> RuleFinding | None:
    """What a rule finds of other readings, or of other facts."""
    given = one.facts if facts is None else facts
    if facts is not None and one.rule.applies is not None and not one.rule.applies(facts):
        return None
    finding = one.rule.judge(given, readings)
    if finding is None:
        return None
    finding = whose(one.rule, one.ops, finding)
    subject = one.rule.subject(given)
    return weigh(one.rule, finding, subject, shadow=shadow, jitter=trace.jitter)


Steps = list[tuple[Lever, int]]
"""Levers, and by how much each is turned."""


def turned(one: Weighed, steps: Steps) -> list[Reading]:
    """What would have been read."""
    readings = list(one.readings)
    for lever, count in steps:
        readings[lever.at] = lever.turned(readings[lever.at], count)
    return readings


def fewest(lever: Lever, enough: Callable[[Steps], bool]) -> Steps:
    """One lever alone, turned as little as is enough; empty where it never is."""
    steps = least(lever.most, lambda count: enough([(lever, count)]))
    return [] if steps is None else [(lever, steps)]


def let_back(steps: Steps, enough: Callable[[Steps], bool]) -> Steps:
    """All levers as far as they go, then each let back as far as may be; empty where all are not enough."""
    if not steps or not enough(steps):
        return []
    kept = list(steps)
    for at, (lever, most) in enumerate(steps):

        def of(count: int, at: int = at, lever: Lever = lever) -> bool:
            return enough([*kept[:at], (lever, count), *kept[at + 1 :]])

        kept[at] = (lever, 0 if of(0) else least(most, of) or most)
    return [(lever, count) for lever, count in kept if count]


def least(most: int, enough: Callable[[int], bool]) -> int | None:
    """The fewest steps of 1 to `most` that are enough, and one fewer is not; None where none are."""
    high = 1
    while high < most and not enough(high):
        high = min(high * 2, most)
    if most < 1 or not enough(high):
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
