"""
shared_shape: accounts whose requests are written alike to the last parameter.

The order of a body's keys, the exact values of temperature, limits and penalties, the SDK and its
version, the order of headers: each is ordinary, all together are one program with one configuration.
Accounts whose requests have the same shape are tied to it.

    - name: same-hand
      kind: shared_shape
      min_accounts: 10

It links, and judges nobody: see [campaigns](../campaigns.md). An account's end users choose none of it.

Blind spot: who draws parameters anew for each account, or each request, has as many shapes.

False positives: an SDK's defaults are the shape of thousands who share nothing else: a request without
any parameter of its own has none here. Popular apps have a shape; without a second family it joins
nobody.
"""

from __future__ import annotations

from typing import ClassVar

from proxy.decision import Family
from proxy.facts import Facts, Signal
from proxy.rules.linking import Sharing


class SharedShape(Sharing):
    """One way of writing requests."""

    kind: ClassVar[str] = "shared_shape"
    family: ClassVar[Family] = "client"
    derives: ClassVar[frozenset[Signal]] = frozenset({"shape"})
    by_end_users: ClassVar[bool] = False

    def thing(self, facts: Facts) -> str | None:
        """See `Sharing`."""
        shape = facts.signals.shape
        return None if shape is None else f"request_shape:{shape}"
