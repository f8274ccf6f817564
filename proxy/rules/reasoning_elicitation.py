"""
reasoning_elicitation: prompts that make a model write out the reasoning that it keeps to itself.

Whoever trains a model on another one's answers wants its reasoning most: "articulate the internal
reasoning step by step", in whatever language. A prompt is weighed by a lexicon of words and structures,
times `budget_factor` where much thinking is asked for besides; from `min_weight` on it counts. The
share of such prompts is judged, once there is enough to judge.

    - name: coerced-reasoning
      kind: reasoning_elicitation
      per: account
      window: 1d
      min_requests: 50
      max_share: 0.3
      excuse: [eval]
      score: 25

The shipped lexicon knows English, Chinese, Russian, Spanish, French and German. "Step by step" alone
weighs a half, for half the world asks so; "write out" near "hidden" near "reasoning" weighs three.
Copy `library/lexicons/reasoning.yaml` beside the policy to edit it, and name the copy: `lexicon:
reasoning.yaml`. The log shows what a prompt weighed (`request.terms`), never its words. What was
measured stands in [signals](../signals.md#lexicons).

Blind spot: words that the lexicon does not foresee. Of prompts in words that were held out it finds a
third, so it finds who repeats phrases and not who words each prompt anew. Nor does it see other
languages, letters set apart, or an order in the middle of more than 4096 characters. Who simply asks
mathematics and keeps the answers coerces nothing: of 7,473 such prompts none is found. Harvests of
answers are the matter of [prompt_diversity](prompt_diversity.md).

False positives: research on prompting, evaluation harnesses that want `<think>` tags, and agents whose
own instructions in the user's turn ask for a plan in tags. They do so in each request: look at whom it
finds before it acts, let harnesses declare `profile: eval`, and take a product's words out of your copy
of the lexicon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from proxy.counters.protocol import Op, Reading, Tallied, Tally
from proxy.decision import Evidence, Family, Finding
from proxy.facts import PROMPTING, Facts
from proxy.rules.lexical import Lexical

COERCED: Final = (1,)
MUCH_EFFORT: Final = frozenset({"high", "xhigh", "max"})
"""Words for an effort that is as much as a large budget."""


class ReasoningElicitation(Lexical):
    """The share of prompts that ask for hidden reasoning."""

    kind: ClassVar[str] = "reasoning_elicitation"
    family: ClassVar[Family] = "content"

    lexicon: str = "library/lexicons/reasoning.yaml"
    """The lexicon: a YAML file beside the policy, or the one that ships with Excise."""
    min_requests: int = Field(default=50, ge=1, le=1_000_000, strict=True)
    """Requests in the window before anything is judged."""
    max_share: float = Field(default=0.3, gt=0, lt=1, strict=True)
    """The share of requests that ask for hidden reasoning above which it fires."""
    budget_tokens: int = Field(default=8192, ge=1, le=10_000_000, strict=True)
    """A thinking budget from which on much thinking is asked for; an effort of `high` or more is as
    good."""
    budget_factor: float = Field(default=1.5, ge=1, le=10, strict=True)
    """What a prompt's weight is multiplied by then; 1 leaves budgets out."""

    def counted_by(self) -> tuple[str, ...]:
        """What makes a hit, budgets with it."""
        return (*super().counted_by(), f"budget={self.budget_tokens}x{self.budget_factor:g}")

    def weight(self, facts: Facts) -> float:
        """What the newest prompt weighs, its thinking budget with it."""
        found = facts.signals.terms_of(self.terms.name)
        if not found:
            return 0.0
        weight = sum([one for _, one in found])
        asked = facts.ask.reasoning if facts.ask is not None else None
        if asked is None:
            return weight
        much = (asked.budget_tokens or 0) >= self.budget_tokens or asked.effort in MUCH_EFFORT
        return weight * self.budget_factor if much else weight

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Requests that a model answers, and those that ask for hidden reasoning."""
        if facts.ask is None or facts.route.operation not in PROMPTING:
            return ()
        coerced = COERCED if self.weight(facts) >= self.min_weight else ()
        return (Tally(subject, self.key, self.window, coerced),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on a request that asks so, where so many do."""
        if not readings:
            return None
        (read,) = readings
        assert isinstance(read, Tallied)
        if not read.shown or read.requests < self.min_requests:
            return None
        coerced = read.shown[0]
        if coerced <= self.max_share * read.requests:
            return None
        evidence: Evidence = {
            "requests": read.requests,
            "eliciting": coerced,
            "max_share": self.max_share,
            "weight": round(self.weight(facts), 2),
        }
        return Finding("reasoning_elicited", evidence)
