"""
What a policy may hold, but hardly on purpose: warnings, each with its place and a code that docs/check.md
explains. One file a family of findings; pure, and never part of a request's way.

What is said here must be certain from the policy alone (and the accounts file, where one is given): where
it could be otherwise, nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.client.accounts import Account
from proxy.policy.analysis.campaigns import campaigns
from proxy.policy.analysis.declared import declared
from proxy.policy.analysis.exemptions import exemptions
from proxy.policy.analysis.families import families
from proxy.policy.analysis.limits import limits
from proxy.policy.analysis.listings import listings
from proxy.policy.analysis.matches import matches
from proxy.policy.analysis.overruled import overruled
from proxy.policy.analysis.told import CODES, Told
from proxy.policy.load import Source
from proxy.policy.mistake import Mistake

__all__ = ["CODES", "analyse"]


def analyse(source: Source, now: float, accounts: Sequence[Account] | None = None) -> list[Mistake]:
    """All warnings of a policy, in the order of their places; `now` in Unix seconds."""
    told = Told(source)
    matches(told)
    limits(told)
    overruled(told)
    exemptions(told, now)
    listings(told, now)
    families(told)
    campaigns(told)
    if accounts is not None:
        declared(told, accounts)
    return told.sorted()
