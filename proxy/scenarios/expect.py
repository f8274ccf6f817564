"""What a suite expects of requests: of which of them, and what of each."""

from __future__ import annotations

from functools import cached_property
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from proxy.decision import DEGRADATIONS, Verb
from proxy.nearest import nearest
from proxy.rules.fields import Names, wrong
from proxy.scenarios.bounds import BoundField

_WORDS: Final = tuple(verb.word for verb in Verb)
_OF_SEVERAL: Final = {
    "refused": frozenset({"throttle", "block"}),
    "passed": frozenset({"allow", "log", "delay", "degrade"}),
}
DECISIONS: Final = (*_WORDS, *_OF_SEVERAL)
ALL_RULES: Final = "all"
QUANTIFIERS: Final = ("which", "within", "count", "share")
WHICH: Final = ("all", "any", "none", "first", "last")
_SCOPE: Final = frozenset({*QUANTIFIERS, "after", "up_to"})
Which = int | Literal["all", "any", "none", "first", "last"]


class Expectation(BaseModel):
    """One expectation: `which` (or `within`, `count`, `share`) says of which requests, the rest what is
    true of each. A rule that a test needs to have fired is named by `rule`, `findings` or `shadow`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    which: Which = "all"
    """all, any, none, first, last, or a request's number from 1."""
    within: int | None = Field(default=None, ge=1, strict=True)
    """It is true of at least one of the first so many."""
    count: BoundField | None = None
    """Of how many it is true: `3`, `"> 20"`."""
    share: BoundField | None = None
    """Of what share it is true: `">= 90%"`."""
    after: int | None = Field(default=None, ge=1, strict=True)
    """Only requests behind the first so many are looked at."""
    up_to: int | None = Field(default=None, ge=1, strict=True)
    """Only the first so many are looked at."""

    decision: Names | None = None
    """allow, log, delay, degrade, throttle or block; `passed` and `refused` stand for several."""
    rule: Names | None = None
    """The rule that decided: the strongest finding's."""
    kind: Names | None = None
    """Its kind, `rate_limit`."""
    reason: Names | None = None
    """Its reason, `rate_exceeded`; where the request was refused, as the caller was told."""
    findings: Names | None = None
    """Rules that fired in force, each of these among them."""
    shadow: Names | None = None
    """Rules that fired in shadow, each of these among them."""
    ties: Names | None = None
    """Rules that tied the account to what others share, each of these among them."""
    campaign: bool | None = None
    """Whether its account was a member of a campaign."""
    silent: Names | None = None
    """Rules that neither fired nor tied, in force or in shadow; `all` for every rule, and suspicion."""
    suspicion: BoundField | None = None
    """The highest suspicion of a subject, as the request came: `"< 40"`."""
    suspicion_with_shadow: BoundField | None = None
    """The same with what rules in shadow have found."""
    delay: BoundField | None = None
    """By how much the answer came later: `"<= 2s"`."""
    degrade: Names | None = None
    """What is taken from the answer, each of these among it: `hide_reasoning`, `"pace: 20/second"`."""
    retry_after: BoundField | None = None
    """When the caller was told to come back: `"< 60s"`."""
    status: BoundField | None = None
    """The HTTP status of the answer."""
    output_tokens: BoundField | None = None
    """Output tokens that came through."""
    ban: bool | None = None
    """Whether it met a ban, or led to one."""
    exempted_by: Names | None = None
    """Exemptions that spoke, each of these among them."""

    @field_validator("which", mode="before")
    @classmethod
    def _check_which(cls, given: object) -> object:
        number = isinstance(given, int) and not isinstance(given, bool) and given >= 1
        if not number and given not in WHICH:
            message = f"must be one of {', '.join(WHICH)}, or a request's number from 1"
            raise wrong(message, (), nearest(str(given), WHICH))
        return given

    @field_validator("decision")
    @classmethod
    def _check_decision(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, name in enumerate(names or ()):
            if name not in DECISIONS:
                message = f"must be one of {', '.join(DECISIONS)}"
                raise wrong(message, (at,), nearest(name, DECISIONS))
        return names

    @field_validator("degrade")
    @classmethod
    def _check_degrade(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, name in enumerate(names or ()):
            word = name.partition(":")[0]
            if word not in DEGRADATIONS:
                message = f"must be one of {', '.join(DEGRADATIONS)}, with its number or without"
                raise wrong(message, (at,), nearest(word, DEGRADATIONS))
        return names

    @model_validator(mode="after")
    def _check_sense(self) -> Expectation:
        said = self.model_fields_set
        given = [name for name in QUANTIFIERS if name in said]
        if len(given) > 1:
            raise wrong(f"`{given[1]}` says anew what `{given[0]}` has said", (given[1],))
        if not said - _SCOPE:
            raise wrong("says nothing of any request: name a `decision`, `findings`, `silent`, …")
        if self.after is not None and self.up_to is not None and self.up_to <= self.after:
            raise wrong("`up_to` must be more than `after`", ("up_to",))
        if self.within is not None and (self.up_to or self.within <= (self.after or 0)):
            raise wrong(
                "`within` ends where it looks: leave `up_to` out, and `after` below it", ("within",)
            )
        return self

    @cached_property
    def decisions(self) -> frozenset[str] | None:
        """The words that a decision may be."""
        if self.decision is None:
            return None
        return frozenset().union(*(_OF_SEVERAL.get(name, {name}) for name in self.decision))

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """(field, name) of each rule that is named."""
        fields = ("rule", "findings", "shadow", "ties", "silent")
        return tuple((field, name) for field in fields for name in getattr(self, field) or ())

    @property
    def fires(self) -> frozenset[str]:
        """Rules that have fired where it holds; empty where it says that they do not."""
        nothing = self.which == "none"
        nothing |= any(one is not None and one.allows_none for one in (self.count, self.share))
        # One of several that may have decided is not known to have fired.
        rule = self.rule or ()
        sure = rule if len(rule) == 1 else ()
        named = (*sure, *(self.findings or ()), *(self.shadow or ()), *(self.ties or ()))
        return frozenset() if nothing else frozenset(named)
