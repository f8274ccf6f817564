"""
shared_template: accounts that write one rare prompt frame.

A campaign's worker processes fill one sentence with questions, under hundreds of keys. How prompts
begin is told with their variable parts masked ([signals](../signals.md)); accounts whose prompts begin
alike are tied to that template, unless it is [common background](prompt_template.md).

    - name: same-frame
      kind: shared_template
      min_accounts: 10

It links, and judges nobody: see [campaigns](../campaigns.md). End users write prompts, so what they
share alone joins no accounts.

Blind spot: raw questions have no template, and who paraphrases the frame for each account shares none.

False positives: everybody who runs the same popular app. They are tied to it, and to nothing else that
a second family would tell; with an accounts file its template becomes background.
"""

from __future__ import annotations

from typing import ClassVar

from proxy.decision import Family
from proxy.facts import Facts, Signal
from proxy.rules.linking import Sharing


class SharedTemplate(Sharing):
    """One rare prompt frame."""

    kind: ClassVar[str] = "shared_template"
    family: ClassVar[Family] = "content"
    derives: ClassVar[frozenset[Signal]] = frozenset({"template"})
    by_end_users: ClassVar[bool] = True

    def thing(self, facts: Facts) -> str | None:
        """See `Sharing`."""
        template = facts.signals.template
        return None if template is None or facts.common_template else f"template:{template}"
