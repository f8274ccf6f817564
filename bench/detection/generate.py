"""A scenario becomes a file of labelled traffic, line by line, and a summary of what is in it."""

from __future__ import annotations

import gzip
import io
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench.detection.addresses import Addresses
from bench.detection.event import Event, merged
from bench.detection.populations import KINDS
from bench.detection.prompts import Library
from bench.detection.scenario import Population, Scenario
from bench.detection.setting import Setting, Traces

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def settings(
    scenario: Scenario,
    seed: int,
    data: Path | None,
    *,
    scale: float = 1.0,
    days: float | None = None,
    only: set[str] | None = None,
) -> Iterator[Setting]:
    """What each population is made with. `scale` is of accounts, not of what one account does."""
    library, addresses, traces = Library(data, scenario.half), Addresses(data), Traces(data)
    for one in scenario.populations:
        if only is not None and one.name not in only:
            continue
        yield Setting(
            one.name,
            one.kind,
            seed,
            scenario.days if days is None else days,
            _scaled(one, scale),
            one.per_day,
            one.options,
            library,
            addresses,
            traces,
        )


def _scaled(one: Population, scale: float) -> int:
    """A crew stays a crew: never below `at_least` (2, or all of a smaller one)."""
    least = min(one.accounts, int(one.options.get("at_least", 2)))
    return max(least, round(one.accounts * scale))


def events(made: Iterator[Setting]) -> Iterator[Event]:
    """All lines, in the order of time."""
    return merged([stream for setting in made for stream in KINDS[setting.kind](setting)])


@dataclass
class Summary:
    """What is in a file, population by population."""

    populations: dict[str, dict[str, Any]] = field(default_factory=dict)
    _asked: dict[str, array[int]] = field(default_factory=dict)
    _of: dict[str, str] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take a line into account."""
        row = self.populations.setdefault(
            event.population,
            {"label": event.label, "lines": 0, "conditional": 0, "output_tokens": 0},
        )
        row["lines"] += 1
        if event.answers is not None:
            row["conditional"] += 1
            return
        row["output_tokens"] += event.response["output_tokens"]
        account = f"{event.population}\0{event.who.account}"
        asked = self._asked.get(account)
        if asked is None:
            asked = self._asked[account] = array("q")
            self._of[account] = event.population
        asked.append(event.prompt)

    def told(self) -> dict[str, dict[str, Any]]:
        """The same with accounts, requests and distinct prompts of an account (p50), and of all."""
        seen: dict[str, list[array[int]]] = {}
        for account, asked in self._asked.items():
            seen.setdefault(self._of[account], []).append(asked)
        for name, row in self.populations.items():
            accounts = seen.get(name, [])
            distinct = sorted(len(set(asked)) for asked in accounts)
            requests = sum(map(len, accounts))
            row["accounts"] = len(accounts)
            row["requests"] = requests
            row["distinct_p50"] = distinct[len(distinct) // 2] if distinct else 0
            row["distinct_share"] = round(sum(distinct) / requests, 4) if requests else 0.0
        return self.populations


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """A file to write, packed as its name says."""
    if file.suffix == ".gz":
        with file.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
            yield io.BufferedWriter(packed, 1 << 20)  # type: ignore[type-var]
        return
    if file.suffix == ".zst":
        with zstd.ZstdFile(file, "wb", level=6) as packed:
            yield packed
        return
    with file.open("wb", buffering=1 << 20) as plain:
        yield plain


def generate(file: Path, made: Iterator[Setting]) -> dict[str, dict[str, Any]]:
    """Write the traffic; its summary."""
    summary = Summary()
    with opened(file) as out:
        for event in events(made):
            out.write(event.line())
            summary.add(event)
        out.flush()
    return summary.told()
