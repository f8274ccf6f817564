"""
Reasoning that open models write into their answer itself: `<think>…</think>` at its start.

A server without a reasoning parser passes it on as text. It arrives token by token, so a beginning that
could become the mark is held back until it is told apart; that is a dozen characters at most.
"""

from __future__ import annotations

from typing import Final

_OPENINGS: Final = ("<think>", "<thinking>", "<thought>")


class Think:
    """The text of one answer as it comes, less the reasoning at its start."""

    __slots__ = ("_held", "_state", "hidden")

    def __init__(self) -> None:
        self._state = "start"
        self._held = ""
        self.hidden = False
        """Whether there was reasoning."""

    @property
    def passes(self) -> bool:
        """Whether everything from here on passes."""
        return self._state == "past"

    def feed(self, text: str) -> str:
        """What of it may be seen."""
        if self._state == "start":
            text = self._start(text)
        if self._state not in {"past", "start", "after"}:
            text = self._inside(text)
        if self._state == "after":
            text = text.lstrip()
            if text:
                self._state = "past"
        return text if self._state == "past" else ""

    def end(self) -> str:
        """What was held back and turned out to be no reasoning."""
        held, self._held = self._held, ""
        return held if self._state == "start" else ""

    def _start(self, text: str) -> str:
        self._held += text
        begun = self._held.lstrip()
        for opening in _OPENINGS:
            if begun.startswith(opening):
                self.hidden = True
                self._state = f"</{opening[1:]}"
                self._held = ""
                return begun[len(opening) :]
        if any(opening.startswith(begun) for opening in _OPENINGS) and len(self._held) < 256:
            return ""
        text, self._held, self._state = self._held, "", "past"
        return text

    def _inside(self, text: str) -> str:
        closing = self._state
        text = self._held + text
        _, found, rest = text.partition(closing)
        if found:
            self._held, self._state = "", "after"
            return rest
        self._held = text[-len(closing) + 1 :]
        return ""


def without_thinking(text: str) -> str:
    """The same of a whole text."""
    think = Think()
    return think.feed(text) + think.end()
