"""
What a policy has done to a record: by population, account, rule and time.

Bounded whatever the record's size: so many accounts are told apart, those that come first. Of what more
accounts send, requests and tokens still count for their population, and how many there were is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from proxy.replay.result import ENFORCED, SKIPPED, Result
from proxy.replay.statistics import Spread

WORDS: Final = ("allow", "log", "delay", "degrade", "throttle", "block", SKIPPED)
MAX_ACCOUNTS: Final = 200_000
"""Accounts that are told apart: some 100 MiB."""
MAX_POPULATIONS: Final = 1000
BEYOND: Final = "(more populations)"
BUCKETS: Final = 240
"""Pieces of time at most; as a record goes on each grows to hold twice as much."""

_ENFORCED: Final = frozenset(verb.word for verb in ENFORCED)
_REFUSED: Final = frozenset({"throttle", "block"})


@dataclass(slots=True)
class Counts:
    """Requests by what was decided, and their output tokens."""

    words: list[int] = field(default_factory=lambda: [0] * len(WORDS))
    """By WORDS."""
    asked: int = 0
    """Output tokens that were asked for; what is asked again after a refusal was asked for once."""
    passed: int = 0
    """Output tokens that were let through."""

    @property
    def happened(self) -> int:
        """Requests that happened: all but those that were skipped."""
        return sum(self.words) - self.words[-1]

    def of(self, *words: str) -> int:
        """Requests of these decisions."""
        return sum(self.words[WORDS.index(word)] for word in words)

    def add(self, at: int, asked: int, passed: int) -> None:
        """One request; `at` is its decision's place in WORDS."""
        self.words[at] += 1
        self.asked += asked
        self.passed += passed

    def join(self, other: Counts) -> None:
        """Take over another's."""
        self.words = [one + more for one, more in zip(self.words, other.words, strict=True)]
        self.asked += other.asked
        self.passed += other.passed


@dataclass(slots=True)
class AccountTally:
    """One account of one population."""

    name: str
    population: str
    label: str
    first: float
    """Seconds since the record's start, of its first request."""
    counts: Counts = field(default_factory=Counts)
    passed_before: int = 0
    """Output tokens that were let through before the first enforced action."""
    enforced_at: float | None = None
    """Of the first enforced action, since the record's start."""
    refused_at: float | None = None
    enforced: int = 0
    """Which rules acted on it, one bit each by `RuleTally.number`."""
    shadow: int = 0
    """Which rules would have, in shadow."""

    @property
    def wrongly_refused(self) -> bool:
        """Whether it is benign and was refused."""
        return self.label == "benign" and self.refused_at is not None


@dataclass(slots=True)
class RuleTally:
    """One rule."""

    name: str
    kind: str
    number: int
    enforced: int = 0
    """Requests on which it fired, enforced."""
    shadow: int = 0
    first_enforced: float | None = None
    first_shadow: float | None = None


@dataclass(slots=True)
class Population:
    """One kind of traffic."""

    name: str
    counts: Counts = field(default_factory=Counts)
    delays: Spread = field(default_factory=Spread)
    """Seconds added, over the requests that were let through."""
    beyond: int = 0
    """Requests of accounts that were not told apart."""
    timeline: dict[int, Counts] = field(default_factory=dict)
    """By piece of time."""


class Tally:
    """Everything that is counted of one policy's results."""

    def __init__(self, max_accounts: int = MAX_ACCOUNTS) -> None:
        self.populations: dict[str, Population] = {}
        self.accounts: dict[tuple[str, str], AccountTally] = {}
        self.rules: dict[str, RuleTally] = {}
        self.requests = 0
        """Lines, skipped ones among them."""
        self.last = 0.0
        """Seconds since the record's start, of its newest line."""
        self.bucket_s = 1.0
        """How long one piece of time is."""
        self._max_accounts = max_accounts

    def add(self, result: Result) -> None:
        """Count one result; they come in the record's order."""
        record, word = result.record, result.word
        at, skipped = WORDS.index(word), result.skipped
        asked = record.response.output_tokens if record.if_refused is None else 0
        passed = result.output_tokens
        self.requests += 1
        self.last = record.t
        population = self._population(record.population)
        population.counts.add(at, asked, passed)
        self._piece(population, record.t).add(at, asked, passed)
        account = self._account(result, population)
        if account is not None:
            account.counts.add(at, asked, passed)
        if skipped:
            return
        if word not in _REFUSED:
            population.delays.add(result.delay_s)
        if account is not None:
            if word in _ENFORCED and account.enforced_at is None:
                account.enforced_at = record.t
            if word in _REFUSED and account.refused_at is None:
                account.refused_at = record.t
            if account.enforced_at is None:
                account.passed_before += passed
        if result.decision.findings:
            self._fired(result, account)

    def _population(self, name: str) -> Population:
        found = self.populations.get(name)
        if found is None:
            if len(self.populations) >= MAX_POPULATIONS:
                name = BEYOND
            found = self.populations.setdefault(name, Population(name))
        return found

    def _account(self, result: Result, population: Population) -> AccountTally | None:
        record = result.record
        name = population.name, record.account
        found = self.accounts.get(name)
        if found is None:
            if len(self.accounts) >= self._max_accounts:
                population.beyond += 1
                return None
            found = AccountTally(record.account, population.name, record.label, record.t)
            self.accounts[name] = found
        return found

    def _fired(self, result: Result, account: AccountTally | None) -> None:
        t = result.record.t
        seen: set[tuple[str, bool]] = set()
        for found in result.decision.findings:
            if (found.rule, found.shadow) in seen:
                continue
            seen.add((found.rule, found.shadow))
            rule = self.rules.get(found.rule)
            if rule is None:
                rule = RuleTally(found.rule, found.kind, len(self.rules))
                self.rules[found.rule] = rule
            bit = 1 << rule.number
            if found.shadow:
                rule.shadow += 1
                rule.first_shadow = t if rule.first_shadow is None else rule.first_shadow
            else:
                rule.enforced += 1
                rule.first_enforced = t if rule.first_enforced is None else rule.first_enforced
            if account is not None:
                account.shadow |= bit if found.shadow else 0
                account.enforced |= 0 if found.shadow else bit

    def _piece(self, population: Population, t: float) -> Counts:
        while t >= self.bucket_s * BUCKETS:
            self.bucket_s *= 2
            for one in self.populations.values():
                one.timeline = _halved(one.timeline)
        at = int(t / self.bucket_s)
        found = population.timeline.get(at)
        if found is None:
            found = population.timeline[at] = Counts()
        return found


def _halved(timeline: dict[int, Counts]) -> dict[int, Counts]:
    joined: dict[int, Counts] = {}
    for at, counts in timeline.items():
        joined.setdefault(at // 2, Counts()).join(counts)
    return joined
