"""
Lexicons: what a prompt is about or asks for, as far as its words tell.

A lexicon is a YAML file that operators may edit or replace: categories of terms, each with a weight and
a language. All terms are found in one pass, linear in the text whatever they are (Aho and Corasick
1975), after it has been folded as a reader would take it (`plain`), so that escapes, look-alike
letters, characters without width and base64 hide no word. A category weighs what the distinct entries
weigh that a prompt holds, up to its `most`.

    version: 1
    words:
      reveal: [show, print, write out]
    categories:
      hidden:
        most: 6
        terms:
          - {weight: 3, language: en, any: [chain of thought, hidden reasoning]}
          - {weight: 2, language: de, any: [gedankeng*]}
          - {weight: 3, language: en, near: [[$reveal], [your, internal], [reasoning*]], within: 60}

`any` weighs once for each of its terms that is there; `near` once where one of each list begins within
so many characters, in whatever order. A `*` at the end of a term stands for any ending, `$name` for the
list of `words` of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation

from proxy.facts import Ask, Terms
from proxy.signals.plain import plain
from proxy.signals.sketch import prompt_text
from proxy.signals.words import sample
from proxy.value import value

SAMPLE: Final = 4096
"""Characters that are looked at, of a prompt and again of a system text: half from the head, half from the
tail of what is longer."""

_CJK: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUNS: Final = re.compile(f"[{_CJK}]+")
_LEAST_CJK: Final = 0xE3
"""The first byte of such a letter in UTF-8, at least; shorter ones are of alphabets."""
_UNSPACED: Final = re.compile(f"[{_CJK}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]").match
"""Scripts that set no space between words: a term may begin and end anywhere in them."""
_PUNCTUATION: Final = re.compile(
    "[\xa0-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2000-\u206f\u3000-\u303f\ufe00-\ufe0f\ufeff]+"
)
_KEPT: Final = b"0123456789abcdefghijklmnopqrstuvwxyz<>/_#+"
_PLAIN: Final = bytes(
    byte if byte >= 0x80 or byte in _KEPT else 0x61 + byte - 0x41 if 0x41 <= byte <= 0x5A else 0x20
    for byte in range(256)
)


@value
class Entry:
    """One line of a lexicon: what weighs, and where it belongs."""

    category: str
    weight: float
    language: str
    parts: tuple[tuple[str, ...], ...]
    """One list of terms of which any counts; several lists of which one each must stand near."""
    within: int = 0
    """Bytes of the folded text within which all parts begin; 0 of a single list."""


def folded(text: str) -> bytes:
    """A text as terms are looked for in it: plain words, one space between them and at both ends.

    Chinese, Japanese and Korean are runs without a space, whatever stood between their letters.
    """
    text = plain(text)
    if "<" in text:  # a tag is a word, and parts what stands around it
        text = text.replace("<", " <").replace(">", "> ")
    if text.isascii():
        return b" " + b" ".join(text.encode().translate(_PLAIN).split()) + b" "
    text = _PUNCTUATION.sub(" ", text)
    if not _RUNS.search(text):
        return b" " + b" ".join(text.encode("utf-8", "replace").translate(_PLAIN).split()) + b" "
    text = _RUNS.sub(r" \g<0> ", text)
    parts: list[bytes] = []
    in_run = False
    for word in text.encode("utf-8", "replace").translate(_PLAIN).split():
        runs_on, in_run = in_run, word[0] >= _LEAST_CJK
        parts.append(word if runs_on and in_run else b" " + word)
    return b"".join(parts) + b" "


def pattern(term: str) -> bytes:
    """A term as it stands in folded text, with the edges of its words; empty where it holds no word."""
    raw = folded(term.rstrip("*"))
    words = raw.strip().decode()
    if not words:
        return b""
    before = b"" if _UNSPACED(words[0]) else b" "
    behind = b"" if term.endswith("*") or _UNSPACED(words[-1]) else b" "
    return before + raw.strip() + behind


Found = list[tuple[int, int, int]]
"""(which pattern, start, end) in folded text, as the automaton tells."""


class Lexicon:
    """See `wants.TextMarks`. Immutable."""

    def __init__(
        self, name: str, entries: Iterable[Entry], most: dict[str, float], *, system: bool = False
    ) -> None:
        """`most` holds each category and what it weighs at most; `system` looks at system texts too."""
        self.name = f"{name}+system" if system else name
        self.entries = tuple(entries)
        self.most = most
        self._system = system
        words: dict[bytes, list[tuple[str, float]]] = {}
        stands: dict[bytes, list[tuple[int, int]]] = {}
        telling: set[bytes] = set()
        for number, entry in enumerate(self.entries):
            parts = [[pattern(term) for term in part] for part in entry.parts]
            rarest = max(parts, key=_mean_length)
            telling.update(rarest)
            for at, part in enumerate(parts):
                for term in part:
                    if entry.within:
                        stands.setdefault(term, []).append((number, at))
                    else:
                        words.setdefault(term, []).append((entry.category, entry.weight))
        self._terms = tuple(dict.fromkeys((*words, *stands)))
        self._words_of = [tuple(words.get(term, ())) for term in self._terms]
        self._stands_in = [tuple(stands.get(term, ())) for term in self._terms]
        self._telling = frozenset(at for at, term in enumerate(self._terms) if term in telling)
        """Terms of which one must be there: of a structure its part of the longest, hence rarest, words."""
        self._find = (
            BytesAhoCorasick(self._terms, implementation=Implementation.DFA)
            if self._terms
            else BytesAhoCorasick([b"\xff"])  # stands in no text
        ).find_matches_as_indexes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lexicon) and (self.name, self.entries, self.most) == (
            other.name,
            other.entries,
            other.most,
        )

    def __hash__(self) -> int:
        return hash((self.name, self.entries))

    @property
    def categories(self) -> tuple[str, ...]:
        """Their names, in the file's order."""
        return tuple(self.most)

    def weigh(self, ask: Ask, prompt: str | None = None) -> Terms:
        """(category, weight) of what the newest prompt holds, and the system text where that counts."""
        text = sample(prompt_text(ask) if prompt is None else prompt, SAMPLE)
        if self._system and ask.system:
            text = f"{text} {sample(ask.system, SAMPLE)}"
        return self.weigh_text(text)

    def weigh_text(self, text: str) -> Terms:
        """The same of a text."""
        found = self._find(folded(text), True)
        if not found:
            return ()
        there = {which for which, _, _ in found}
        if self._telling.isdisjoint(there):
            return ()
        weights = self._words(there)
        for entry in self._structures(found, there):
            weights[entry.category] = weights.get(entry.category, 0.0) + entry.weight
        return tuple(
            [
                (name, round(min(weights[name], most), 3))
                for name, most in self.most.items()
                if name in weights
            ]
        )

    def _words(self, there: set[int]) -> dict[str, float]:
        """Category → weight of its words. Of those that begin alike, as of a word that several languages
        share or that two endings fit, the weightiest counts alone."""
        by_category: dict[str, list[tuple[bytes, float]]] = {}
        for which in there:
            for category, weight in self._words_of[which]:
                by_category.setdefault(category, []).append((self._terms[which], weight))
        weights: dict[str, float] = {}
        for category, words in by_category.items():
            words.sort()
            last, heaviest, total = words[0][0], 0.0, 0.0
            for term, weight in words:
                if term.startswith(last):
                    heaviest = max(heaviest, weight)
                else:
                    total, heaviest = total + heaviest, weight
                last = term
            weights[category] = total + heaviest
        return weights

    def _structures(self, found: Found, there: set[int]) -> list[Entry]:
        """The structures of which all parts stand near each other."""
        parts: dict[int, set[int]] = {}
        for which in there:
            for number, part in self._stands_in[which]:
                parts.setdefault(number, set()).add(part)
        latest: dict[int, dict[int, int]] = {
            number: {}
            for number, shown in parts.items()
            if len(shown) == len(self.entries[number].parts)
        }
        near: list[Entry] = []
        for which, start, _ in found:
            if not latest:
                break
            for number, part in self._stands_in[which]:
                places = latest.get(number)
                if places is not None:
                    places[part] = start
                    if _near(places, self.entries[number]):
                        near.append(self.entries[number])
                        del latest[number]
        return near


def _mean_length(part: list[bytes]) -> float:
    return sum(map(len, part)) / len(part)


def _near(places: dict[int, int], entry: Entry) -> bool:
    """Whether the latest beginnings of all parts lie within one stretch."""
    if len(places) < len(entry.parts):
        return False
    return max(places.values()) - min(places.values()) <= entry.within
