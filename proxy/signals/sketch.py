"""
The sketch of a prompt: two hashes, of which prompts that say nearly the same share at least one.

The first is over all words as `words` gives them, so that case, white space, punctuation and numbers never
tell two prompts apart. The second also bears small edits: the words are cut into four stretches, and of
each the least hash of two neighbouring words is taken (a MinHash of one row a stretch; Broder 1997). One
changed word changes one stretch, and its minimum only by bad luck, while prompts that share a wrapper and differ
in what it wraps differ in at least one stretch as a rule.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from zlib import crc32

from proxy.facts import Ask
from proxy.signals.words import words

STRETCHES: Final = 4
LEAST_WORDS: Final = 2
"""Fewer words tell nothing: `hi`, `yes`."""
LEAST_TO_STRETCH: Final = 16
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
    """One or two hashes of 8 bytes; none for a text of hardly any words."""
    found = words(text)
    count = len(found)
    if count < LEAST_WORDS:
        return ()
    whole = blake2b(b" ".join(found), digest_size=8).digest()
    if count < LEAST_TO_STRETCH:
        return (whole,)
    if count > MOST_WORDS:
        found = found[: MOST_WORDS // 2] + found[-(MOST_WORDS // 2) :]
        count = MOST_WORDS
    hashes = list(map(crc32, found))
    pairs = [(one * 31 + two) * 2654435761 & 0xFFFFFFFF for one, two in zip(hashes, hashes[1:], strict=False)]
    size = count // STRETCHES
    least = [min(pairs[at * size : at * size + size]) for at in range(STRETCHES)]
    stretched = blake2b(b"%d %d %d %d" % tuple(least), digest_size=8).digest()
    return whole, stretched
