"""
What every rule kind is: its fields are its YAML schema, its docstring is its operator page.

A rule says which counters it wants for a request's facts and then judges what they read. It does no
I/O, writes no answer and reads no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from proxy.campaigns.ties import Tie
from proxy.counters.protocol import Op, Reading
from proxy.decision import Family, Finding, Verb
from proxy.expressions.program import Program, holds
from proxy.facts import PROFILES, Facts, Outcome, Signal
from proxy.nearest import nearest
from proxy.rules.action import Action, ActionField
from proxy.rules.fields import Expression, Names, wrong
from proxy.rules.match import Match
from proxy.rules.subjects import (
    BANNABLE,
    CHOSEN_BY_CALLERS,
    FROM_BODY,
    SUBJECTS,
    SubjectOf,
    subject_of,
)
from proxy.signals.wants import Mistaken, RequestMarks, TextMarks
from proxy.value import value as frozen

Mode = Literal["enforce", "shadow"]
Place = tuple[str | int, ...]
OnStoreFailure = Literal["local", "allow", "block"]
_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


_SIGNALS: Final[dict[str, Signal]] = {"client_fingerprint": "client", "template": "template"}
"""Subjects that are derived."""


@frozen
class Learnt:
    """Something that a rule has found to be common, and is to be taken for background."""

    subject: str
    """`template:tpl_…`"""
    seconds: float
    because: str


def condition(
    match: Match | None, when: Program | None, whose: str
) -> Callable[[Facts], bool] | None:
    """`match` and `when` as one test, the cheaper first; None where neither is given."""
    matched = match.compiled() if match is not None else None
    if when is None:
        return matched
    if matched is None:
        return lambda facts: holds(when, facts, whose)
    return lambda facts: matched(facts) and holds(when, facts, whose)


class RuleKind(BaseModel):
    """Fields that all kinds share."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: ClassVar[str]
    family: ClassVar[Family]
    derives: ClassVar[frozenset[Signal]] = frozenset()
    """The signals that it judges by; only those that some rule wants are derived."""
    links: ClassVar[bool] = False
    """Whether it ties accounts to what they share, by `ties`."""
    settles: ClassVar[bool] = False
    """Whether it counts how requests end, by `settle`."""
    learns: ClassVar[bool] = False
    """Whether it finds out what is common, by `learnt`."""
    estimates: ClassVar[bool] = False
    """Whether it wants to be told how many tokens a request may use."""
    leases: ClassVar[bool] = False
    """Whether it holds slots, which are to be renewed while the request lasts."""
    all_or_none: ClassVar[bool] = False
    """Whether what it takes is given back at once where one of its counters refuses."""
    plain_limit: ClassVar[bool] = False
    """A limit that callers can know and keep: it may block without a second family's evidence."""
    schema_also: ClassVar[Mapping[str, Any]] = {}
    """What the JSON Schema says of its fields together."""

    name: str = Field(pattern=_NAME)
    """What events and metrics call the rule: lower-case letters, digits, `.`, `_`, `-`."""
    mode: Mode = "enforce"
    """`shadow` judges and logs, and never acts."""
    match: Match | None = None
    """Which requests the rule is about; all where absent."""
    when: Expression | None = None
    """CEL over the declared facts that must hold besides `match`: `client.asn != 64496`."""
    per: Names
    """Whom the rule counts: a subject, or a list that makes one composite subject."""
    action: ActionField | None = None
    """What is done about a finding: a word, `{delay: {at_most: 2s, then: throttle}}`,
    `{degrade: [strip_logprobs, {cap_output_tokens: 512}]}` or `{block: {for: 24h}}`."""
    score: float | None = Field(default=None, gt=0, le=1000, strict=True)
    """Suspicion that a finding gives the caller, see `suspicion` in the policy guide. Finding the same
    again refreshes it and never adds up."""
    excuse: Names | None = None
    """Declared profiles that the rule does not apply to."""
    counts: Literal["admitted", "attempts"] = "admitted"
    """Whether refused requests count too."""
    on_store_failure: OnStoreFailure | None = None
    """What to do while the store does not answer; the policy's default where absent."""
    acknowledge_single_family: str | None = Field(default=None, min_length=1)
    """Why this rule may block on one family's evidence alone."""

    @field_validator("per")
    @classmethod
    def _check_per(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for at, name in enumerate(value):
            if name not in SUBJECTS:
                message = f"must be one of {', '.join(SUBJECTS)}"
                raise wrong(message, (at,), nearest(name, SUBJECTS))
        if len(set(value)) != len(value):
            raise wrong("names a subject twice")
        return value

    @field_validator("excuse")
    @classmethod
    def _check_excuse(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, name in enumerate(value or ()):
            if name not in PROFILES:
                message = f"must be one of {', '.join(PROFILES)}"
                raise wrong(message, (at,), nearest(name, PROFILES))
        return value

    @model_validator(mode="after")
    def _check_action(self) -> RuleKind:
        if self.action is None and self.score is None and not self.links:
            raise wrong("a rule needs an `action`, a `score`, or both")
        strongest = self.action.strongest if self.action is not None else Verb.ALLOW
        if set(self.per) <= CHOSEN_BY_CALLERS and strongest > Verb.LOG:
            raise wrong(
                "callers choose this subject freely, so alone it may only log or score; "
                "add another subject, such as `account`",
                ("per",),
            )
        bans = self.action is not None and self.action.ban_s > 0
        if bans and (len(self.per) > 1 or self.per[0] not in BANNABLE):
            raise wrong(f"only one of {', '.join(BANNABLE)} can be banned", ("per",))
        acknowledged = self.acknowledge_single_family is not None or self.family == "listed"
        if strongest is Verb.BLOCK and not (self.plain_limit or acknowledged):
            raise wrong(
                "one family's evidence alone may not block; score it, or say why with "
                "`acknowledge_single_family`",
                ("action",),
            )
        return self

    def counted_by(self) -> tuple[str, ...]:
        """The kind's own fields that change what is counted: their change starts new counters."""
        return ()

    def looks_at_body(self) -> bool:
        """Whether the kind's own fields ask for more than the identity."""
        return True

    @property
    def expressions(self) -> tuple[Program, ...]:
        """The expressions that it evaluates on each request."""
        return (self.when,) if self.when is not None else ()

    @property
    def reads_lists(self) -> tuple[str, ...]:
        """Names of the store's lists that it looks requests up in."""
        return ()

    def data_files(self) -> tuple[tuple[Place, str], ...]:
        """(place of the field, path) of the files beside the policy that it reads, YAML each."""
        return ()

    def with_data(self, path: str, data: Any, mistake: Mistaken) -> Self:
        """The rule with what one of its `data_files` holds; `mistake` notes what is wrong in there."""
        return self

    def unheld(self) -> tuple[tuple[Place, str, str | None], ...]:
        """What it names and its files do not hold: place, mistake, what was perhaps meant."""
        return ()

    @property
    def reads_texts(self) -> tuple[TextMarks, ...]:
        """What is to be looked for in prompts."""
        return ()

    @property
    def reads_requests(self) -> tuple[RequestMarks, ...]:
        """What is to be looked for in how requests are written."""
        return ()

    @property
    def asks_classifier(self) -> bool:
        """Whether the process's classifier, where there is one, looks at what it counts."""
        return False

    # Worked out once, at load: a cached property is a plain attribute from its second reading on,
    # where pydantic's private attributes cost a call of `__getattr__` each time.

    @cached_property
    def key(self) -> str:
        """The name of its counters: the rule's, and a hash over what changes counting."""
        matched = self.match.canonical() if self.match is not None else ""
        told = (self.kind, ",".join(self.per), matched, *self.counted_by())
        if self.when is not None:
            told += (f"when={self.when.canonical}",)
        counted = "\n".join(told)
        digest = hashlib.blake2b(counted.encode(), digest_size=4).hexdigest()
        return f"{self.name}:{digest}"

    @cached_property
    def needs_body(self) -> bool:
        """False where the identity alone decides: then judged before the body is read."""
        of_match = self.match is not None and self.match.needs_body
        of_match = of_match or (self.when is not None and self.when.needs_body)
        of_subject = not FROM_BODY.isdisjoint(self.per)
        return of_match or of_subject or self.looks_at_body()

    @cached_property
    def wants(self) -> frozenset[Signal]:
        """The signals that must be derived before it can judge."""
        named = {_SIGNALS[name] for name in self.per if name in _SIGNALS}
        return self.derives | named | (self.when.signals if self.when is not None else set())

    @cached_property
    def does(self) -> Action:
        """The action; a rule that only scores logs."""
        return self.action if self.action is not None else Action(Verb.LOG)

    @cached_property
    def subject(self) -> SubjectOf:
        """Whom it counts; the function gives None where a request has no such subject."""
        return subject_of(self.per)

    @cached_property
    def applies(self) -> Callable[[Facts], bool] | None:
        """Whether the rule is about a request at all; None where it is about every one."""
        matched = condition(self.match, self.when, self.name)
        excused = frozenset(self.excuse or ())
        if not excused:
            return matched
        if matched is None:
            return lambda facts: facts.client.profile not in excused
        return lambda facts: facts.client.profile not in excused and matched(facts)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """The counter operations that it wants for these facts."""
        raise NotImplementedError

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """A finding, or nothing. `readings` come in the order of its counters."""
        raise NotImplementedError

    def ties(self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading]) -> tuple[Tie, ...]:
        """What the request ties its account to; `ops` are its counters as they were carried out."""
        raise NotImplementedError

    def learnt(self, facts: Facts, readings: Sequence[Reading]) -> Learnt | None:
        """What has turned out to be common."""
        raise NotImplementedError

    def settle(
        self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading], outcome: Outcome
    ) -> tuple[Op, ...]:
        """What is counted once the request has ended; `ops` are its counters as they were carried out.

        What a refused request has counted is taken back besides, unless the rule counts attempts.
        """
        raise NotImplementedError

    def classified(
        self, ops: Sequence[Op], readings: Sequence[Reading], categories: Mapping[str, float]
    ) -> tuple[Op, ...]:
        """What is counted once the classifier has told what a served prompt is about, and how surely;
        `ops` are its counters as they were carried out."""
        raise NotImplementedError
