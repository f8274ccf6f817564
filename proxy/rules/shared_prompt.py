"""
shared_prompt: accounts that ask nearly the same question.

A list of prompts that is dealt out to many accounts overlaps with itself: near-duplicates, repeats
after an error, the same seeds evolved. Accounts that ask nearly the same ([how that is
told](../signals.md#prompts-that-say-nearly-the-same)) are tied to the question.

    - name: same-questions
      kind: shared_prompt
      min_accounts: 3

It links, and judges nobody: see [campaigns](../campaigns.md). End users ask questions, so what they
share alone joins no accounts.

Blind spot: a list that is dealt out without any repeat overlaps nowhere, and paraphrases do not meet.

False positives: what the whole world asks today, and exercises of one class. Very common questions are
shared by too many accounts to tell anything and link last.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from proxy.counters.protocol import SEEN_MAX
from proxy.decision import Family
from proxy.facts import Facts, Signal
from proxy.rules.linking import Sharing


class SharedPrompt(Sharing):
    """One question."""

    kind: ClassVar[str] = "shared_prompt"
    family: ClassVar[Family] = "content"
    derives: ClassVar[frozenset[Signal]] = frozenset({"overlap"})
    by_end_users: ClassVar[bool] = True

    min_accounts: int = Field(default=3, ge=2, le=SEEN_MAX, strict=True)
    """Accounts that must have shown it before it ties any."""

    def thing(self, facts: Facts) -> str | None:
        """See `Sharing`."""
        overlap = facts.signals.overlap
        return None if overlap is None else f"prompt:{overlap}"
