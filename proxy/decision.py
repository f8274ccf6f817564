"""
What a policy made of a request: the findings, and the one decision out of them.

Frozen values; `policy/decide.py` makes them, `edge/` acts on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

from proxy.value import value

Family = Literal["volume", "content", "client", "network", "linkage", "listed"]
"""Kinds of evidence; a block out of suspicion needs two of them."""

Scalar = str | int | float | bool
Evidence = Mapping[str, Scalar]


class Verb(IntEnum):
    """What may happen to a request, weakest to strongest."""

    ALLOW = 0
    LOG = 1
    DELAY = 2
    DEGRADE = 3
    THROTTLE = 4
    BLOCK = 5

    @property
    def word(self) -> str:
        """The word used in policies, events and metrics."""
        return self.name.lower()

    @property
    def refuses(self) -> bool:
        """Whether the model never sees the request."""
        return self >= Verb.THROTTLE


@value
class Finding:
    """A rule has fired: why, and the numbers that it judged by."""

    reason: str
    evidence: Evidence
    wait_s: float = 0.0
    """Seconds that would bring the request into conformance, for `delay`."""
    retry_after_s: float | None = None
    """Exact seconds after which a retry would be admitted, for `throttle`."""


@value
class RuleFinding:
    """A finding, with the rule that made it and what that rule does about it."""

    rule: str
    kind: str
    family: Family | None
    """None for what joins several families: suspicion, gates and bans."""
    shadow: bool
    verb: Verb
    """The action after `delay` has been weighed against its `at_most`."""
    finding: Finding
    delay_s: float = 0.0
    delay_then: Verb = Verb.ALLOW
    """What happens where the edge has no room left to hold this request back."""
    ban_s: float = 0.0
    """Seconds that whom the rule counts is banned for."""
    subject: str | None = None
    """Whom that is."""


@value
class Decision:
    """The outcome for one request. `rule`, `kind`, `reason` name the strongest enforced finding."""

    verb: Verb = Verb.ALLOW
    rule: str | None = None
    kind: str | None = None
    reason: str | None = None
    evidence: Evidence | None = None
    delay_s: float = 0.0
    delay_then: Verb = Verb.ALLOW
    retry_after_s: float | None = None
    findings: tuple[RuleFinding, ...] = ()

    @property
    def shadow(self) -> tuple[str, ...]:
        """Names of the shadow rules that fired."""
        return tuple(found.rule for found in self.findings if found.shadow)


ALLOWED = Decision()
