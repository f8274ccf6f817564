"""
A text as a reader of it would take it: escapes undone, look-alike letters one, what nobody sees left out.

A disguise that a model sees through costs its wearer nothing, so none may make a new prompt of an old one.
Undone are HTML, percent and backslash escapes, runs of base64 and of hex that hold text, compatibility
forms (NFKC), letters of other scripts that look Latin (after Unicode's confusables, UTS #39), accents, and
characters without width. Folding is for comparison alone: nobody is shown or sent the result.
"""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

LEAST_RUN: Final = 20
"""Characters of base64 or hex that are worth a look: shorter ones are words and identifiers."""
_WORDY: Final = 9
"""Characters a space, below which a text holds no long run worth a search: prose has five to seven."""

_RUN: Final = re.compile(rf"[A-Za-z0-9+/_-]{{{LEAST_RUN},}}={{0,2}}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+").fullmatch
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}").search
_BACKSLASH: Final = re.compile(
    r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]{1,5})\}|[nrt\"/\\])"
)
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]+"
)
_ALIKE: Final = (
    (
        "\u0430\u0431\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445",
        "a6bekmhopctyx",
    ),
    ("\u0455\u0456\u0458\u0475\u04bb\u04cf\u0501\u051b\u051d\u0491", "sijvhldqwr"),
    (
        "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
        "abezhikmvoptyx",
    ),
    ("\u0131\u0251\u0261\u0142\u00f8\u0111\u0127\u0167\u0192\u0280", "iaglodhtfr"),
    ("\u0585\u057d\u0570\u0578\u0566\u0581\u0575", "ouhnqgj"),
    ("\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f", "abcdefghijkl"),
    ("\u1d0d\u0274\u1d0f\u1d18\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22", "mnopstuvwyz"),
)
_FOLDED: Final = (
    "\u00c0-\u024f\u0250-\u02af\u0300-\u03ff\u0400-\u058f\u1d00-\u1d7f\u1e00-\u1fff\ua730-\ua731"
)
_FOLDS: Final = re.compile(f"[{_FOLDED}]").search


@lru_cache(maxsize=4)
def plain(text: str) -> str:
    """The text in lower case, as it reads. Sketch and lexicons ask for the same, one after the other."""
    text = _unescaped(text)
    if len(text) >= LEAST_RUN and text.count(" ") * _WORDY < len(text):
        text = _unwrapped(text)
    if text.isascii():
        return text.lower()
    text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).lower()
    return text.translate(_LETTERS) if _FOLDS(text) else text


def _unescaped(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    if "%" in text and _PERCENT(text):
        text = unquote(text, errors="ignore")
    if "\\" in text:
        text = _BACKSLASH.sub(_character, text)
    return text


def _character(found: re.Match[str]) -> str:
    return chr(int(found[found.lastindex], 16)) if found.lastindex else " "


def _unwrapped(text: str) -> str:
    return _RUN.sub(lambda found: _decoded(found[0]) or found[0], text)


def _decoded(run: str) -> str | None:
    """The text that a run holds, or None: most runs are names, hashes and pictures."""
    for raw in _readings(run):
        text = raw.decode("utf-8", "ignore")
        # A sample may have cut through a character at either end.
        if len(text.encode()) >= len(raw) - 6 and text.translate(_SPACES).isprintable():
            return f" {text} "
    return None


def _readings(run: str) -> Iterator[bytes]:
    if _HEX(run):
        yield bytes.fromhex(run)
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):  # what begins before the sample may begin anywhere in a group of four
        part = bare[start:]
        part = part[:-1] if len(part) % 4 == 1 else part
        yield binascii.a2b_base64(part + "=" * (-len(part) % 4))


_SPACES: Final = dict.fromkeys(map(ord, "\t\n\r"), " ")


def _letters() -> dict[int, str | None]:
    """Each letter that is folded → the letter that it is taken for; accents vanish."""
    table: dict[int, str | None] = dict.fromkeys(range(0x300, 0x370))
    for start, end in ((0xC0, 0x250), (0x370, 0x530), (0x1E00, 0x2000)):
        for code in range(start, end):
            base = unicodedata.normalize("NFKD", chr(code))[0]
            if ord(base) != code:
                table[code] = base
    for letters, latin in _ALIKE:
        table |= dict(zip(map(ord, letters), latin, strict=True))
    # A letter whose base looks Latin looks Latin too.
    return {code: table.get(ord(base), base) if base else base for code, base in table.items()}


_LETTERS: Final = _letters()
