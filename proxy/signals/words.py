"""
A text as plain words: case, white space, punctuation, digits and the forms of characters taken off.

One pass at C speed, over a bounded sample of the text: its head, and its tail where it is longer.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

SAMPLE: Final = 4096
"""Characters that are looked at: half from the head, half from the tail of what is longer."""

_SPACED: Final = re.compile("([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff])")
_PUNCTUATION: Final = dict.fromkeys(
    (
        *range(0x2000, 0x2070),
        *range(0x3000, 0x3020),
        *range(0xFE00, 0xFE10),
        0xA0,
        0xA1,
        0xAB,
        0xAD,
        0xB7,
        0xBB,
        0xBF,
        0xFEFF,
    ),
    " ",
)
_PLAIN: Final = bytes(
    byte if byte >= 0x80 or chr(byte).isalpha() else 0x20 for byte in range(256)
)
_DIGITS_AND_QUOTES: Final = b"0123456789'`"


def sample(text: str, size: int = SAMPLE) -> str:
    """At most `size` characters: all of a short text, head and tail of a long one."""
    if len(text) <= size:
        return text
    return f"{text[: size // 2]} {text[-(size // 2) :]}"


def words(text: str) -> list[bytes]:
    """The words of a text's sample, lower case, in UTF-8; each character of Chinese, Japanese or Korean
    is one."""
    text = sample(text).lower()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_PUNCTUATION)
        text = _SPACED.sub(r" \1 ", text)
    raw = text.encode("utf-8", "replace")
    return raw.translate(_PLAIN, _DIGITS_AND_QUOTES).split()
