"""
Placeholders in what a suite sends, filled anew for each request. Pure, and the same in each run.

    {n}            number of the request in its burst, from 1
    {n%50}         the same, counted round: 0 to 49
    {word}         a word
    {words:12}     twelve words, others in each request
    {words:12%20}  twelve words, the same again in each twentieth request
    {{n}}          the text {n}
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Final

from proxy.nearest import nearest
from proxy.rules.fields import wrong
from proxy.scenarios.words import WORDS

_PLACEHOLDER = re.compile(
    r"\{(?P<plain>\{[^{}]*\})\}|\{(?P<name>[a-z]+)(?::(?P<count>[^{}%]*))?(?:%(?P<round>[^{}]*))?\}"
)
_NAMES: Final = ("n", "word", "words")
_WHOLE = re.compile(r"[1-9][0-9]{0,4}").fullmatch
MOST_WORDS: Final = 10_000


def check(text: str, path: tuple[str | int, ...] = ()) -> None:
    """Raises a mistake where something in braces is no placeholder."""
    for found in _PLACEHOLDER.finditer(text):
        name, count, turn = found["name"], found["count"], found["round"]
        if found["plain"] is not None:
            continue
        if name not in _NAMES:
            message = f"`{name}` is no placeholder; double the braces where it is meant as a text"
            raise wrong(message, path, nearest(name, _NAMES), offset=found.start())
        counts = count is not None and _WHOLE(count) and int(count) <= MOST_WORDS
        if (name == "words") != bool(counts) or (turn is not None and not _WHOLE(turn)):
            message = "a placeholder is `n`, `n%50`, `word`, `words:12` or `words:12%20`, in braces"
            raise wrong(message, path, offset=found.start())


class Filler:
    """Fills the placeholders of one request."""

    __slots__ = ("_drawn", "_n", "_seed")

    def __init__(self, seed: bytes, n: int) -> None:
        """`n` is the request's number from 1; `seed` differs from burst to burst."""
        self._seed = seed
        self._n = n
        self._drawn = 0

    def text(self, template: str) -> str:
        """A text with its placeholders filled."""
        if "{" not in template:
            return template
        return _PLACEHOLDER.sub(self._one, template)

    def one(self, templates: str | tuple[str, ...]) -> str:
        """A text, or that of several whose turn it is."""
        if not isinstance(templates, str):
            templates = templates[(self._n - 1) % len(templates)]
        return self.text(templates)

    def data(self, given: Any) -> Any:
        """The same with every text in it filled, names of fields among them."""
        if isinstance(given, str):
            return self.text(given)
        if isinstance(given, list):
            return [self.data(item) for item in given]
        if isinstance(given, dict):
            return {self.text(key): self.data(item) for key, item in given.items()}
        return given

    def words(self, count: int, number: int | None = None) -> str:
        """So many words; the same for the same `number`, the request's own where there is none."""
        self._drawn += 1
        number = self._n if number is None else number
        drawn = bytearray()
        while len(drawn) < count:
            said = b"%d.%d.%d" % (number, self._drawn, len(drawn))
            drawn += blake2b(self._seed + said).digest()
        return " ".join([WORDS[one] for one in drawn[:count]])

    def _one(self, found: re.Match[str]) -> str:
        if (plain := found["plain"]) is not None:
            return plain
        number = self._n % int(found["round"]) if found["round"] else self._n
        if found["name"] == "n":
            return str(number)
        return self.words(int(found["count"] or 1), number)
