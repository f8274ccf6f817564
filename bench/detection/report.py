"""Tables in Markdown and charts out of a folder of results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.detection.charts import leaked, trade_off
from bench.detection.intervals import over_seeds
from bench.detection.run import Results, results
from bench.detection.targets import Populations, percent, seeds, targets

Group = dict[tuple[str, str], list[dict[str, Any]]]
_LABELS = ("harvest", "ambiguous", "benign")


def report(folder: Path, to: Path | None) -> Path:
    """Write `scoreboard.md` and the charts; where they are. Raises SystemExit where nothing was run."""
    found = results(folder)
    if not found:
        raise SystemExit(f"{folder}: no results: python -m bench.detection run comes first")
    into = to or folder / "report"
    into.mkdir(parents=True, exist_ok=True)
    groups = grouped(found)
    parts = [_head(found)]
    for scenario in dict.fromkeys(name for name, _ in groups):
        here = {policy: runs for (name, policy), runs in groups.items() if name == scenario}
        parts.append(_scenario(scenario, here, into))
    file = into / "scoreboard.md"
    file.write_text("\n".join(parts), encoding="utf-8")
    print(file)
    return file


def grouped(found: Results) -> Group:
    """The runs of each scenario and policy, one a seed."""
    groups: Group = {}
    for one in found:
        groups.setdefault((one["scenario"], one["policy"]), []).append(one)
    return groups


def _head(found: Results) -> str:
    scales = sorted({one["scale"] for one in found})
    told = "Means over seeds, with Student's 95 % interval where there are several."
    if scales != [1.0]:
        told += f" Accounts are scaled by {', '.join(map(str, scales))}."
    return f"# Scoreboard\n\n{told}\n"


def _scenario(name: str, policies: dict[str, list[dict[str, Any]]], into: Path) -> str:
    parts = [f"## {name}\n"]
    own = next((policy for policy in ("default", *policies) if policy in policies), "")
    runs = [run["populations"] for run in policies[own]]
    parts.append(f"Seeds: {len(runs)}. Policy: `{own}`.\n")
    parts += [_targets(runs), _populations(runs)]
    if len(policies) > 1:
        parts.append(_comparison(policies))
        points = {
            policy: _point([run["populations"] for run in of]) for policy, of in policies.items()
        }
        file = into / f"trade-off-{name}.svg"
        trade_off(file, f"{name}: detection against false positives", points)
        parts.append(f"![detection against false positives]({file.name})\n")
    first = policies[own][0]
    harvests = {n: row for n, row in first["populations"].items() if row["label"] == "harvest"}
    if harvests:
        file = into / f"leaked-{name}.svg"
        leaked(file, f"{name}: tokens leaked over time, {own}", harvests, first["until"])
        parts.append(f"![tokens leaked over time]({file.name})\n")
        parts += _by_policy(name, policies, harvests, into)
    return "\n".join(parts)


def _by_policy(
    name: str, policies: dict[str, list[dict[str, Any]]], harvests: Populations, into: Path
) -> list[str]:
    """One chart of the largest harvest under each policy."""
    if len(policies) < 2:
        return []
    largest = max(harvests, key=lambda one: harvests[one]["accounts"])
    rows = {policy: runs[0]["populations"][largest] for policy, runs in policies.items()}
    file = into / f"leaked-{name}-{largest}.svg"
    until = next(iter(policies.values()))[0]["until"]
    leaked(file, f"{largest}: tokens leaked over time, by policy", rows, until)
    return [f"![tokens leaked by {largest}, by policy]({file.name})\n"]


def _targets(runs: list[Populations]) -> str:
    rows = [(one.what, one.wanted, one.found, one.state) for one in targets(runs)]
    return table(("target", "wanted", "found", ""), rows)


def _populations(runs: list[Populations]) -> str:
    names = {name: row["label"] for run in runs for name, row in run.items()}
    ordered = sorted(names, key=lambda name: (_LABELS.index(names[name]), name))
    head = (
        *(
            "population",
            "accounts",
            "requests",
            "allowed",
            "delayed",
            "degraded",
            "throttled",
            "blocked",
        ),
        *("tokens before", "tokens in all", "first action p50, p90", "refused, beyond limits"),
        "delay p50, p99",
    )
    parts = []
    for label in _LABELS:
        of = [name for name in ordered if names[name] == label]
        if of:
            rows = [_population(name, [run[name] for run in runs if name in run]) for name in of]
            parts.append(f"### {label}\n\n{table(head, rows)}")
    return "\n".join(parts)


def _population(name: str, here: list[dict[str, Any]]) -> tuple[str, ...]:
    def mean(field: str) -> float:
        told = over_seeds([one[field] for one in here if one[field] is not None])
        return 0.0 if told is None else told[0]

    def several(field: str) -> str:
        return seeds([one[field] for one in here if one[field] is not None])

    shares = [percent(mean(word)) for word in ("allow", "delay", "degrade", "throttle", "block")]
    acted = any(one["acted_accounts"] for one in here)
    return (
        name,
        f"{mean('accounts'):,.0f}",
        f"{mean('requests'):,.0f}",
        *shares,
        several("tokens_before"),
        several("tokens_through"),
        f"{span(mean('acted_p50_s'))}, {span(mean('acted_p90_s'))}" if acted else "-",
        f"{_sum(here, 'refused_accounts')}, {_sum(here, 'refused_beyond_limits')}",
        f"{1000 * mean('delay_p50_s'):.0f} ms, {1000 * mean('delay_p99_s'):.0f} ms",
    )


def _sum(rows: list[dict[str, Any]], field: str) -> int:
    return sum(row[field] for row in rows)


def _comparison(policies: dict[str, list[dict[str, Any]]]) -> str:
    """Policies side by side: harvested tokens prevented, and honest accounts hit."""
    head = (
        "policy",
        "harvested tokens prevented",
        "harvesting accounts acted on",
        "honest refused",
        "acted on",
    )
    rows = []
    for policy, of in policies.items():
        runs = [run["populations"] for run in of]
        rows.append(
            (
                policy,
                seeds([prevented(run) for run in runs]),
                seeds([_part(run, "harvest", "acted_accounts") for run in runs]),
                seeds([_part(run, "benign", "refused_accounts") for run in runs]),
                seeds([_part(run, "benign", "acted_accounts") for run in runs]),
            )
        )
    return f"### by policy\n\n{table(head, rows)}"


def prevented(run: Populations) -> float:
    """Of all output tokens that harvests asked for, the share that never came."""
    rows = [row for row in run.values() if row["label"] == "harvest"]
    asked = sum(row["asked_tokens"] for row in rows)
    return 1 - sum(row["through_tokens"] for row in rows) / asked if asked else 0.0


def _part(run: Populations, label: str, field: str) -> float:
    rows = [row for row in run.values() if row["label"] == label]
    accounts = sum(row["accounts"] for row in rows)
    return sum(row[field] for row in rows) / accounts if accounts else 0.0


def _point(runs: list[Populations]) -> tuple[float, float]:
    wrong = over_seeds([_part(run, "benign", "acted_accounts") for run in runs])
    right = over_seeds([prevented(run) for run in runs])
    return (wrong[0] if wrong else 0.0), (right[0] if right else 0.0)


def span(seconds: float) -> str:
    """A time as people read it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
