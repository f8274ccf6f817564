"""
The sketch of a prompt: one or two features; prompts that say nearly the same share at least one.

All is over words as `words` gives them, so that case, white space, punctuation and numbers never tell two
prompts apart. A short prompt is all of its words: there, another word is another question. A longer one
also bears small edits: it is cut into twelve stretches, and of each the least word in a fixed order is
taken, once counted from the head and once from the tail, so that something put before or behind shifts
only one of the two (a MinHash of one row a stretch; Broder 1997). One changed word changes one stretch, and
its least word only by bad luck; prompts that share a wrapper and differ in what it wraps differ in some
stretch.
"""

from __future__ import annotations

from typing import Final

from proxy.facts import Ask
from proxy.signals.words import words

STRETCHES: Final = 12
LEAST_WORDS: Final = 2
"""Fewer words tell nothing: `hi`, `yes`."""
LEAST_TO_STRETCH: Final = 20
"""Words below which a stretch would be a word or two, and a small edit is another prompt."""
MOST_WORDS: Final = 256
"""Words that are stretched: more say no more, and cost."""


def prompt_text(ask: Ask) -> str:
    """What the caller newly asks: the user's last turn, or the last of all where no user speaks."""
    for turn in reversed(ask.turns):
        if turn.role == "user" and turn.text:
            return turn.text
    return ask.turns[-1].text if ask.turns else ""


def prompt_sketch(text: str) -> tuple[bytes, ...]:
    """One or two features, to be hashed by whoever keeps them; none for a text of hardly any words."""
    found = words(text)
    count = len(found)
    if count < LEAST_WORDS:
        return ()
    if count < LEAST_TO_STRETCH:
        return (b" ".join(found),)
    if count > MOST_WORDS:
        found = found[: MOST_WORDS // 2] + found[-(MOST_WORDS // 2) :]
    return _stretched(found), _stretched(found[::-1])


def _stretched(found: list[bytes]) -> bytes:
    """The least word of each stretch; the last one takes what is left over."""
    size = len(found) // STRETCHES
    last = size * (STRETCHES - 1)
    least = [min(found[at : at + size]) for at in range(0, last, size)]
    least.append(min(found[last:]))
    return b" ".join(least)
