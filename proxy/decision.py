"""
What a policy made of a request: the findings, and the one decision out of them.

Frozen values; `policy/decide.py` makes them, `edge/` acts on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final, Literal, TypeVar

from proxy.value import value

Family = Literal["volume", "content", "client", "network", "linkage", "listed"]
"""Kinds of evidence; a block out of suspicion needs two of them."""

Number = TypeVar("Number", int, float)

Scalar = str | int | float | bool
Evidence = Mapping[str, Scalar]


class Verb(IntEnum):
    """What may happen to a request, weakest to strongest."""

    ALLOW = 0
    LOG = 1
    DELAY = 2
    DEGRADE = 3
    THROTTLE = 4
    BLOCK = 5

    @property
    def word(self) -> str:
        """The word used in policies, events and metrics."""
        return _WORDS[self]

    @property
    def refuses(self) -> bool:
        """Whether the model never sees the request."""
        return self >= _LEAST_REFUSING


# An enumeration's own names are looked up by Python code each time, and each request asks for some.
_WORDS: Final = tuple(verb.name.lower() for verb in Verb)
_LEAST_REFUSING: Final = Verb.THROTTLE

EFFORTS: Final = ("minimal", "low", "medium", "high")
"""What reasoning may be lowered to, least first."""


@value
class Degradation:
    """What is taken from a request and its answer. Several join: the smaller number wins."""

    strip_logprobs: bool = False
    drop_logit_bias: bool = False
    single_choice: bool = False
    hide_reasoning: bool = False
    cap_output_tokens: int | None = None
    """The most output tokens that may be asked for."""
    lower_reasoning_effort: str | None = None
    """One of EFFORTS."""
    pace: float | None = None
    """Output tokens a second."""
    cut_after: int | None = None
    """Output tokens after which an answer ends."""

    def joined(self, other: Degradation) -> Degradation:
        """Both at once."""
        efforts = [
            one for one in (self.lower_reasoning_effort, other.lower_reasoning_effort) if one
        ]
        return Degradation(
            self.strip_logprobs or other.strip_logprobs,
            self.drop_logit_bias or other.drop_logit_bias,
            self.single_choice or other.single_choice,
            self.hide_reasoning or other.hide_reasoning,
            _smaller(self.cap_output_tokens, other.cap_output_tokens),
            min(efforts, key=EFFORTS.index, default=None),
            _smaller(self.pace, other.pace),
            _smaller(self.cut_after, other.cut_after),
        )

    @property
    def takes_logprobs(self) -> bool:
        """Whether log probabilities go: also with reasoning, whose every token they would spell out."""
        return self.strip_logprobs or self.hide_reasoning

    @property
    def shapes_replies(self) -> bool:
        """Whether the answer has to be read and changed, not only the request."""
        guards = self.takes_logprobs
        return guards or self.pace is not None or self.cut_after is not None

    @property
    def actions(self) -> dict[str, str]:
        """What is in force: the policy's word, and the same with its number."""
        found: dict[str, str] = {}
        for name in DEGRADATIONS:
            given = getattr(self, name)
            if given is True:
                found[name] = name
            elif given:
                shown = f"{given:g}/second" if name == "pace" else given
                found[name] = f"{name}: {shown}"
        return found


def _smaller(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


DEGRADATIONS: Final = (
    "strip_logprobs",
    "drop_logit_bias",
    "single_choice",
    "hide_reasoning",
    "cap_output_tokens",
    "lower_reasoning_effort",
    "pace",
    "cut_after",
)
"""The words of `degrade`."""


def all_of(degradations: Iterable[Degradation | None]) -> Degradation | None:
    """All at once; None where there is none."""
    joined: Degradation | None = None
    for one in degradations:
        if one is not None:
            joined = one if joined is None else joined.joined(one)
    return joined


@value
class Finding:
    """A rule has fired: why, and the numbers that it judged by."""

    reason: str
    evidence: Evidence
    wait_s: float = 0.0
    """Seconds that would bring the request into conformance, for `delay`."""
    retry_after_s: float | None = None
    """Exact seconds after which a retry would be admitted, for `throttle`."""


@value
class RuleFinding:
    """A finding, with the rule that made it and what that rule does about it."""

    rule: str
    kind: str
    family: Family | None
    """None for what joins several families: suspicion, gates and bans."""
    shadow: bool
    verb: Verb
    """The action after `delay` has been weighed against its `at_most`."""
    finding: Finding
    delay_s: float = 0.0
    delay_then: Verb = Verb.ALLOW
    """What happens where the edge has no room left to hold this request back."""
    ban_s: float = 0.0
    """Seconds that whom the rule counts is banned for."""
    subject: str | None = None
    """Whom that is."""
    degradation: Degradation | None = None
    """What is taken from the request and its answer, with `degrade`."""
    of: str | None = None
    """Which of the subjects that suspicion knows a request by, where several may be found."""

    @property
    def told(self) -> str:
        """What events call it: the rule, and of suspicion whose, `suspicion:account`."""
        return self.rule if self.of is None else f"{self.rule}:{self.of}"


@value
class Decision:
    """The outcome for one request. `rule`, `kind`, `reason` name the strongest enforced finding."""

    verb: Verb = Verb.ALLOW
    rule: str | None = None
    kind: str | None = None
    reason: str | None = None
    evidence: Evidence | None = None
    delay_s: float = 0.0
    delay_then: Verb = Verb.ALLOW
    retry_after_s: float | None = None
    findings: tuple[RuleFinding, ...] = ()
    degradation: Degradation | None = None
    """What all enforced findings take from the request and its answer; None where it is refused."""

    @property
    def would_degrade(self) -> Degradation | None:
        """What shadow rules would have taken."""
        return all_of(found.degradation for found in self.findings if found.shadow)

    @property
    def shadow(self) -> tuple[str, ...]:
        """Names of the shadow rules that fired."""
        return tuple(found.rule for found in self.findings if found.shadow)


ALLOWED = Decision()
