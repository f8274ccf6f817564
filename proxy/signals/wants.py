"""What a policy's rules want to have derived: only that is."""

from __future__ import annotations

from typing import Final, Protocol

from proxy.facts import Ask, Signal, Terms
from proxy.head import Head
from proxy.value import value


class Mistaken(Protocol):
    """Notes what is wrong in a file, with line and column."""

    def __call__(
        self,
        path: tuple[str | int, ...],
        message: str,
        suggestion: str | None = None,
        *,
        key: bool = False,
    ) -> None:
        """`path` leads to the value; with `key` its name is meant."""
        ...


class TextMarks(Protocol):
    """Something that is looked for in the text of a prompt, such as a lexicon."""

    @property
    def name(self) -> str:
        """What its findings are called in `Signals.terms` and in events."""
        ...

    def weigh(self, ask: Ask, prompt: str | None = None) -> Terms:
        """(category, weight) of what an ask holds; empty where it holds nothing. `prompt` is what it newly
        asks, where that is known already."""
        ...


class RequestMarks(Protocol):
    """Something that is looked for in how a request is written: headers, parameters, body."""

    @property
    def name(self) -> str:
        """What its findings are called in `Signals.marks` and in events."""
        ...

    def find(self, head: Head, ask: Ask, body: bytes) -> tuple[str, ...]:
        """The marks that a request bears, by name."""
        ...


@value
class Wants:
    """What is to be derived."""

    signals: frozenset[Signal] = frozenset()
    texts: tuple[TextMarks, ...] = ()
    requests: tuple[RequestMarks, ...] = ()


NOTHING: Final = Wants()
