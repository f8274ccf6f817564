"""
Reasoning that open models write into their answer itself: `<think>…</think>` at its start.

A server without a reasoning parser passes it on as text. It arrives token by token, so a beginning that
could become the mark is held back until it is told apart; that is a dozen characters at most.

Where the request itself ends within such reasoning (a caller's prefill, a raw prompt), the answer begins in
it. Some servers' templates do that unasked: of a whole answer the closing mark alone tells so, but of a
stream it comes too late.
"""

from __future__ import annotations

from typing import Final

_OPENINGS: Final = ("<think>", "<thinking>", "<thought>")
_CLOSINGS: Final = {opening: f"</{opening[1:]}" for opening in _OPENINGS}


def left_open(text: str) -> str | None:
    """The mark that closes the reasoning within which a text ends; None where it ends outside."""
    last = max(_OPENINGS, key=text.rfind)
    begun = text.rfind(last)
    return _CLOSINGS[last] if begun >= 0 and text.find(_CLOSINGS[last], begun) < 0 else None


class Think:
    """The text of one answer as it comes, less the reasoning at its start."""

    __slots__ = ("_held", "_state", "hidden")

    def __init__(self, closing: str | None = None) -> None:
        """`closing` is the mark that ends the reasoning in which the answer begins."""
        self._state = "start" if closing is None else closing
        self._held = ""
        self.hidden = closing is not None
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
                self._state = _CLOSINGS[opening]
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


def without_thinking(text: str, closing: str | None = None) -> str:
    """The same of a whole text, in which a closing mark without an opening one tells of reasoning, too."""
    think = Think(closing or unopened(text))
    return think.feed(text) + think.end()


def unopened(text: str) -> str | None:
    """A closing mark in a whole text that no opening one stands before."""
    for opening, closing in _CLOSINGS.items():
        at = text.find(closing)
        if at >= 0 and text.find(opening, 0, at) < 0:
            return closing
    return None
