"""
probe_fan_out: the same short test under many keys within minutes.

Relays ask each of their keys in turn whether it still works: "hi" with 16 tokens, or "output only your
model name". Accounts that send the same body with so short a prompt within the window are tied to it.

    - name: same-probe
      kind: probe_fan_out
      window: 10m
      min_accounts: 5

It links, and judges nobody: see [campaigns](../campaigns.md). The whole body belongs to it, which an
account's end users do not write.

Blind spot: probes with something random in them, and keys that are tested hours apart from each other.

False positives: a popular SDK's first example, run by many in the same minutes. It is one tie, and
needs a second family.
"""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from proxy.counters.protocol import SEEN_MAX
from proxy.decision import Family
from proxy.facts import Facts, Signal, prompt_bytes
from proxy.rules.fields import Duration
from proxy.rules.linking import Sharing

MOST_BYTES: Final = 64
"""Of a probe's text."""
MOST_TURNS: Final = 2


class ProbeFanOut(Sharing):
    """One test of many keys."""

    kind: ClassVar[str] = "probe_fan_out"
    family: ClassVar[Family] = "linkage"
    derives: ClassVar[frozenset[Signal]] = frozenset({"body"})
    by_end_users: ClassVar[bool] = False

    window: Duration = 600.0
    """The time within which they must have shown it."""
    min_accounts: int = Field(default=5, ge=2, le=SEEN_MAX, strict=True)
    """Accounts that must have shown it before it ties any."""

    def thing(self, facts: Facts) -> str | None:
        """See `Sharing`."""
        body, ask = facts.signals.body, facts.ask
        if body is None or ask is None or facts.part:
            return None
        if len(ask.turns) > MOST_TURNS or prompt_bytes(ask) > MOST_BYTES:
            return None
        return f"probe:{body}"
