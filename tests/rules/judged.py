"""One rule over many requests, counted as in production: in the memory store, one after the other."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.decision import Finding
from proxy.facts import Facts
from proxy.rules.base import RuleKind

T0 = 1_700_000_000.0


async def judged(rule: RuleKind, requests: Iterable[tuple[float, Facts]]) -> list[Finding | None]:
    """What the rule finds about each of (seconds, facts); requests it is not about are left out."""
    store = MemoryStore(clock=SystemClock())
    found = []
    for at, facts in requests:
        subject = rule.subject(facts)
        assert subject is not None
        if rule.applies is None or rule.applies(facts):
            readings = await store.apply(rule.counters(facts, subject), T0 + at)
            found.append(rule.judge(facts, readings))
    return found
