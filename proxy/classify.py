"""
What a classifier is asked about a request that has ended, and how its answer is counted.

Pure: who asks, over HTTP, is `classifier`. A question holds a text only until it is answered or dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxy.counters.protocol import Op, Reading
from proxy.facts import MOST_CLASSIFIED, Facts
from proxy.judgement import Counted, Judgement
from proxy.rules.base import RuleKind
from proxy.signals.lexicon import folded
from proxy.signals.sketch import prompt_text

Categories = Mapping[str, float]
"""Category → how sure the classifier is of it, 0 to 1."""
Settle = Callable[[Sequence[Op]], None]

Parts = list[tuple[RuleKind, tuple[Op, ...], Sequence[Reading]]]
"""A rule, its counters as they were carried out, and what they read."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt, and what becomes of the answer."""

    text: str
    model: str | None
    id: str
    parts: Parts
    settle: Settle

    @property
    def key(self) -> bytes:
        """The same for prompts that differ in case, white space, punctuation or disguise alone, and for no
        others: an answer about one prompt is never taken for another one's. To be hashed with a key."""
        return folded(self.text)

    def told(self, categories: Categories) -> None:
        """Count what the classifier says."""
        for rule, ops, readings in self.parts:
            self.settle(rule.classified(ops, readings, categories))


class Classification:
    """Asks about what rules have counted that say so."""

    def __init__(
        self, put: Callable[[Question], None], settle: Settle, settle_locally: Settle
    ) -> None:
        """`put` queues a question and never blocks."""
        self._put = put
        self._settle = settle
        self._settle_locally = settle_locally

    def __call__(self, judgement: Judgement) -> None:
        """Ask about one served request, each of its prompts once."""
        if not judgement.policy.classifies:
            return
        self._ask(judgement.counted, self._settle)
        self._ask(judgement.counted_locally, self._settle_locally)

    def _ask(self, counted: Counted, settle: Settle) -> None:
        asked: dict[int, tuple[Facts, Parts]] = {}
        for rule, facts, ops, readings in counted:
            if rule.asks_classifier and ops and facts.ask is not None:
                asked.setdefault(id(facts), (facts, []))[1].append((rule, ops, readings))
        for facts, parts in asked.values():
            assert facts.ask is not None
            text = prompt_text(facts.ask)[:MOST_CLASSIFIED]
            if text:
                self._put(Question(text, facts.ask.model, facts.id, parts, settle))
