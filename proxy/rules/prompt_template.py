"""
prompt_template: nearly all of a caller's prompts begin alike, and nobody else's do.

A sweep wraps its list of questions into one sentence. How prompts begin is told with their variable
parts masked ([signals](../signals.md)); a caller of whom one such beginning makes nearly all requests
is found, unless that beginning is common.

Common background is what many long-standing customers use: a popular app's prompt, an SDK's example. A
template becomes common once `common_accounts` accounts of the accounts file, each a customer for
`common_age` (`since:` there), have used it within `common_for`, and stays so for that long. Nobody can
invent such accounts; it is logged (`common_learnt`), and `excise background revoke` takes it back.
Without an accounts file nothing is learnt.

    - name: one-template
      kind: prompt_template
      per: account
      window: 1d
      min_requests: 500
      max_share: 0.95
      excuse: [batch, gateway, multi_tenant, rag]
      score: 10

Blind spot: raw questions have no template (harvests of GSM8K or Alpaca as they are show a share of
0.01), and who paraphrases the wrapper has many.

False positives: any product with one form looks just so, and there are many. Alone it means nothing:
score it low, beside kinds that tell what a product does not do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from proxy.counters.protocol import Different, Distinct, Op, Reading, Tallied, Tally
from proxy.decision import Evidence, Family, Finding
from proxy.facts import PROMPTING, Facts, Signal
from proxy.rules.base import Learnt, RuleKind
from proxy.rules.fields import Duration
from proxy.rules.items import item

MAX_ACCOUNTS: Final = 128


class PromptTemplate(RuleKind):
    """The share of one masked beginning among a caller's prompts."""

    kind: ClassVar[str] = "prompt_template"
    family: ClassVar[Family] = "content"
    derives: ClassVar[frozenset[Signal]] = frozenset({"template"})
    learns: ClassVar[bool] = True

    window: Duration = 86_400.0
    """The time over which requests are counted, `1d`."""
    min_requests: int = Field(default=500, ge=10, le=1_000_000, strict=True)
    """Requests with a prompt in the window before anything is judged."""
    max_share: float = Field(default=0.95, gt=0, lt=1, strict=True)
    """The share of one template above which it fires."""
    common_accounts: int = Field(default=20, ge=5, le=MAX_ACCOUNTS, strict=True)
    """Long-standing accounts of the accounts file that make a template common."""
    common_age: Duration = 90 * 86_400.0
    """How long an account must have been a customer to have a say in that."""
    common_for: Duration = 30 * 86_400.0
    """The time within which they must have used it, and for which it is common then."""

    def counted_by(self) -> tuple[str, ...]:
        """The window; floor and share only judge."""
        return (f"window={self.window:g}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Requests, and those that begin like this one; and which old customers begin so."""
        if facts.ask is None or facts.route.operation not in PROMPTING:
            return ()
        template = facts.signals.template
        shown = () if template is None else (item(template),)
        tally = Tally(subject, self.key, self.window, shown)
        if template is None or facts.common_template or not self._has_a_say(facts):
            return (tally,)
        account = item(str(facts.client.account))
        owners = f"template:{template}"
        seen = Distinct(
            owners, f"accounts:{self.common_for:g}", self.common_for, account, self.common_accounts
        )
        return (tally, seen)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on a request of the template that nearly all are of, unless that is common."""
        if not readings or facts.signals.template is None or facts.common_template:
            return None
        read = readings[0]
        assert isinstance(read, Tallied)
        if read.requests < self.min_requests or read.shown[0] <= self.max_share * read.requests:
            return None
        evidence: Evidence = {
            "requests": read.requests,
            "share": round(read.shown[0] / read.requests, 3),
            "max_share": self.max_share,
            "template": facts.signals.template,
        }
        return Finding("prompts_from_one_template", evidence)

    def learnt(self, facts: Facts, readings: Sequence[Reading]) -> Learnt | None:
        """A template that enough old customers have used."""
        if len(readings) < 2 or not isinstance(seen := readings[1], Different):
            return None
        if seen.distinct < self.common_accounts:
            return None
        because = f"{self.common_accounts} long-standing accounts use it"
        return Learnt(f"template:{facts.signals.template}", self.common_for, because)

    def _has_a_say(self, facts: Facts) -> bool:
        since = facts.client.since
        return since is not None and facts.now - since >= self.common_age
