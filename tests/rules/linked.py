"""Accounts that show things to one rule that links, and what they are tied to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from proxy.campaigns.ties import Tie
from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.facts import Ask, Facts, Outcome, Signals, Turn
from proxy.rules.base import RuleKind
from tests.policy.facts import facts

T0 = 1_700_000_000.0


def shown(
    who: str, *, signals: Signals | None = None, prompt: str = "", bytes_: int = 500, **client: Any
) -> Facts:
    """A request of one account."""
    given = {"account": who, "key_id": f"key_{who}", "account_source": "key", **client}
    made = facts(**given)
    ask = Ask("large", (Turn("user", prompt),))
    return replace(made, ask=ask, signals=signals or Signals(), request_bytes=bytes_)


async def tied(
    rule: RuleKind,
    requests: Iterable[tuple[float, Facts]],
    refused: Iterable[int] = (),
    throttled: Iterable[int] = (),
) -> list[tuple[Tie, ...]]:
    """What each of (seconds, facts) was tied to; those whose number is `refused` end so, or are
    `throttled` by the upstream."""
    store, found, turned_away = MemoryStore(clock=SystemClock()), [], frozenset(refused)
    limited = frozenset(throttled)
    for number, (at, came) in enumerate(requests):
        one = replace(came, now=T0 + at)
        subject = rule.subject(one)
        assert subject is not None
        ops = rule.counters(one, subject)
        readings = await store.apply(ops, T0 + at)
        found.append(rule.ties(one, ops, readings))
        if rule.settles:
            outcome = Outcome(
                refused=number in turned_away,
                served=number not in turned_away,
                throttled=number in limited,
            )
            await store.apply(rule.settle(one, ops, readings, outcome), T0 + at)
    return found


def things(ties: Iterable[Tie]) -> set[str]:
    """What they lead to."""
    return {tie.thing for tie in ties}
