"""
prompt_diversity: one caller, many prompts, hardly two alike.

People and products circle a few topics: they ask again, follow up, and send the same forms with other
values. A crawl for training data walks the whole space and seldom repeats itself. Requests and distinct
prompts are counted over one window, and their ratio is judged once there is enough to judge. Prompts that
differ only in case, white space, punctuation or small edits are one.

    - name: wide-crawl
      kind: prompt_diversity
      per: account
      window: 1h
      min_requests: 200
      max_distinct_ratio: 0.9
      score: 25

Blind spot: who asks slowly, or spreads over many accounts, never fills the floor of one window; who sends
each prompt twice halves the ratio, and pays for it. Prompts of a word or two are not counted.

False positives: an evaluation harness, a batch of classifications and a busy chat product whose users share
one key look just so. Let them declare a `profile` and `excuse` it, or set `per: end_user` where the product
names its users. Score it, and let another family of evidence decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from pydantic import Field

from proxy.counters.protocol import Novel, Novelty, Op, Reading
from proxy.decision import Evidence, Family, Finding
from proxy.facts import PROMPTING, Facts, Signal
from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration


class PromptDiversity(RuleKind):
    """Distinct prompts against requests, over a window."""

    kind: ClassVar[str] = "prompt_diversity"
    family: ClassVar[Family] = "content"
    derives: ClassVar[frozenset[Signal]] = frozenset({"prompt"})

    window: Duration = 3600.0
    """The time over which requests and prompts are counted, `1h`."""
    min_requests: int = Field(default=200, ge=10, le=1_000_000, strict=True)
    """Requests with a prompt in the window before anything is judged."""
    max_distinct_ratio: float = Field(default=0.9, gt=0, lt=1, strict=True)
    """The share of distinct prompts above which it fires."""

    @cached_property
    def _names_operation(self) -> bool:
        return self.match is not None and self.match.operation is not None

    def counted_by(self) -> tuple[str, ...]:
        """The window; floor and ratio only judge."""
        return (f"window={self.window:g}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Requests that say something, and what of it is new.

        What a model does not answer is left out unless `match` names its operation: token counts and
        embeddings are cheap, and repeats of them would hide a crawl.
        """
        if facts.route.operation not in PROMPTING and not self._names_operation:
            return ()
        marks = facts.signals.prompt
        return (Novel(subject, self.key, self.window, marks),) if marks else ()

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Nothing below the floor or within the ratio."""
        if not readings:
            return None
        (read,) = readings
        assert isinstance(read, Novelty)
        if read.requests < self.min_requests:
            return None
        distinct = min(round(read.total), read.requests)  # an estimate may overshoot
        ratio = distinct / read.requests
        if ratio <= self.max_distinct_ratio:
            return None
        evidence: Evidence = {
            "requests": read.requests,
            "distinct": distinct,
            "ratio": round(ratio, 3),
            "max_distinct_ratio": self.max_distinct_ratio,
        }
        return Finding("prompts_too_diverse", evidence)
