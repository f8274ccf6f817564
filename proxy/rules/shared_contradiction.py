"""
shared_contradiction: accounts with the same false appearance.

A relay that pretends to be an SDK errs in the same way for all its keys: a User-Agent of one family,
headers or JSON of another ([client_fingerprint](client_fingerprint.md)). Accounts that show the same
contradiction under the same fingerprint are tied to it.

    - name: same-mask
      kind: shared_contradiction
      min_accounts: 5

It links, and judges nobody: see [campaigns](../campaigns.md). An account's end users do not write its
requests.

Blind spot: full imitation shows no contradiction, and the best of relays copy an SDK to the letter.

False positives: customers' own gateways and one balancer in front of all (set `header_evidence: off`
then).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from proxy.counters.protocol import SEEN_MAX
from proxy.decision import Family
from proxy.facts import Facts, Signal
from proxy.rules.linking import Sharing


class SharedContradiction(Sharing):
    """One false appearance."""

    kind: ClassVar[str] = "shared_contradiction"
    family: ClassVar[Family] = "client"
    derives: ClassVar[frozenset[Signal]] = frozenset({"client"})
    by_end_users: ClassVar[bool] = False

    min_accounts: int = Field(default=5, ge=2, le=SEEN_MAX, strict=True)
    """Accounts that must have shown it before it ties any."""

    def thing(self, facts: Facts) -> str | None:
        """See `Sharing`."""
        signals = facts.signals
        if not signals.contradictions or signals.client is None:
            return None
        return f"contradiction:{signals.client}"
