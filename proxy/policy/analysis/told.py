"""What has been found so far, and the words for its codes."""

from __future__ import annotations

from typing import Final

from proxy.policy.analysis.traffic import served
from proxy.policy.load import Source
from proxy.policy.mistake import Mistake
from proxy.policy.places import Spot
from proxy.policy.yamltree import Path as Place

CODES: Final = {
    "never-matches": "a `match` contradicts itself, or what else stands beside it",
    "no-served-route": "a `match` holds on no route that this policy serves",
    "gate-first": "a gate refuses all that a rule is about before any rule is judged",
    "nothing-to-see": "a kind finds nothing to count on the routes that its `match` leaves",
    "no-subject": "the routes that a rule is about have no such subject",
    "never-true": "an expression is false whatever is asked",
    "always-true": "an expression is true whatever is asked",
    "unreachable-limit": "no request can reach a limit, or choose a tier",
    "overruled": "an action never decides: another one is always there, and as strong",
    "expired-exemption": "an exemption whose last day is over",
    "expired-entry": "entries of a list whose last day is over",
    "idle-exemption": "an exemption that covers no request of the rules that it names",
    "unknown-account": "no declared account has that name",
    "unknown-tier": "no declared account has that tier",
    "undeclared": "no declared account has all that a `match` asks for together",
    "one-family-ban": "a ban rests on one family of evidence",
    "one-family-threshold": "one family of evidence reaches a threshold that refuses",
    "unreachable-threshold": "all scores together stay below a threshold",
    "no-campaigns": "campaigns are counted or suspected, and there can be none",
    "never-blocks": "a block out of suspicion needs two families that score",
}
"""Code → what it says. They are an interface: scripts name them."""


class Told:
    """The policy that is looked at, and what is said of it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.policy = source.policy
        self.main = Spot(source.tree)
        self._found: set[Mistake] = set()
        self.routes = served(source.policy)
        self.canonical = {
            rule.name: "" if rule.match is None else rule.match.canonical()
            for rule in source.policy.rules
        }
        """Rule → its match, as one text for one meaning."""
        self.dead: set[str] = set()
        """Rules that never fire: what else could be said of them is said already."""

    def spot(self, at: int) -> Spot:
        """Where the `at`-th rule stands."""
        return self.source.spots[at]

    def say(
        self,
        code: str,
        spot: Spot,
        path: Place,
        message: str,
        suggestion: str | None = None,
        *,
        key: bool = False,
    ) -> None:
        """Note a warning at a path below a spot."""
        assert code in CODES, code
        file, line, column = spot.at(path, key=key)
        self._found.add(Mistake(file, line, column, message, suggestion, code))

    def sorted(self) -> list[Mistake]:
        """All, by their places."""
        return sorted(self._found, key=lambda one: (one.file, one.line, one.column, one.message))
