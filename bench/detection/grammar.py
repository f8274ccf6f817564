"""
Prompts of the project's own: frames with slots, each number another prompt.

The n-th prompt of a style reads n as one digit a slot, after a step that is coprime to the number of all
prompts: neighbours differ in all slots, and no two numbers below `size` give the same prompt.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

_WORDS = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
SLOTS: dict[str, list[str]] = {
    name: [str(word) for word in words] for name, words in _WORDS["slots"].items()
}
FRAMES: dict[str, list[str]] = _WORDS["frames"]
OPENERS: list[str] = _WORDS["openers"]
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Style:
    """All prompts of one frame."""

    frame: str
    """Text with `{slot}` for each slot, in their order."""
    slots: Sequence[Sequence[str]]
    size: int = field(init=False)
    _step: int = field(init=False)

    def __post_init__(self) -> None:
        size = math.prod(len(slot) for slot in self.slots)
        step = int(size * _GOLDEN) | 1
        while math.gcd(step, size) != 1:
            step += 2
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "_step", step)

    def prompt(self, number: int) -> str:
        """The prompt of a number; those below `size` are all different."""
        rest = number * self._step % self.size
        chosen = []
        for slot in self.slots:
            rest, at = divmod(rest, len(slot))
            chosen.append(slot[at])
        text = self.frame.format(*chosen)
        return text[:1].upper() + text[1:]


class Mixture:
    """Several frames in turn: number n is of frame n modulo their count, as long as that one lasts."""

    def __init__(self, styles: Sequence[Style]) -> None:
        self._styles = styles
        self.size = len(styles) * min(style.size for style in styles)

    def prompt(self, number: int) -> str:
        """See `Style.prompt`."""
        count = len(self._styles)
        number %= self.size
        return self._styles[number % count].prompt(number // count)


def _styles(name: str) -> list[Style]:
    found = []
    for frame in FRAMES[name]:
        names = [part.split("}")[0] for part in frame.split("{")[1:]]
        slots = [SLOTS[slot] for slot in names]
        found.append(Style(re.sub(r"\{\w+\}", "{}", frame), slots))
    return found


GRAMMAR = {name: Mixture(_styles(name)) for name in FRAMES}
"""By style: `instruction`, `math`, `code`, `chat`, `support` …"""


def passage(number: int, sentences: int) -> str:
    """A passage of a document, for what is retrieved, classified or quoted: the same for the same
    number."""
    made = GRAMMAR["sentence"]
    start = number * 1009
    return " ".join(made.prompt(start + at) for at in range(sentences))


def reply(number: int) -> str:
    """What a model might have answered, where a source has not kept it."""
    first = OPENERS[number % len(OPENERS)]
    return f"{first} {passage(number * 31 + 7, 2 + number % 4)}"


def filled(turns: Sequence[dict[str, str | None]], number: int) -> list[dict[str, str]]:
    """Turns whose missing answers are filled in."""
    count = itertools.count(number)
    return [
        {"role": str(turn["role"]), "content": turn["content"] or reply(next(count))}
        for turn in turns
    ]
