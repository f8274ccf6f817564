"""The targets, each as a check: met, missed, or not yet to be told, with its numbers and bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bench.detection.intervals import at_least, at_most, over_seeds

Populations = dict[str, dict[str, Any]]
LOUD = ("loud_key", "round_robin_50")
ADAPTIVE = ("hydra_adaptive", "evade_all")
HYDRA = (
    "hydra_2k_residential",
    "hydra_2k_datacenter",
    "hydra_1k_residential",
    "hydra_1k_datacenter",
)
NO_CAMPAIGNS = "no campaigns yet"


@dataclass(frozen=True)
class Target:
    """One line of the report."""

    what: str
    wanted: str
    found: str
    state: str
    """`met`, `missed`, `no campaigns yet`, `not measured`; of what is only reported, `told`."""


def targets(runs: list[Populations]) -> list[Target]:
    """All targets of the seeds of one scenario, judged by one policy."""
    found: list[Target] = []
    for name in HYDRA:
        if here := _of(runs, name):
            found += _hydra(name, here)
    for name in LOUD:
        if here := _of(runs, name):
            found.append(_stopped(name, here))
    found += _benign(runs)
    for name in ADAPTIVE:
        if here := _of(runs, name):
            found += _adaptive(name, here, _naive(runs))
    return found


def _of(runs: list[Populations], name: str) -> list[dict[str, Any]]:
    return [run[name] for run in runs if name in run]


def _naive(runs: list[Populations]) -> list[dict[str, Any]]:
    return next((here for name in HYDRA if (here := _of(runs, name))), [])


def _hydra(name: str, here: list[dict[str, Any]]) -> list[Target]:
    prevented = [1 - one["tokens_through"] for one in here if one["tokens_through"] is not None]
    held = _met(prevented, lambda mean: mean >= 0.8)
    found = [Target(f"{name}: tokens prevented", "≥ 80 %", seeds(prevented), held)]
    linked = [one["links"] for one in here]
    if any(one is None for one in linked):
        return [
            Target(f"{name}: in its campaign by the end of day 1", "≥ 90 %", "-", NO_CAMPAIGNS),
            Target(f"{name}: tokens out before linking", "≤ 15 %", "-", NO_CAMPAIGNS),
            *found,
        ]
    busy, members = (
        sum(one["busy"] for one in linked),
        sum(one["busy_linked_day_one"] for one in linked),
    )
    told = f"{members:,} of {busy:,} ({percent(members / busy if busy else 0)}; at least "
    told += f"{percent(at_least(members, busy))})"
    state = "met" if busy and members / busy >= 0.9 else "missed"
    before = [one["tokens_before_link"] or 0.0 for one in linked]
    return [
        Target(f"{name}: in its campaign by the end of day 1", "≥ 90 %", told, state),
        Target(
            f"{name}: tokens out before linking",
            "≤ 15 %",
            seeds(before),
            _met(before, lambda mean: mean <= 0.15),
        ),
        *found,
    ]


def _stopped(name: str, here: list[dict[str, Any]]) -> Target:
    accounts = sum(one["accounts"] for one in here)
    stopped = sum(one["stopped_accounts"] for one in here)
    worst = [one["stopped_after_max"] for one in here if one["stopped_after_max"] is not None]
    told = f"{stopped:,} of {accounts:,} accounts refused at all"
    if worst:
        told += f", the last after {max(worst):,} requests"
    met = stopped == accounts and max(worst, default=501) <= 500
    return Target(f"{name}: refused within", "500 requests", told, "met" if met else "missed")


def _benign(runs: list[Populations]) -> list[Target]:
    rows = [row for run in runs for row in run.values() if row["label"] == "benign"]
    if not rows:
        return []
    refused, accounts = sum(row["refused_beyond_limits"] for row in rows), _accounts(rows)
    declared = [row for row in rows if row["declared"]]
    slowest = max((row["delay_p99_s"] or 0.0 for row in rows), default=0.0)
    worst = max(rows, key=lambda row: row["delay_p99_s"] or 0.0)
    limits = sum(row["refused_accounts"] for row in rows)
    name = next(name for run in runs for name, row in run.items() if row is worst)
    return [
        Target(
            "benign accounts refused for anything but a plain limit",
            "none in 3,000",
            f"{refused} of {accounts:,}, at most {percent(at_most(refused, accounts), 3)}"
            f" ({limits} refused by anything)",
            "missed" if refused else "met" if accounts >= 3000 else "not measured",
        ),
        Target(
            "declared profiles refused",
            "none",
            f"{sum(row['refused_accounts'] for row in declared)} of {_accounts(declared):,}",
            "met" if not any(row["refused_accounts"] for row in declared) else "missed",
        ),
        Target(
            "benign added delay, p99 of the slowest population",
            "≤ 50 ms",
            f"{1000 * slowest:,.0f} ms ({name})",
            "met" if slowest <= 0.05 else "missed",
        ),
    ]


def _accounts(rows: Iterable[dict[str, Any]]) -> int:
    return sum(row["accounts"] for row in rows)


def _adaptive(name: str, here: list[dict[str, Any]], naive: list[dict[str, Any]]) -> list[Target]:
    prevented = [1 - one["tokens_through"] for one in here if one["tokens_through"] is not None]
    linked = [
        (one["links"]["members"] / one["accounts"]) for one in here if one["links"] is not None
    ]
    found = [
        Target(
            f"{name}: linked",
            "told",
            seeds(linked) if linked else "-",
            "told" if linked else NO_CAMPAIGNS,
        ),
        Target(f"{name}: tokens prevented", "told", seeds(prevented), "told"),
    ]
    if naive:
        costs = [cost(one) / cost(other) for one, other in zip(here, naive, strict=False)]
        told = seeds(costs, lambda one: f"{one:.2f} times")
        found.append(
            Target(f"{name}: sent per harvested token, against the naive one", "told", told, "told")
        )
    return found


def cost(row: dict[str, Any]) -> float:
    """What the tokens that an attacker got have cost him, for each: an output token at its price, an
    input token at a quarter of it. Refused attempts are free of charge; they cost him time."""
    got = row["through_tokens"]
    return (got + row["input_tokens"] / 4) / got if got else float("inf")


def _met(values: list[float], holds: Callable[[float], bool]) -> str:
    told = over_seeds(values)
    if told is None:
        return "not measured"
    return "met" if holds(told[0]) else "missed"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as people read it."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def seeds(values: list[float], says: Callable[[float], str] = percent) -> str:
    """A mean with its interval over seeds."""
    told = over_seeds(values)
    if told is None:
        return "-"
    mean, low, high = told
    if len(values) == 1:
        return says(mean)
    return f"{says(mean)} ({says(low)} to {says(high)})"
