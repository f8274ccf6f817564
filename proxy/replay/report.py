"""
One replay from end to end: records through one world or two, and everything that is to be said of it.

`Report.told()` is plain data, and all that tables, pages and `--json` are made of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final

from proxy.policy.model import Policy
from proxy.replay import summary
from proxy.replay.compare import Comparison
from proxy.replay.records import Record
from proxy.replay.result import Result
from proxy.replay.tally import MAX_ACCOUNTS, Tally
from proxy.replay.words import untold
from proxy.replay.world import World

FORMAT: Final = 1
"""Of the JSON summary."""


class Report:
    """What a replay has shown so far."""

    def __init__(
        self, world: World, against: World | None = None, max_accounts: int = MAX_ACCOUNTS
    ) -> None:
        self.record_notes: Callable[[], list[str]] = list
        """What is to be said of the record, once it has been read."""
        self.world = world
        self.against = against
        self.tally = Tally(max_accounts)
        self.comparison = None if against is None else Comparison()

    def run(
        self, records: Iterable[Record], told: Callable[[Result], None] | None = None
    ) -> Report:
        """Replay everything; `told` is given each result of the policy, in the record's order."""
        for result, other in _both(self.world, self.against, records):
            self.tally.add(result)
            if self.comparison is not None and other is not None:
                self.comparison.add(result, other)
            if told is not None:
                told(result)
        return self

    def told(self, top: int) -> dict[str, Any]:
        """The summary, with so many accounts where accounts are told."""
        tally = self.tally
        report: dict[str, Any] = {
            "format": FORMAT,
            "policy": _policy(self.world.policy),
            "against": None if self.against is None else _policy(self.against.policy),
            "lines": tally.requests,
            "seconds": tally.last,
            "populations": summary.populations(tally),
            "rules": summary.rules(tally),
            "accounts": summary.accounts(tally, top),
            "detection": summary.detection(tally),
            "changes": None if self.comparison is None else self.comparison.told(top),
            "timeline": summary.timeline(tally),
            "notes": self.notes(),
        }
        return report

    def notes(self) -> list[str]:
        """What a reader has to know besides: what was not modelled, and bounds that were met."""
        notes = [*self.record_notes(), *(one for world in self._worlds for one in world.notes())]
        measures = summary.detection(self.tally)
        notes += [] if measures is None else untold(measures)
        beyond = sum(population.beyond for population in self.tally.populations.values())
        if beyond:
            notes.append(
                f"only the first {len(self.tally.accounts)} accounts are told apart; {beyond} requests of "
                "others count for their population alone"
            )
        return list(dict.fromkeys(notes))

    @property
    def _worlds(self) -> list[World]:
        return [self.world] if self.against is None else [self.world, self.against]


def _both(
    world: World, against: World | None, records: Iterable[Record]
) -> Iterator[tuple[Result, Result | None]]:
    """The results of both worlds, line by line, in one pass: a stream is read once."""
    if against is None:
        yield from ((result, None) for result in world.run(records))
        return
    mine: deque[Result] = deque()
    others: deque[Result] = deque()
    for record in chain(records, (None,)):
        mine += world.finish() if record is None else world.feed(record)
        others += against.finish() if record is None else against.feed(record)
        while mine and others:
            yield mine.popleft(), others.popleft()


def _policy(policy: Policy) -> dict[str, Any]:
    return {"digest": policy.digest, "mode": policy.mode, "rules": len(policy.rules)}
