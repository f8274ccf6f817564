"""The shape of a policy file, as final values."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from proxy.counters.protocol import Op
from proxy.decision import Family
from proxy.expressions.program import Sight
from proxy.facts import ALSO_SERVED, Facts
from proxy.nearest import nearest
from proxy.policy.suspicion import Suspicion
from proxy.rules.base import Mode, OnStoreFailure, RuleKind, condition
from proxy.rules.fields import Expression, Names, wrong
from proxy.rules.match import Match
from proxy.rules.subjects import SubjectOf
from proxy.signals.wants import NOTHING, RequestMarks, TextMarks, Wants
from proxy.value import value

Named = TypeVar("Named", TextMarks, RequestMarks)

Stage = Literal["identity", "body", "all"]
"""What is known: the identity alone, then the body too; `all` judges both at once."""


def _each(tables: Iterable[Named]) -> tuple[Named, ...]:
    """Each once, by its name."""
    return tuple({one.name: one for one in tables}.values())


def _at_hand(rules: tuple[RuleKind, ...]) -> tuple[tuple[SubjectOf, ...], tuple[AtHand, ...]]:
    """Rules that count alike share one subject."""
    whom = {rule.per: rule.subject for rule in reversed(rules)}
    places = {per: at for at, per in enumerate(whom)}
    return tuple(whom.values()), tuple(
        [AtHand(rule, rule.name, rule.applies, places[rule.per], rule.counters) for rule in rules]
    )


_STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Defaults(BaseModel):
    """What rules leave unsaid."""

    model_config = _STRICT

    on_store_failure: OnStoreFailure = "local"


class Keys(BaseModel):
    """API keys that are absent, or that nobody has vouched for yet."""

    model_config = _STRICT

    missing: Literal["block", "allow"] = "block"
    unknown: Literal["provisional", "block", "allow"] = "provisional"


class RefusalText(BaseModel):
    """What refused callers are told besides the dialect's own words."""

    model_config = _STRICT

    message: str | None = Field(default=None, min_length=1, max_length=500)
    contact_url: str | None = Field(default=None, pattern=r"^(https?://|mailto:)[!-~]{1,500}$")


class Exemption(BaseModel):
    """Traffic that some rules leave alone, until a day."""

    model_config = _STRICT | {
        "json_schema_extra": {"anyOf": [{"required": ["match"]}, {"required": ["when"]}]}
    }

    name: str = Field(min_length=1, max_length=64)
    match: Match | None = None
    when: Expression | None = None
    """CEL over the declared facts, besides `match` or instead."""
    rules: Names
    until: datetime.date
    because: str = Field(min_length=1, max_length=500)

    @field_validator("until", mode="before")
    @classmethod
    def _read_until(cls, value: object) -> datetime.date:
        try:
            if isinstance(value, str) and len(value) == len("2027-03-31"):
                return datetime.date.fromisoformat(value)
        except ValueError:
            pass
        raise wrong("must be a day such as `2027-03-31`")

    @model_validator(mode="after")
    def _says_what(self) -> Exemption:
        if self.match is None and self.when is None:
            raise wrong("a `match`, a `when`, or both are required")
        return self

    @cached_property
    def needs_body(self) -> bool:
        """Whether it looks at anything beyond the identity."""
        of_match = self.match is not None and self.match.needs_body
        return of_match or (self.when is not None and self.when.needs_body)

    @cached_property
    def _applies(self) -> Callable[[Facts], bool]:
        applies = condition(self.match, self.when, self.name)
        assert applies is not None
        return applies

    @cached_property
    def _ends(self) -> float:
        midnight = datetime.datetime.combine(self.until, datetime.time(), datetime.UTC)
        return midnight.timestamp() + 86_400

    def ended(self, now: float) -> bool:
        """Whether its last day (UTC) is over."""
        return now >= self._ends

    def covers(self, facts: Facts, now: float) -> bool:
        """Whether it speaks for this request at this time."""
        return now < self._ends and self._applies(facts)


@value
class AtHand:
    """What each request asks of a rule. A pydantic model takes three times as long to tell it."""

    rule: RuleKind
    name: str
    applies: Callable[[Facts], bool] | None
    whom: int
    """Which of the stage's subjects it counts."""
    counters: Callable[[Facts, str], tuple[Op, ...]]


