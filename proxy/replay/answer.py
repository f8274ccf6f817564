"""
What comes of a recorded answer: its tokens and its duration, by what the policy takes from them. Pure.

A cap or a cut lowers the tokens that come through, pace lengthens the answer. What a model would have said
with less reasoning is not known: a lowered effort leaves the recorded tokens as they are.
"""

from __future__ import annotations

from typing import Final

from proxy.decision import Degradation
from proxy.degrade.replies import LONGEST_HOLD_S, DegradedReply
from proxy.degrade.requests import takes_limit
from proxy.dialects.base import ReplyReader
from proxy.facts import Ask, Route, Usage
from proxy.replay.records import Response
from proxy.value import value


@value
class Answer:
    """What the caller gets."""

    tokens: int
    """Output tokens that come through."""
    duration: float
    """Seconds until the last byte."""
    usage: Usage
    """As the upstream would report it."""
    paced_s: float = 0.0
    """How much longer it takes for the policy's pace."""


def plain_answer(response: Response) -> Answer:
    """An answer from which nothing is taken."""
    usage = Usage(response.input_tokens, response.output_tokens, response.reasoning_tokens)
    return Answer(response.output_tokens, response.duration, usage)


def degraded_answer(
    response: Response,
    degradation: Degradation,
    route: Route,
    asks: tuple[Ask, ...],
    observer: ReplyReader | None,
) -> Answer:
    """The same of a request that is degraded; `observer` is who would change its reply."""
    made, reasoning, duration = response.output_tokens, response.reasoning_tokens, response.duration
    choices = sum(ask.choices for ask in asks) or 1
    if degradation.single_choice and choices > 1:
        made, reasoning = -(-made // choices), -(-reasoning // choices)
        choices = 1
    if degradation.cap_output_tokens is not None and takes_limit(route):
        shorter = min(made, degradation.cap_output_tokens * choices)
        duration *= shorter / made if made else 1.0
        made, reasoning = shorter, min(reasoning, shorter)
    shown, usage = made, Usage(response.input_tokens, made, reasoning)
    if not isinstance(observer, DegradedReply):
        return Answer(shown, duration, usage)
    shape = observer.shape
    if shape.hide_reasoning:
        shown -= min(reasoning, shown)
    if shape.cut_after is not None and shown > shape.cut_after * choices:
        cut = shape.cut_after * choices
        if not observer.whole:  # the upstream is told to stop, and is paid for what has passed
            duration *= cut / shown
            usage = Usage(response.input_tokens, cut, None)
        shown = cut
    pace = observer.pace
    if pace is None:
        return Answer(shown, duration, usage)
    if observer.whole:
        longer = min(max(made / pace - duration, 0.0), LONGEST_HOLD_S)
    else:
        longer = max(shown / pace - duration, 0.0)
    return Answer(shown, duration + longer, usage, longer)


class RecordedReply:
    """Stands for the reader of a reply that nobody sends. See `dialects.base.ReplyReader`."""

    __slots__ = ("usage",)

    finish_reason: Final = None
    response_id: Final = None
    response_model: Final = None
    usage_keeps_up: Final = True

    def __init__(self, usage: Usage) -> None:
        self.usage: Usage | None = usage

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def finish(self) -> bytes:
        """Nothing is held back."""
        return b""

    def estimated_output_tokens(self) -> int:
        """As recorded."""
        return 0 if self.usage is None else self.usage.output_tokens or 0

    def unread_output_tokens(self) -> int:
        """None: a record tells of all."""
        return 0
