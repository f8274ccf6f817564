"""
egress_hub: accounts that come from one address.

A relay calls with all its keys from its own few servers. Accounts that come from one address, or one
network, within the window are tied to it.

    - name: one-exit
      kind: egress_hub
      by: subnet
      window: 1h
      min_accounts: 10

It links, and judges nobody: see [campaigns](../campaigns.md). An account's end users do not choose the
address that its software calls from.

Blind spot: residential proxies give each account addresses of its own, and nobody sees whose they are.

False positives: offices, campuses, mobile carriers and clouds' shared exits. Address alone joins
nobody; networks that the account declares are not counted.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from proxy.counters.protocol import SEEN_MAX
from proxy.decision import Family
from proxy.facts import Facts
from proxy.rules.fields import Duration
from proxy.rules.linking import Sharing


class EgressHub(Sharing):
    """One exit."""

    kind: ClassVar[str] = "egress_hub"
    family: ClassVar[Family] = "network"
    by_end_users: ClassVar[bool] = False

    by: Literal["address", "subnet"] = "subnet"
    """What is taken for one exit."""
    window: Duration = 3600.0
    """The time within which they must have shown it."""
    min_accounts: int = Field(default=10, ge=2, le=SEEN_MAX, strict=True)
    """Accounts that must have shown it before it ties any."""

    def counted_by(self) -> tuple[str, ...]:
        """The window, and what an exit is."""
        return (*super().counted_by(), f"by={self.by}")

    def looks_at_body(self) -> bool:
        """The address alone tells."""
        return False

    def thing(self, facts: Facts) -> str | None:
        """See `Sharing`."""
        client = facts.client
        if client.declared_network:
            return None
        return f"{self.by}:{getattr(client, self.by)}"
