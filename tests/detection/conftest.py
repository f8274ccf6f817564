"""A little of every scenario's traffic, made once, from the grammar: the tests need no evaluation data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.detection.event import Event
from bench.detection.generate import events, settings
from bench.detection.scenario import HERE, Scenario, load_scenario

HALVES = ("tuning", "testing")
SCENARIOS = tuple(
    f"{half}/{file.stem}" for half in HALVES for file in sorted((HERE / half).glob("*.yaml"))
)


def scenario(name: str) -> Scenario:
    return load_scenario(HERE / f"{name}.yaml")


def made(name: str, *, seed: int = 7, days: float = 0.25, data: Path | None = None) -> list[Event]:
    """A scenario's events at the smallest scale."""
    return list(events(settings(scenario(name), seed, data, scale=0.002, days=days)))


@pytest.fixture(scope="session")
def lines() -> list[dict[str, Any]]:
    """A quarter of a day of all harvests among everybody honest, as lines."""
    found = settings(scenario("testing/harvests"), 7, None, scale=0.002, days=0.25)
    return [orjson.loads(event.line()) for event in events(found)]
