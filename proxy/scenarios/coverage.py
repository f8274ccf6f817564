"""
Which rules of a policy its tests show both ways: fired where a test needs it, and silent on a request that
they are about where a test needs that. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proxy.scenarios.load import LoadedSuite
from proxy.scenarios.run import Outcome


@dataclass(slots=True)
class Coverage:
    """Of one policy, over all of its suites."""

    policy: Path
    rules: tuple[str, ...]
    fired: set[str] = field(default_factory=set)
    kept_silent: set[str] = field(default_factory=set)
    uncovered: dict[str, str] = field(default_factory=dict)
    """Rules that no test is asked to cover, and why."""

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Take over what tests have shown; one that fails shows nothing."""
        for one in outcomes:
            if one.passed:
                self.fired |= one.fired & set(self.rules)
                self.kept_silent |= one.kept_silent & set(self.rules)

    @property
    def asked(self) -> tuple[str, ...]:
        """The rules that are to be covered."""
        return tuple(rule for rule in self.rules if rule not in self.uncovered)

    @property
    def covered(self) -> tuple[str, ...]:
        """Those that are shown both ways."""
        return tuple(rule for rule in self.asked if rule in self.fired & self.kept_silent)

    @property
    def share(self) -> float:
        """Of the rules that are to be covered; 1 where there is none."""
        return len(self.covered) / len(self.asked) if self.asked else 1.0

    def lacks(self, rule: str) -> str | None:
        """What is missing of a rule, in words."""
        if rule in self.uncovered:
            return f"not asked for: {self.uncovered[rule]}"
        missing = [
            word
            for word, shown in (
                ("no test needs it to fire", self.fired),
                ("no test needs it to be silent on a request that it is about", self.kept_silent),
            )
            if rule not in shown
        ]
        return "; ".join(missing) or None


def coverage_of(run: Sequence[tuple[LoadedSuite, Sequence[Outcome]]]) -> list[Coverage]:
    """One for each policy, in the order in which they were met."""
    found: dict[Path, Coverage] = {}
    for loaded, outcomes in run:
        path = loaded.policy_path.resolve()
        if path not in found:
            rules = tuple(rule.name for rule in loaded.policy.rules)
            found[path] = Coverage(loaded.policy_path, rules)
        found[path].uncovered |= loaded.suite.uncovered
        found[path].add(outcomes)
    return list(found.values())
