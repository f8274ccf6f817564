"""
sensitive_topics: an account whose traffic turns around what you guard most.

Biology, chemistry, nuclear matters, cyber security, the making of models: a lexicon names topics by their
words, and the share of an account's prompts about each is judged, once there is enough to judge. It tells
whom to look at. It never tells what is wanted with the answer.

    - name: guarded-topics
      kind: sensitive_topics
      per: account
      window: 1d
      min_requests: 100
      max_share: 0.3
      max_share_of: {biology: 0.15}
      score: 10

A prompt is about a topic from `min_weight` on; one may be about several. The shipped lexicon,
`library/lexicons/topics.yaml`, holds the names of fields, agents and techniques as the headings of
public control lists have them, in English and a few of each in Chinese, Russian, Spanish, French and
German. Copy it beside the policy to edit it, and name the copy. The log shows topics and weights
(`request.terms`), never words.

With `classifier: true` a service of yours is asked too, where the process has one
(`EXCISE_CLASSIFIER_URL`, see [running](../running.md#a-classifier-of-your-own)): after the request has
ended, so that nobody waits for it. What it tells counts from the account's next request on. The rule
then fires on any request of an account beyond its share; by the lexicon alone, only on those that are
about the topic. While the service does not answer, the lexicon goes on counting alone.

Blind spot: a lexicon knows words, no meaning. It cannot tell a question from an answer, a vaccine from
a weapon or a lesson from a plan; it misses whatever is said in other words, in a language or jargon
that it lacks, or piece by piece. It is no safety filter: what a model must refuse, the model or a
classifier must refuse.

False positives: whoever works in the field. A hospital is all biology and a security firm all cyber.
Exempt them by name (`exemptions` in the policy guide), score low, and let another family of evidence
decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from proxy.counters.protocol import TALLY_MAX, Op, Reading, Tallied, Tally, Untally
from proxy.decision import Evidence, Family, Finding
from proxy.facts import PROMPTING, Facts
from proxy.nearest import nearest
from proxy.rules.base import Place
from proxy.rules.fields import Names, wrong
from proxy.rules.items import item
from proxy.rules.lexical import Lexical


class SensitiveTopics(Lexical):
    """Each topic's share of a caller's prompts."""

    kind: ClassVar[str] = "sensitive_topics"
    family: ClassVar[Family] = "content"

    lexicon: str = "library/lexicons/topics.yaml"
    """The lexicon: a YAML file beside the policy, or the one that ships with Excise."""
    categories: Names | None = None
    """The topics that are counted; all of the lexicon where absent."""
    min_requests: int = Field(default=100, ge=1, le=1_000_000, strict=True)
    """Requests in the window before anything is judged."""
    max_share: float = Field(default=0.3, gt=0, lt=1, strict=True)
    """The share of requests about one topic above which it fires."""
    max_share_of: dict[str, float] = Field(default_factory=dict)
    """The same for some topics, by name."""
    classifier: bool = Field(default=False, strict=True)
    """Whether the process's classifier is asked about each prompt that this rule counts."""
    min_confidence: float = Field(default=0.5, gt=0, le=1, strict=True)
    """How sure the classifier must be that a prompt is about a topic."""

    @field_validator("max_share_of")
    @classmethod
    def _check_shares(cls, value: dict[str, float]) -> dict[str, float]:
        for name, share in value.items():
            if not 0 < share < 1:
                raise wrong("a share lies between 0 and 1", (name,))
        return value

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        if self.categories is None:
            return self
        if len(self.categories) > TALLY_MAX:
            raise wrong(f"at most {TALLY_MAX} topics are counted by one rule", ("categories",))
        for name in self.max_share_of:
            if name not in self.categories:
                place = ("max_share_of", name)
                raise wrong(
                    f"`{name}` is not in `categories`", place, nearest(name, self.categories)
                )
        return self

    def unheld(self) -> tuple[tuple[Place, str, str | None], ...]:
        """Topics that neither its lexicon nor a classifier tells."""
        known = self.terms.categories
        if not known or self.classifier:
            return ()
        named: list[tuple[Place, str]] = [
            (("categories", at), name) for at, name in enumerate(self.categories or ())
        ]
        if self.categories is None:  # else its names stand among those already
            named += [(("max_share_of", name), name) for name in self.max_share_of]
        return tuple(
            (place, f"`{name}` is no category of `{self.lexicon}`", nearest(name, known))
            for place, name in named
            if name not in known
        )

    @property
    def asks_classifier(self) -> bool:
        """Where it says so."""
        return self.classifier

    @cached_property
    def limits(self) -> dict[str, float]:
        """Topic → the share above which it fires."""
        names = self.categories or (*self.terms.categories, *self.max_share_of)
        limits = {name: self.max_share_of.get(name, self.max_share) for name in names}
        return dict(list(limits.items())[:TALLY_MAX])

    @cached_property
    def _items(self) -> dict[str, int]:
        return {name: item(name) for name in self.limits}

    def _about(self, facts: Facts) -> list[str]:
        found = facts.signals.terms_of(self.terms.name)
        return [name for name, weight in found if weight >= self.min_weight and name in self.limits]

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Requests that a model answers, and the topics that they are about."""
        if facts.ask is None or facts.route.operation not in PROMPTING:
            return ()
        about, items = self._about(facts), self._items
        shown = tuple([items[name] for name in about])
        asked: tuple[int, ...] = ()
        if self.classifier:
            asked = tuple([one for name, one in items.items() if name not in about])
        return (Tally(subject, self.key, self.window, shown, asked),)

    def classified(
        self, ops: Sequence[Op], readings: Sequence[Reading], categories: Mapping[str, float]
    ) -> tuple[Op, ...]:
        """The topics that the lexicon has not seen, for a request that is counted already."""
        if not ops:
            return ()
        (counted,), (read,) = ops, readings
        assert isinstance(counted, Tally)
        assert isinstance(read, Tallied)
        told = tuple(
            one
            for name, one in self._items.items()
            if categories.get(name, 0.0) >= self.min_confidence and one not in counted.items
        )
        if not told:
            return ()
        of = (counted.subject, counted.key, counted.window)
        # It is one request, so the one that came with these topics is taken off again.
        return Tally(*of, told), Untally(*of, (), read.now)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires where a topic takes more than its share: the one that does so most."""
        if not readings:
            return None
        (read,) = readings
        assert isinstance(read, Tallied)
        if not read.shown or read.requests < self.min_requests:
            return None
        names = self._about(facts)
        if self.classifier:
            names += [name for name in self._items if name not in names]
        worst, over = "", 1.0
        for name, shown in zip(names, read.shown, strict=True):
            excess = shown / read.requests / self.limits[name]
            if excess > over:
                worst, over = name, excess
        if not worst:
            return None
        limit = self.limits[worst]
        evidence: Evidence = {
            "requests": read.requests,
            "topic": worst,
            "share": round(over * limit, 3),
            "max_share": limit,
        }
        return Finding("topic_dominates", evidence)
