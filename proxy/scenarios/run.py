"""run: the tests of a suite, each in a world of its own, and what came of them."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy.client.secret import Secret
from proxy.events import EventBuilder
from proxy.explain.told import of_trace
from proxy.explain.trace import trace_of
from proxy.explain.would import Told
from proxy.replay.result import Result
from proxy.replay.world import World
from proxy.scenarios.known import NamedNetworks
from proxy.scenarios.load import LoadedSuite
from proxy.scenarios.model import Scenario
from proxy.scenarios.said import said
from proxy.scenarios.traffic import Traffic
from proxy.scenarios.watch import Watched


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that does not hold."""

    where: str
    """Which step."""
    expected: str
    found: str
    number: int | None = None
    """The request, in its burst, that shows it best."""
    told: Told | None = None
    """Its explanation."""


@dataclass(slots=True)
class Outcome:
    """What came of a test."""

    test: Scenario
    line: int
    failures: list[Failure] = field(default_factory=list)
    requests: int = 0
    seconds: float = 0.0
    """CPU time that it took."""
    fired: set[str] = field(default_factory=set)
    """Rules that it needs to fire, and that have."""
    kept_silent: set[str] = field(default_factory=set)
    """Rules that it needs to be silent on requests that they are about, and that were."""

    @property
    def passed(self) -> bool:
        """Whether all expectations hold."""
        return not self.failures


def run(loaded: LoadedSuite, wanted: Iterable[int] | None = None) -> Iterator[Outcome]:
    """Run the tests, or those of the numbers that are wanted, in the file's order."""
    numbers = range(len(loaded.suite.tests)) if wanted is None else wanted
    networks = NamedNetworks(loaded.suite.networks)
    for number in numbers:
        started = time.process_time()
        outcome = _Run(loaded, number, networks).outcome()
        outcome.seconds = time.process_time() - started
        yield outcome


class _Run:
    """One test under way."""

    def __init__(self, loaded: LoadedSuite, number: int, networks: NamedNetworks) -> None:
        test = self._test = loaded.suite.tests[number]
        self._line = loaded.lines[number]
        midnight = datetime.datetime.combine(test.start, datetime.time(), datetime.UTC)
        self._secret = Secret(b"suite" * 7)
        self._world = World(
            loaded.policy,
            secret=self._secret,
            networks=networks,
            start=midnight.timestamp(),
            keep_visits=True,
        )
        self._traffic = Traffic(test, loaded.accounts, loaded.suite.defaults)
        bursts = [burst for step in test.steps for burst in step.bursts]
        self._places = _places(test)
        self._watched = [
            [Watched(one, loaded.policy, burst.times) for one in burst.expect] for burst in bursts
        ]
        every = sum(burst.times for burst in bursts)
        self._of_test = [Watched(one, loaded.policy, every) for one in test.expect]

    def outcome(self) -> Outcome:
        """Send all requests, and look."""
        outcome = Outcome(self._test, self._line)
        bursts = self._traffic.bursts
        for result in self._world.run(self._traffic.records()):
            for watched in self._watched[bursts[result.record.number]]:
                watched.see(result)
            for watched in self._of_test:
                watched.see(result)
            outcome.requests += 1
        if self._world.faults:
            kinds = ", ".join(
                f"{name} {n} times" for name, n in Counter(self._world.faults).items()
            )
            outcome.failures.append(Failure("the test", "no fault of Excise's own", kinds))
        if self._traffic.unknown:
            names = ", ".join(sorted(self._traffic.unknown)[:3])
            outcome.failures.append(Failure("the test", "accounts of the suite", f"not: {names}"))
        for place, group in zip(
            (*self._places, "all steps"), (*self._watched, self._of_test), strict=True
        ):
            for watched in group:
                self._judge(watched, place, outcome)
        return outcome

    def _judge(self, watched: Watched, place: str, outcome: Outcome) -> None:
        if watched.holds:
            outcome.fired |= watched.expectation.fires
            outcome.kept_silent |= set(watched.covers_silence)
            return
        outcome.failures.append(self._failure(watched, place))

    def _failure(self, watched: Watched, place: str) -> Failure:
        expected, found = said(watched.expectation), _found(watched)
        shows = watched.shows
        if shows is None:
            return Failure(place, expected, found)
        number, result = shows
        return Failure(place, expected, found, number, self._told(result))

    def _told(self, result: Result) -> Told | None:
        """The explanation of a request, as `excise explain` has it."""
        visit, progress = result.visit, result.progress
        if visit is None or progress is None:
            return None
        event = EventBuilder("full", self._secret.item_hash).request(
            visit, progress, result.delay_s
        )
        return of_trace(trace_of(visit, event))


def _places(test: Scenario) -> list[str]:
    places: list[str] = []
    for number, step in enumerate(test.steps, 1):
        several = step.together is not None
        places += [
            f"step {number}, burst {order}" if several else f"step {number}"
            for order, _ in enumerate(step.bursts, 1)
        ]
    return places


def _found(watched: Watched) -> str:
    if not watched.looked_at:
        return "no request is there to look at"
    decisions = ", ".join(f"{count} {word}" for word, count in watched.decisions.most_common(8))
    return f"true of {watched.true_of} of {watched.looked_at} requests: {decisions}"
