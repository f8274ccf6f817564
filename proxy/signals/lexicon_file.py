"""A lexicon's file → the lexicon, or every mistake in it, each with its place. The form: `lexicon`."""

from __future__ import annotations

import re
from typing import Any, Final

from proxy.nearest import nearest
from proxy.signals.lexicon import Entry, Lexicon, pattern
from proxy.signals.wants import Mistaken

MAX_TERMS: Final = 5_000
MAX_CATEGORIES: Final = 16
"""As many as one rule's counter tells apart."""
MAX_TERM: Final = 100
"""Characters."""
MAX_PARTS: Final = 6
MAX_WEIGHT: Final = 100.0
WITHIN: Final = 60
"""Characters in which a structure stands where its line does not say."""
MAX_WITHIN: Final = 400

_HOLDS: Final = ("categories", "words")
_OF_CATEGORY: Final = ("most", "terms")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}").fullmatch
_LANGUAGE = re.compile(r"[a-z]{2,3}").fullmatch

Place = tuple[str | int, ...]


def read_lexicon(data: Any, mistake: Mistaken, name: str = "", *, system: bool = False) -> Lexicon:
    """A lexicon out of a file's data; what is wrong in it is noted, and left out."""
    if not isinstance(data, dict) or data.get("version") != 1 or data["version"] is True:
        mistake((), "a lexicon begins with `version: 1`", None)
        return Lexicon(name, (), {})
    for key in data.keys() - {"version", *_HOLDS}:
        mistake((key,), f"`{key}` is not known here", nearest(key, _HOLDS), key=True)
    reader = _Reader(mistake)
    reader.take_words(data.get("words", {}))
    categories = data.get("categories")
    if not isinstance(categories, dict) or not 0 < len(categories) <= MAX_CATEGORIES:
        place = ("categories",) if "categories" in data else ()
        mistake(place, f"`categories` must hold 1 to {MAX_CATEGORIES} named ones", None)
        return Lexicon(name, (), {})
    for category, of_category in categories.items():
        reader.take_category(category, of_category)
    if reader.terms > MAX_TERMS:
        mistake(("categories",), f"it holds {reader.terms} terms, and at most {MAX_TERMS}", None)
        return Lexicon(name, (), {})
    return Lexicon(name, reader.entries, reader.most, system=system)


class _Reader:
    def __init__(self, mistake: Mistaken) -> None:
        self._mistake = mistake
        self._words: dict[str, tuple[str, ...]] = {}
        self.entries: list[Entry] = []
        self.most: dict[str, float] = {}
        self.terms = 0

    def take_words(self, data: Any) -> None:
        """Lists that structures name."""
        if not isinstance(data, dict):
            self._mistake(("words",), "`words` must hold named lists", None)
            return
        for name, listed in data.items():
            self._words[name] = self._list(listed, ("words", name))

    def take_category(self, name: str, data: Any) -> None:
        """A category with its entries."""
        place: Place = ("categories", name)
        if not _NAME(name):
            message = "a category's name is of small letters, digits and `_`"
            self._mistake(place, message, None, key=True)
        if not isinstance(data, dict):
            self._mistake(place, "a category holds `most` and `terms`", None)
            return
        for key in data.keys() - {*_OF_CATEGORY}:
            message = f"`{key}` is not known here"
            self._mistake((*place, key), message, nearest(key, _OF_CATEGORY), key=True)
        most, terms = data.get("most", MAX_WEIGHT), data.get("terms")
        self.most[name] = self._weight(most, (*place, "most"))
        if not isinstance(terms, list) or not terms:
            self._mistake((*place, "terms"), "`terms` must be a list", None)
            return
        for at, item in enumerate(terms):
            self._entry(name, item, (*place, "terms", at))

    def _entry(self, category: str, item: Any, place: Place) -> None:
        if not isinstance(item, dict) or ("any" in item) == ("near" in item):
            message = "a line of a lexicon holds `weight`, `language`, and `any` or `near`"
            self._mistake(place, message, None)
            return
        near = "near" in item
        known = {"weight", "language", "near", "within"} if near else {"weight", "language", "any"}
        for key in item.keys() - known:
            message = f"`{key}` is not known here"
            self._mistake((*place, key), message, nearest(key, known), key=True)
        weight = self._weight(item.get("weight"), (*place, "weight"))
        language = item.get("language")
        if not isinstance(language, str) or not _LANGUAGE(language):
            message = "`language` must be a code such as `en`"
            self._mistake((*place, "language"), message, None)
            return
        if near:
            parts = self._parts(item["near"], (*place, "near"))
            within = self._within(item.get("within", WITHIN), (*place, "within"))
        else:
            listed = self._list(item["any"], (*place, "any"))
            parts, within = (listed,) if listed else (), 0
        if parts and weight:
            self.terms += sum(map(len, parts))
            self.entries.append(Entry(category, weight, language, parts, within))

    def _parts(self, data: Any, place: Place) -> tuple[tuple[str, ...], ...]:
        if not isinstance(data, list) or not 2 <= len(data) <= MAX_PARTS:
            self._mistake(place, f"`near` must hold 2 to {MAX_PARTS} lists of terms", None)
            return ()
        parts = [self._list(part, (*place, at)) for at, part in enumerate(data)]
        return tuple(parts) if all(parts) else ()

    def _list(self, data: Any, place: Place) -> tuple[str, ...]:
        """Terms, with what `$name` stands for; empty where something is wrong."""
        if not isinstance(data, list) or not data:
            self._mistake(place, "must be a list of terms", None)
            return ()
        terms: dict[str, None] = {}
        for at, term in enumerate(data):
            here = (*place, at)
            if not isinstance(term, str):
                self._mistake(here, "a term must be text: quote it", None)
            elif term.startswith("$"):
                if term[1:] not in self._words:
                    message = f"no list of `words` is called `{term[1:]}`"
                    self._mistake(
                        here, message, nearest(term, [f"${name}" for name in self._words])
                    )
                terms |= dict.fromkeys(self._words.get(term[1:], ()))
            elif len(term) > MAX_TERM or not pattern(term):
                message = f"a term is a word or more, of at most {MAX_TERM} characters"
                self._mistake(here, message, None)
            else:
                terms[term] = None
        return tuple(terms)

    def _weight(self, value: Any, place: Place) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value <= MAX_WEIGHT:
            message = f"`{place[-1]}` must be a number above 0, at most {MAX_WEIGHT:g}"
            self._mistake(place, message, None)
            return 0.0
        return float(value)

    def _within(self, value: Any, place: Place) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WITHIN:
            self._mistake(place, f"`within` must be 1 to {MAX_WITHIN} characters", None)
            return WITHIN
        return value
