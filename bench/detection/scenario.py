"""Scenario files: which populations, how many accounts, for how long, with which seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.detection.populations import KINDS

HERE = Path(__file__).parent
_OWN = {"name", "kind", "accounts", "per_day", "each"}
_FIELDS = {"name", "about", "seeds", "days", "half", "include", "populations"}


class ScenarioError(ValueError):
    """A scenario file that cannot be used."""


@dataclass(frozen=True)
class Population:
    """One population, as a scenario file has it."""

    name: str
    kind: str
    accounts: int
    per_day: float
    options: dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A file of `tuning/` or `testing/`."""

    name: str
    about: str
    seeds: tuple[int, ...]
    days: float
    half: int
    populations: tuple[Population, ...]


def load_scenario(file: Path) -> Scenario:
    """A scenario file. `include: [other.yaml]` takes over another one's populations; `each` makes one
    population of each of its entries. Raises ScenarioError."""
    found = _mapping(file)
    unknown = set(found) - _FIELDS
    if unknown:
        raise ScenarioError(f"{file}: unknown fields: {', '.join(sorted(unknown))}")
    rows = [row for name in found.get("include", ()) for row in _rows(file.parent / name)]
    populations = tuple(_population(file, row) for row in [*rows, *_rows(file)])
    names = [one.name for one in populations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ScenarioError(f"{file}: populations named twice: {', '.join(twice)}")
    return Scenario(
        found["name"],
        found.get("about", ""),
        tuple(found["seeds"]),
        float(found["days"]),
        int(found["half"]),
        populations,
    )


def _mapping(file: Path) -> dict[str, Any]:
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ScenarioError(f"{file}: must be a mapping")
    return found


def _rows(file: Path) -> list[dict[str, Any]]:
    rows: Iterable[dict[str, Any]] = _mapping(file).get("populations", ())
    found = []
    for row in rows:
        each: list[dict[str, Any]] = row.get("each", [{}])
        found += [{**row, **one} for one in each]
    return found


def _population(file: Path, row: dict[str, Any]) -> Population:
    missing = _OWN - {"each"} - set(row)
    if missing:
        raise ScenarioError(f"{file}: {row.get('name', row)} lacks {', '.join(sorted(missing))}")
    if row["kind"] not in KINDS:
        raise ScenarioError(f"{file}: {row['name']}: no such kind: {row['kind']}")
    options = {name: given for name, given in row.items() if name not in _OWN}
    return Population(
        row["name"], row["kind"], int(row["accounts"]), float(row["per_day"]), options
    )


def named(name: str) -> Path:
    """`testing/week` or a path."""
    inside = HERE / f"{name}.yaml"
    return inside if inside.exists() else Path(name)
