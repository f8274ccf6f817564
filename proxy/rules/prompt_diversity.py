"""
prompt_diversity: one caller, many prompts, hardly two alike.

People and products circle a few topics: they ask again, follow up, and send the same forms with other
values. A crawl for training data walks the whole space and seldom repeats itself. Three measures tell of
it; a rule names those that it wants, and fires where all that it names are passed:

- `max_distinct_ratio`: distinct prompts against requests, over one window. Prompts that differ only in
  case, white space, punctuation or small edits are one.
- `max_unconnected`: the share of requests that stand alone: they go on with no conversation that was begun
  before, and bring no passage that was brought before. A chat goes on, a product that looks things up
  brings its passages again, an agent sends its whole history each time.
- `max_departure`: how far the share of prompts that are new to the account has risen above what is usual
  for it (`history`). It compares an account with itself, so a busy product is no crawl because it is busy.

    - name: wide-crawl
      kind: prompt_diversity
      per: account
      window: 1h
      min_requests: 200
      max_distinct_ratio: 0.9
      score: 25

    - name: nothing-goes-on
      kind: prompt_diversity
      per: account
      window: 1d
      min_requests: 2000
      max_unconnected: 0.98
      score: 20

Blind spot: who asks slowly, or spreads over many accounts, never fills the floor of one window; who sends
each prompt twice halves the ratio, and pays for it. Fake turns that repeat an earlier conversation, and
examples that come again in each prompt (self-instruct's), connect requests. A prompt
of a few words counts together with the system prompt and what tools have just answered; one of a word,
without any of these, not at all. Questions are missed that stand before the model's last answer, behind a
full sentence in the system prompt or a tool's answer, in descriptions of tools, or in files and pictures.

False positives: an evaluation harness, a batch of classifications, a support bot of single questions and a
busy chat product whose users share one key look just so. Let them declare a `profile` and `excuse` it, or
set `per: end_user` where the product names its users. A feature's launch is a departure. Score it, and let
another family of evidence decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Final

from pydantic import Field, model_validator

from proxy.counters.protocol import Novel, Novelty, Op, Reading, Tallied, Tally
from proxy.decision import Family, Finding, Scalar
from proxy.facts import PROMPTING, Facts, Outcome, Signal
from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration, wrong

RATIO: Final = 0.9
NEW: Final = (1,)
HISTORIES: Final = 3
"""An account has a history once it holds so many times what is judged."""


class PromptDiversity(RuleKind):
    """Distinct prompts, prompts that stand alone, and prompts new to the account, against requests."""

    kind: ClassVar[str] = "prompt_diversity"
    family: ClassVar[Family] = "content"

    window: Duration = 3600.0
    """The time over which requests and prompts are counted, `1h`. They are kept by whole windows: of the
    last one so many count as the window still covers, as if they had come evenly."""
    min_requests: int = Field(default=200, ge=10, le=1_000_000, strict=True)
    """Requests with a prompt in the window before anything is judged."""
    max_distinct_ratio: float | None = Field(default=None, gt=0, lt=1, strict=True)
    """The share of distinct prompts above which it fires; 0.9 where no measure is named."""
    max_unconnected: float | None = Field(default=None, gt=0, lt=1, strict=True)
    """The share of requests that neither go on with, nor bring again, what came before."""
    max_departure: float | None = Field(default=None, gt=0, lt=1, strict=True)
    """How far the share of prompts new to the account may rise above its own usual one."""
    history: Duration = 30 * 86_400.0
    """How long the account's own history is, with `max_departure`."""

    @model_validator(mode="after")
    def _check_history(self) -> PromptDiversity:
        if self.max_departure is not None and self.history <= self.window:
            raise wrong("must be longer than the window", ("history",))
        return self

    @cached_property
    def settles(self) -> bool:  # type: ignore[override]
        """Only what is new to the account is noted after the request."""
        return self.max_departure is not None

    @cached_property
    def wants(self) -> frozenset[Signal]:
        """What its measures look at."""
        wanted: set[Signal] = set()
        if self._ratio is not None or self.max_departure is not None:
            wanted.add("prompt")
        if self.max_unconnected is not None:
            wanted.add("chunks")
        return super().wants | wanted

    @cached_property
    def _ratio(self) -> float | None:
        named = (self.max_distinct_ratio, self.max_unconnected, self.max_departure)
        return RATIO if named == (None, None, None) else self.max_distinct_ratio

    @cached_property
    def _names_operation(self) -> bool:
        return self.match is not None and self.match.operation is not None

    def counted_by(self) -> tuple[str, ...]:
        """The window and the history; floor and bounds only judge."""
        window = f"window={self.window:g}"
        return (window,) if self.max_departure is None else (window, f"history={self.history:g}")

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Requests that say something, and what of it is new.

        What a model does not answer is left out unless `match` names its operation: token counts and
        embeddings are cheap, and repeats of them would hide a crawl.
        """
        if facts.route.operation not in PROMPTING and not self._names_operation:
            return ()
        ops: tuple[Op, ...] = ()
        marks, key = facts.signals.prompt, self.key
        if self._ratio is not None and marks:
            ops += (Novel(subject, key, self.window, marks),)
        if self.max_unconnected is not None and facts.signals.chunks:
            ops += (Novel(subject, f"{key}:chunks", self.window, facts.signals.chunks),)
        if self.max_departure is not None and marks:
            ops += (
                Novel(subject, f"{key}:history", self.history, marks),
                Tally(subject, f"{key}:recent", self.window, (), NEW),
            )
        return ops

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Nothing below the floor, or where one of the measures that are named is not passed."""
        evidence: dict[str, Scalar] = {}
        coming = iter(readings)
        marks = facts.signals.prompt
        if self._ratio is not None:
            read = next(coming, None) if marks else None
            if not self._exceeds(read, self._ratio, "ratio", evidence):
                return None
        if self.max_unconnected is not None:
            read = next(coming, None) if facts.signals.chunks else None
            if not self._exceeds(read, self.max_unconnected, "unconnected", evidence):
                return None
        if self.max_departure is not None and not self._departs(
            next(coming, None), next(coming, None), evidence
        ):
            return None
        return Finding("prompts_too_diverse", evidence)

    def settle(
        self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading], outcome: Outcome
    ) -> tuple[Op, ...]:
        """A prompt that was new to the account is one of the window's new ones from now on."""
        if outcome.refused or len(readings) < 2:
            return ()
        history, recent = readings[-2], ops[-1]
        if not isinstance(history, Novelty) or not history.weight:
            return ()
        return (Tally(recent.subject, recent.key, self.window, NEW, requests=0),)

    def _exceeds(
        self, read: Reading | None, bound: float, name: str, evidence: dict[str, Scalar]
    ) -> bool:
        """Whether enough requests were counted, and more than `bound` of them were new."""
        if not isinstance(read, Novelty) or read.requests < self.min_requests:
            return False
        new = min(round(read.total), read.requests)  # an estimate may overshoot
        share = new / read.requests
        if share <= bound:
            return False
        named = {"distinct": new} if name == "ratio" else {}
        limit = "max_distinct_ratio" if name == "ratio" else f"max_{name}"
        evidence |= {"requests": read.requests, **named, name: round(share, 3), limit: bound}
        return True

    def _departs(
        self, history: Reading | None, recent: Reading | None, evidence: dict[str, Scalar]
    ) -> bool:
        """Whether more is new to the account than is usual for it."""
        if not isinstance(history, Novelty) or not isinstance(recent, Tallied):
            return False
        before = history.requests - recent.requests
        enough = recent.requests >= self.min_requests
        if not enough or before < HISTORIES * self.min_requests:
            return False
        usual = max(0.0, history.total - recent.shown[0]) / before
        departure = min(recent.shown[0] / recent.requests, 1.0) - usual
        if self.max_departure is None or departure <= self.max_departure:
            return False
        evidence |= {"usual": round(usual, 3), "departure": round(departure, 3)}
        evidence |= {"requests": recent.requests, "max_departure": self.max_departure}
        return True
