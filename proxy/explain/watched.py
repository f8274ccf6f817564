"""
What shadow rules would have done, added up over an event log: to whom, over what time, and whether it adds
anything. Memory is bounded however long the log is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.clock import time_of
from proxy.decision import Decision, RuleFinding, Verb
from proxy.explain.would import enforced, findings_of
from proxy.policy import suspicion
from proxy.policy.decide import decide

MOST_NAMED: Final = 20_000
"""Accounts that are told apart for each rule."""
DAY_S: Final = 86_400.0
UNKNOWN: Final = "unknown"
"""What a rule would have done where an older event does not say."""

Profiles = Callable[[Mapping[str, Any]], str | None]
"""The declared profile of whoever an event is about."""


class Tallies(Counter[str]):
    """Counts by name, of which the smallest half is forgotten where there are too many."""

    def __init__(self) -> None:
        super().__init__()
        self.lossy = False
        """Whether some have been forgotten: then there are at least as many as are there."""

    def note(self, name: str) -> None:
        """Count one more."""
        self[name] += 1
        if len(self) > MOST_NAMED:
            kept = self.most_common(MOST_NAMED // 2)
            self.clear()
            self.update(dict(kept))
            self.lossy = True


@dataclass(slots=True)
class Watched:
    """What one shadow rule would have done."""

    rule: str
    kind: str = ""
    hits: int = 0
    verbs: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    accounts: Tallies = field(default_factory=Tallies)
    tiers: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    declared: Tallies = field(default_factory=Tallies)
    """`acme (rag)` → hits on it, of accounts that have declared what they are."""
    as_it_was: Counter[str] = field(default_factory=Counter)
    """What was decided on its hits."""
    adds: int = 0
    """Hits on which it alone would have done more than was done."""
    refuses: int = 0
    """Of these, hits that it would have refused and nobody did."""
    whole: int = 0
    """Hits on which nothing at all was enforced: shadow mode, or an allowance."""
    excused: int = 0
    """Hits besides these on accounts whose profile the policy at hand excuses."""
    first: float = 0.0
    last: float = 0.0

    def note(self, found: RuleFinding, event: Mapping[str, Any], at: float) -> None:
        """One more hit."""
        self.kind = found.kind
        self.hits += 1
        self.verbs[found.verb.word] += 1
        self.reasons[found.finding.reason] += 1
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)

    def note_who(self, event: Mapping[str, Any], profile: str | None) -> None:
        """To whom."""
        who = _who(event)
        self.accounts.note(who)
        if (tier := event.get("account.tier")) is not None:
            self.tiers[str(tier)] += 1
        if profile is not None:
            self.profiles[profile] += 1
            self.declared.note(f"{who} ({profile})")

    def note_difference(self, alone: Decision, event: Mapping[str, Any]) -> None:
        """What it alone would have made of a request, against what was done."""
        self.as_it_was[str(event.get("decision"))] += 1
        was = _verb(event.get("decision"))
        self.adds += alone.verb > was or (
            alone.verb is was is Verb.DELAY and alone.delay_s > (event.get("delayed_s") or 0.0)
        )
        self.refuses += alone.verb.refuses and not was.refuses
        self.whole += event.get("mode") is not None or event.get("allowance") is not None

    @property
    def share_declared(self) -> float:
        """The share of its hits that fall on accounts with a declared profile."""
        return sum(self.profiles.values()) / self.hits if self.hits else 0.0


class ShadowLog:
    """All shadow rules of a log."""

    def __init__(
        self, profile_of: Profiles, excuses: Mapping[str, Collection[str]] | None = None
    ) -> None:
        """`excuses` are the profiles that each rule leaves alone by now, whatever it did then."""
        self._profile_of = profile_of
        self._excuses = excuses or {}
        self.rules: dict[str, Watched] = {}
        self.ties: dict[str, Tallies] = {}
        """Rule that links, in force or in shadow → requests that it has tied, by account."""
        self.requests = 0
        self.first = 0.0
        self.last = 0.0

    @property
    def days(self) -> float:
        """Over what time its requests came."""
        return (self.last - self.first) / DAY_S

    def days_since(self, watched: Watched) -> float:
        """For how long a rule has been watched, as far as the log can tell: since it first fired."""
        return (self.last - watched.first) / DAY_S if watched.hits else 0.0

    def add(self, event: Mapping[str, Any]) -> None:
        """One more event; others than requests say nothing here."""
        if event.get("event") != "request":
            return
        at = time_of(event["timestamp"])
        self.requests += 1
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)
        for name in event.get("ties") or ():
            self.ties.setdefault(str(name), Tallies()).note(_who(event))
        if not event.get("shadow"):
            return
        findings = findings_of(event)
        profile = self._profile_of(event)
        known = {_name(found) for found in findings if found.shadow}
        for name in known:
            watched = self._of(name)
            if profile in self._excuses.get(name, ()):
                watched.excused += 1
                continue
            mine = [one for one in findings if one.shadow and _name(one) == name]
            acting = [one for one in findings if not one.shadow]
            watched.note(mine[0], event, at)
            watched.note_who(event, profile)
            watched.note_difference(decide([*acting, *map(enforced, mine)]), event)
        self._of_old_events(event, at, known)

    def _of_old_events(self, event: Mapping[str, Any], at: float, known: set[str]) -> None:
        """Events of an earlier version, or cut short, have names alone."""
        named = {str(name) for name in event["shadow"]}
        named -= {name.partition(" at ")[0] for name in known}
        for name in named - known:
            watched = self._of(name)
            watched.hits += 1
            watched.verbs[UNKNOWN] += 1
            watched.first, watched.last = min(watched.first or at, at), max(watched.last, at)
            watched.note_who(event, self._profile_of(event))
            watched.as_it_was[str(event.get("decision"))] += 1

    def _of(self, name: str) -> Watched:
        return self.rules.setdefault(name, Watched(name))


def _who(event: Mapping[str, Any]) -> str:
    return str(event.get("account") or event.get("client.address") or "nobody known")


def _name(found: RuleFinding) -> str:
    """A rule's name; of suspicion each threshold is a rule of its own."""
    if found.kind == suspicion.KIND:
        at = found.finding.evidence.get("at")
        return f"{found.told} at {f'{at:g}' if isinstance(at, int | float) else '?'}"
    return found.told


def _verb(word: object) -> Verb:
    return next((one for one in Verb if one.word == word), Verb.ALLOW)