class Policy(BaseModel):
    """One loaded policy. Immutable: a reload replaces it whole."""

    model_config = _STRICT

    version: Literal[1]
    mode: Mode = "enforce"
    include: Names | None = None
    """Files whose rules are this policy's too, under their file's name: `known-relays.marks`."""
    defaults: Defaults = Defaults()
    keys: Keys = Keys()
    uninspectable: Literal["block", "allow"] = "block"
    unknown_routes: Literal["block", "allow"] = "block"
    also_serve: Names = ()
    """Routes that are refused until somebody has looked at them, served uninspected by name: `audio`."""
    refusal: RefusalText = RefusalText()
    disclose: Literal["header", "none"] = "header"
    """Whether a degraded answer says so: `X-Excise-Modified` names what was changed."""
    exemptions: tuple[Exemption, ...] = ()
    rules: tuple[SerializeAsAny[RuleKind], ...] = ()
    override: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Fields of included rules that are set otherwise here, by the rule's full name."""
    suspicion: Suspicion = Field(default_factory=Suspicion)
    digest: str = ""
    """`sha256:…` of the text that was loaded, included files with it."""
    files: tuple[str, ...] = ()
    """Paths of the included files."""

    @field_validator("version", mode="before")
    @classmethod
    def _check_version(cls, value: object) -> object:
        if isinstance(value, bool):
            raise wrong("must be 1")
        return value

    @field_validator("also_serve")
    @classmethod
    def _check_also_serve(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for at, name in enumerate(value):
            if name not in ALSO_SERVED:
                message = f"must be one of {', '.join(ALSO_SERVED)}"
                raise wrong(message, (at,), nearest(name, ALSO_SERVED))
        return value

    @cached_property
    def scoring(self) -> dict[str, Family]:
        """The rules that add to suspicion, and the family of each one's evidence."""
        return {rule.name: rule.family for rule in self.rules if rule.score is not None}

    @cached_property
    def wants(self) -> Wants:
        """What its rules judge by."""
        wanted = Wants(
            frozenset().union(
                *(rule.wants for rule in self.rules),
                *(one.when.signals for one in self.exemptions if one.when is not None),
            ),
            _each(one for rule in self.rules for one in rule.reads_texts),
            _each(one for rule in self.rules for one in rule.reads_requests),
        )
        return NOTHING if wanted == NOTHING else wanted

    @cached_property
    def sight(self) -> Sight | None:
        """What its expressions look at; None where it has none."""
        programs = [one for rule in self.rules for one in rule.expressions]
        programs += [one.when for one in self.exemptions if one.when is not None]
        return Sight(programs) if programs else None

    @cached_property
    def lists(self) -> tuple[str, ...]:
        """The store's lists that its rules look requests up in."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.reads_lists))

    @cached_property
    def settles(self) -> bool:
        """Whether some rule counts how requests end."""
        return any(rule.settles for rule in self.rules)

    @cached_property
    def estimates(self) -> bool:
        """Whether some rule wants to know how many tokens a request may use."""
        return any(rule.estimates for rule in self.rules)

    @cached_property
    def links(self) -> bool:
        """Whether some rule ties accounts to what they share."""
        return any(rule.links for rule in self.rules)

    @cached_property
    def leases(self) -> bool:
        """Whether some rule holds slots."""
        return any(rule.leases for rule in self.rules)

    @cached_property
    def classifies(self) -> bool:
        """Whether some rule asks a classifier."""
        return any(rule.asks_classifier for rule in self.rules)

    @cached_property
    def _on_identity(self) -> tuple[RuleKind, ...]:
        return tuple(rule for rule in self.rules if not self._waits(rule))

    @cached_property
    def _on_body(self) -> tuple[RuleKind, ...]:
        return tuple(rule for rule in self.rules if self._waits(rule))

    def _waits(self, rule: RuleKind) -> bool:
        """Whether a rule, or an exemption from it, looks at the body."""
        return rule.needs_body or any(
            exemption.needs_body and rule.name in exemption.rules for exemption in self.exemptions
        )

    @cached_property
    def learns(self) -> bool:
        """Whether some rule finds out what is common."""
        return any(rule.learns for rule in self.rules)

    @cached_property
    def _at_hand(self) -> dict[Stage, tuple[tuple[SubjectOf, ...], tuple[AtHand, ...]]]:
        return {stage: _at_hand(self.rules_of(stage)) for stage in get_args(Stage)}

    def at_hand(self, stage: Stage) -> tuple[tuple[SubjectOf, ...], tuple[AtHand, ...]]:
        """Whom the rules of a stage count, and the rules themselves."""
        return self._at_hand[stage]

    def rules_of(self, stage: Stage) -> tuple[RuleKind, ...]:
        """The rules that a stage judges."""
        match stage:
            case "identity":
                return self._on_identity
            case "body":
                return self._on_body
            case "all":
                return self.rules
