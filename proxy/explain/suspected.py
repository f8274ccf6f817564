"""How a threshold of suspicion would not have been reached: asked of the policy itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

from proxy.decision import RuleFinding
from proxy.explain.trace import Trace
from proxy.explain.way import Holds, Way, least
from proxy.policy import suspicion
from proxy.policy.decide import jittered
from proxy.rules.units import duration_text

MOST_MINUTES: Final = 2**20
"""Two years: beyond it nothing fades any more that matters."""


def of_suspicion(trace: Trace, found: RuleFinding, in_the_way: Holds) -> Iterator[Way]:
    """Without what some rules have found of the subject, the fewest of them; or once it has faded."""
    stood = next((one for one in trace.standings if one.subject == found.subject), None)
    if stood is None:
        return
    settings = trace.policy.suspicion

    def worst(levels: dict[str, float]) -> RuleFinding | None:
        again = suspicion.standing(stood.name, stood.subject, levels, trace.policy.scoring)
        reached = suspicion.found(
            settings, again, watching=trace.watching, jitter=jittered(1.0, trace.jitter)
        )
        acting = [one for one in reached if not one.shadow]
        return max(acting, key=lambda one: one.verb, default=None)

    levels = dict(stood.levels)
    if not in_the_way(worst(levels)):
        return  # it has been found by what is not kept
    counted = [name for name in levels if not name.startswith(suspicion.SHADOW)]
    for size in range(1, len(counted) + 1):
        enough = [
            names
            for names in combinations(counted, size)
            if not in_the_way(worst({k: v for k, v in levels.items() if k not in names}))
        ]
        for names in enough:
            gone = " and ".join(f"{name} ({levels[name]:.1f})" for name in names)
            rest = worst({k: v for k, v in levels.items() if k not in names})
            yield Way((f"without what {gone} has found",), rest)
        if enough:
            break
    yield from _faded(settings.half_life, levels, worst, in_the_way)


def _faded(
    half_life: float,
    levels: dict[str, float],
    worst: Callable[[dict[str, float]], RuleFinding | None],
    in_the_way: Holds,
) -> Iterator[Way]:
    def after(minutes: int) -> RuleFinding | None:
        share = 0.5 ** (minutes * 60.0 / half_life)
        return worst({name: level * share for name, level in levels.items()})

    minutes = least(MOST_MINUTES, lambda k: not in_the_way(after(k)))
    if minutes is not None:
        text = f"{duration_text(minutes * 60.0)} later, if nothing new is found meanwhile"
        yield Way((text,), after(minutes))
