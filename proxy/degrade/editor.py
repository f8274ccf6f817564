"""What a reply's editor is: it changes a reply's events, or a whole reply, and counts what passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from proxy.degrade.settings import JsonObject
from proxy.dialects.replies import BYTES_PER_TOKEN
from proxy.value import value

WORD_BYTES: Final = 32
"""A piece of output up to here may be one token of a server that sends them one by one."""

ENDLESS: Final = 2**48
"""Tokens of a budget that only counts."""

_CONTAINERS: Final = ("data", "response", "body", "result", "message", "inlinedResponses")
"""Where lists and stored results hold replies."""


@value
class Shape:
    """What is taken from one reply."""

    hide_reasoning: bool = False
    strip_logprobs: bool = False
    cut_after: int | None = None
    """Output tokens, of each choice for itself."""
    choices: int = 1
    """How many answers were asked for."""
    input_tokens: int = 0
    """An estimate, for the usage of an answer that ends before the upstream has told."""
    asks_usage: bool = False
    """Whether the caller's stream is to end with its usage."""

    closing: str | None = None
    """What ends the reasoning in which the answer begins, because the request ends in it."""

    @property
    def guards(self) -> bool:
        """Whether something must not be seen: then nothing passes that cannot be read."""
        return self.hide_reasoning or self.strip_logprobs


class Editor:
    """Changes one reply. Dialects say how."""

    named: ClassVar[bool] = False
    """Whether events bear their type as a name."""
    length_stop: ClassVar[str]
    """What the dialect calls an end at a limit."""
    goodbye: ClassVar[bytes] = b""
    """What a stream ends with behind its last event."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.passed = 0
        """Output tokens that have passed."""
        self.touched: set[str] = set()
        """What was taken: `reasoning`, `logprobs`, `output`."""
        self.ended = False
        """The answer was cut: nothing more is to be read."""

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """The events in place of this one; None where it passes as it is."""
        raise NotImplementedError

    def rest(self) -> list[JsonObject]:
        """What was held back, at the end of a stream that has not said so itself."""
        return []

    def whole(self, reply: JsonObject) -> bool:
        """Change a whole reply, or what holds replies; whether anything was."""
        changed = False
        for one in _within(reply):
            changed |= self.object(one)
        if self.shape.cut_after is not None:
            changed |= self.cut(reply, self.shape.cut_after)
        return changed

    def object(self, found: JsonObject) -> bool:
        """Take reasoning and log probabilities out of one object that may be a reply."""
        raise NotImplementedError

    def cut(self, reply: JsonObject, most: int) -> bool:
        """Shorten a whole reply to so many tokens; counts what is left of it."""
        raise NotImplementedError


def _within(found: Any) -> Iterator[JsonObject]:
    if type(found) is dict:
        yield found
        for key in _CONTAINERS:
            if key in found:
                yield from _within(found[key])
    elif type(found) is list:
        for one in found:
            yield from _within(one)


def by_pieces(text: str) -> int:
    """Tokens of a piece from a server that sends nearly each one for itself."""
    size = len(text.encode())
    return 0 if not size else 1 if size <= WORD_BYTES else size // BYTES_PER_TOKEN


def by_bytes(text: str) -> int:
    """Tokens of a piece that holds several."""
    size = len(text.encode())
    return max(1, size // BYTES_PER_TOKEN) if size else 0


def shortened(text: str, tokens: int) -> str:
    """The beginning of a text that is worth so many tokens."""
    return text.encode()[: tokens * BYTES_PER_TOKEN].decode(errors="ignore")


class Budget:
    """What is left of a whole reply's tokens."""

    def __init__(self, tokens: int) -> None:
        self.left = tokens
        self.spent = 0
        self.short = False
        """Whether something had to be shortened."""

    def take(self, text: str) -> str:
        """As much of a text as there is room for."""
        tokens = by_bytes(text)
        if tokens > self.left:
            text, tokens, self.short = shortened(text, self.left), self.left, True
        self.left -= tokens
        self.spent += tokens
        return text
