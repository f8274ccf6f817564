"""
Suspicion: what several rules think of one subject, added up, and what is done about it.

Each rule with a `score` sets a level of its own when it fires; firing again sets it anew and never adds
up. Levels decay with `half_life`. Suspicion is their sum, and it has as many families of evidence as
rules of different families still have a level of 1 or more. A block needs two of them: one kind of
evidence alone, however loud, only slows a caller down.

Levels that rules in shadow set are kept apart: they can be watched, and never change what is enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from proxy.decision import Evidence, Family, Finding, RuleFinding, Verb
from proxy.nearest import nearest
from proxy.rules.action import ActionField
from proxy.rules.fields import Duration, Names, wrong
from proxy.rules.subjects import BANNABLE
from proxy.value import value

KIND: Final = "suspicion"
NAME: Final = "suspicion"
"""What events call the rule; no rule of a policy may be called so."""

SHADOW: Final = "~"
"""Begins the names of levels that rules in shadow have set; no rule's name can."""

FAMILIES_TO_BLOCK: Final = 2
NEARLY: Final = 0.5
"""A threshold is reached half a point early: a score of 40 fades at once, and `at: 40` means it."""
LEVEL_OF_A_FAMILY: Final = 1.0
FIRST_SHARE: Final = 0.25
"""Of its delay, what a threshold holds back that has just been reached."""


class Threshold(BaseModel):
    """What is done from a level on."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    at: float = Field(gt=0, le=10_000, strict=True)
    """The suspicion from which on it is done."""
    action: ActionField
    acknowledge_single_family: str | None = Field(default=None, min_length=1)
    """Why one family's evidence alone may reach it, though it refuses; a block still needs a second."""


class Suspicion(BaseModel):
    """How findings add up, over time and over rules."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    subjects: Names = ("account",)
    """Who is suspected: account, api_key, end_user, address, subnet, campaign; each for itself. A campaign
    is suspected by what rules find that count `per: campaign`, never by what one member does alone."""
    half_life: Duration = 6 * 3600.0
    """After so long without a new finding a level has halved."""
    thresholds: tuple[Threshold, ...] = ()
    """From which suspicion on what is done; all that are reached are done at once."""

    @field_validator("subjects")
    @classmethod
    def _check_subjects(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for at, name in enumerate(names):
            if name not in BANNABLE:
                message = f"must be one of {', '.join(BANNABLE)}"
                raise wrong(message, (at,), nearest(name, BANNABLE))
        if len(set(names)) != len(names):
            raise wrong("names a subject twice")
        return names

    @field_validator("thresholds", mode="before")
    @classmethod
    def _read_thresholds(cls, given: Any) -> Any:
        return tuple(given) if isinstance(given, list) else given

    def rising(self, threshold: Threshold, level: float) -> float:
        """The share of a threshold's delay that a level is held back by: a quarter where it has just
        reached it, all of it at the next threshold, or half as high again where there is none."""
        above = (one.at for one in self.thresholds if one.at > threshold.at)
        top = min(above, default=1.5 * threshold.at)
        risen = (level - threshold.at) / (top - threshold.at)
        return FIRST_SHARE + (1 - FIRST_SHARE) * min(max(risen, 0.0), 1.0)

    @model_validator(mode="after")
    def _check_thresholds(self) -> Suspicion:
        levels = [threshold.at for threshold in self.thresholds]
        for at, level in enumerate(levels):
            if level in levels[:at]:
                raise wrong("`at` stands here twice", ("thresholds", at, "at"))
        return self


@value
class Standing:
    """How one subject stands."""

    name: str
    """Which of the policy's subjects: `account`, …"""
    subject: str
    level: float
    families: tuple[Family, ...]
    """Of the enforced rules; sorted."""
    level_with_shadow: float
    families_with_shadow: tuple[Family, ...]
    levels: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What it is made of, by rule; `~` before those that rules in shadow have set."""


def standing(
    name: str, subject: str, levels: Mapping[str, float], families: Mapping[str, Family]
) -> Standing:
    """How a subject stands by the levels that are kept for it.

    `families` are those of the policy's scoring rules, by rule: a level of a rule that is no longer
    there, or scores no more, counts nothing.
    """
    enforced, watched = 0.0, 0.0
    of_enforced: set[Family] = set()
    of_all: set[Family] = set()
    for key, level in levels.items():
        shadow = key.startswith(SHADOW)
        family = families.get(key.removeprefix(SHADOW))
        if family is None:
            continue
        weighs = level >= LEVEL_OF_A_FAMILY
        if weighs:
            of_all.add(family)
        if shadow:
            watched += level
        else:
            enforced += level
            if weighs:
                of_enforced.add(family)
    return Standing(
        name,
        subject,
        enforced,
        tuple(sorted(of_enforced)),
        enforced + watched,
        tuple(sorted(of_all)),
        levels,
    )


def found(
    suspicion: Suspicion, stood: Standing, *, watching: bool, jitter: float = 1.0
) -> list[RuleFinding]:
    """The thresholds that a subject has reached; what only shadow levels reach is found in shadow.

    Delays are those of full suspicion times `jitter`, less where the level has just reached them.
    """
    findings: list[RuleFinding] = []
    for threshold in suspicion.thresholds:
        if _reached(threshold, stood.level, stood.families):
            rising = jitter * suspicion.rising(threshold, stood.level)
            findings.append(
                _finding(threshold, stood, stood.level, stood.families, watching, rising)
            )
        elif _reached(threshold, stood.level_with_shadow, stood.families_with_shadow):
            level, families = stood.level_with_shadow, stood.families_with_shadow
            rising = jitter * suspicion.rising(threshold, level)
            findings.append(_finding(threshold, stood, level, families, True, rising))
    return findings


def _reached(threshold: Threshold, level: float, families: tuple[Family, ...]) -> bool:
    blocks = threshold.action.strongest is Verb.BLOCK
    return level + NEARLY >= threshold.at and (not blocks or len(families) >= FAMILIES_TO_BLOCK)


def _finding(
    threshold: Threshold,
    stood: Standing,
    level: float,
    families: tuple[Family, ...],
    shadow: bool,
    rising: float,
) -> RuleFinding:
    action = threshold.action
    evidence: Evidence = {
        "subject": stood.name,
        "suspicion": round(level, 1),
        "at": threshold.at,
        "families": ",".join(families),
    }
    return RuleFinding(
        rule=NAME,
        kind=KIND,
        family=None,
        shadow=shadow,
        verb=action.verb,
        finding=Finding("suspicion_reached", evidence),
        delay_s=action.at_most * rising,
        delay_then=action.then,
        ban_s=action.ban_s,
        subject=stood.subject,
        degradation=action.degradation,
        of=stood.name,
    )
