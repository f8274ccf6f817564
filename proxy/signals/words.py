"""
A text as words: what disguises it, case, white space, punctuation and digits taken off.

One pass at C speed, over a bounded sample of the text: its head, and its tail where it is longer.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.signals.plain import plain

SAMPLE: Final = 4096
"""Characters that are looked at: half from the head, half from the tail of what is longer."""

_SPACED: Final = re.compile("([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff])")
_PUNCTUATION: Final = re.compile(
    "[\xa0-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2000-\u206f\u3000-\u303f\ufe00-\ufe0f\ufeff]+"
)
_TELLING_FIRST: Final = b"mcupgfwldybvkhrsnioatejxqz"
"""Letters in the order in which words are preferred: first those that words begin with which say something,
last those of random salts."""
_PLAIN: Final = bytes(
    byte if byte >= 0x80 else 0x61 + _TELLING_FIRST.index(byte) if byte in _TELLING_FIRST else 0x20
    for byte in range(256)
)
_DIGITS_AND_QUOTES: Final = b"0123456789'`"


def sample(text: str, size: int = SAMPLE) -> str:
    """At most `size` characters: all of a short text, head and tail of a long one."""
    if len(text) <= size:
        return text
    return f"{text[: size // 2]} {text[-(size // 2) :]}"


def words(text: str) -> list[bytes]:
    """The words of a text's sample, lower case; each character of Chinese, Japanese or Korean is one.

    In UTF-8, but for the letters a to z, which are exchanged so that the least of some words is one that
    says much.
    """
    text = plain(sample(text))
    if not text.isascii():
        text = _PUNCTUATION.sub(" ", text)
        text = _SPACED.sub(r" \1 ", text)
    raw = text.encode("utf-8", "replace")
    return raw.translate(_PLAIN, _DIGITS_AND_QUOTES).split()
