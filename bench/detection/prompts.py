"""
What is asked: rows of the evaluation data where it is there, and behind them, or without it, the grammar.

A stock is a numbered list without repetition. Harvests walk it: account k of n takes numbers k, k + n,
k + 2n …, so that what one has asked no other asks. When the rows are used up, it goes on as real
pipelines do, with the rows rewritten by templates, and then with the grammar.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

from bench.detection.grammar import GRAMMAR, SLOTS, Mixture, filled

Turns = list[dict[str, str]]
DATA = Path(os.environ.get("EXCISE_EVAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
_REWRITERS = [
    f"{who}. Rewrite the prompt below by {how}, with {limit}.\n\n#Prompt#:\n{{}}\n\n#Rewritten Prompt#:"
    for who in SLOTS["rewriter"]
    for how in SLOTS["evolution"]
    for limit in SLOTS["limit"]
]


class Stock:
    """Numbered conversations: rows, rows rewritten, and prompts of the grammar."""

    def __init__(self, rows: Sequence[Turns], style: Mixture, *, rewritten: bool) -> None:
        self._rows = rows
        self._style = style
        self._rewritten = len(rows) * len(_REWRITERS) if rewritten else 0
        self.size = len(rows) + self._rewritten + style.size

    def turns(self, number: int) -> Turns:
        """The conversation of a number; those below `size` are all different."""
        number %= self.size
        rows = len(self._rows)
        if number < rows:
            return self._rows[number]
        number -= rows
        if number < self._rewritten:
            how, row = divmod(number, rows)
            return _user(_REWRITERS[how].format(self._rows[row][-1]["content"]))
        return _user(self._style.prompt(number - self._rewritten))

    def text(self, number: int) -> str:
        """What is asked last in it."""
        return self.turns(number)[-1]["content"]


class Library:
    """The stocks of one scenario."""

    def __init__(self, data: Path | None, half: int) -> None:
        """`data` None is the grammar alone; `half` 0 or 1 takes every other row, so that two scenarios
        that share a file share no row."""
        self._data = data
        self._half = half
        self._read: dict[str, list[Turns]] = {}

    @property
    def source(self) -> str:
        return "grammar" if self._data is None else "evaluation data, then grammar"

    def stock(
        self, sources: Sequence[str], style: str, draw: random.Random, *, rewritten: bool = False
    ) -> Stock:
        """A stock of these files' rows in an order that is drawn, and of a style behind them."""
        rows = [row for name in sources for row in self._rows(name)]
        draw.shuffle(rows)
        return Stock(rows, GRAMMAR[style], rewritten=rewritten)

    def _rows(self, name: str) -> list[Turns]:
        if self._data is None:
            return []
        if name not in self._read:
            self._read[name] = list(_rows_of(self._data / f"prompts_{name}.jsonl.gz", self._half))
        return self._read[name]


def _rows_of(file: Path, half: int) -> list[Turns]:
    found: dict[str, Turns] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % 2 != half:
                continue
            turns = json.loads(line)["turns"]
            while turns and turns[-1]["role"] == "assistant":
                turns.pop()
            if turns and turns[-1]["content"]:
                made = filled(turns, number)
                found.setdefault(made[-1]["content"], made)
    return list(found.values())


def _user(text: str) -> Turns:
    return [{"role": "user", "content": text}]


def data_or_none(wanted: Path | None) -> Path | None:
    """The evaluation data's folder, or None where it is not."""
    folder = wanted or DATA
    return folder if (folder / "prompts_benign_arena.jsonl.gz").exists() else None
