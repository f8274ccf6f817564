"""
What stays the same from request to request: the system prompt, and how prompts begin.

Variable parts are left out first: whatever holds a digit (dates, times, identifiers), addresses of web and
mail, names of days and months, and what stands in quotes. Two system prompts that differ only in today's
date, a user's name in quotes or a ticket number are one.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.signals.plain import plain

SAMPLE: Final = 2048
"""Characters of a system prompt that are looked at, from its head: what it is stands there, and what is
fetched for each request (documents, memories) as a rule behind."""
PREFIX: Final = 48
"""Characters of a masked prompt that make its template."""
LEAST_PREFIX: Final = 24
"""Shorter beginnings are no template: `hi there`."""

_QUOTED: Final = re.compile('"[^"\n]{1,200}"|\u201c[^\u201d\n]{1,200}\u201d')
_DATES: Final = frozenset(
    b"monday tuesday wednesday thursday friday saturday sunday january february march april may june "
    b"july august september october november december".split()
)
_MARK: Final = 0x30
_SORTED: Final = bytes(
    _MARK if chr(byte).isdigit() or chr(byte) == "@" else max(32, byte) for byte in range(256)
)
"""Digits and `@` become one mark, so that one look finds what holds any."""


def masked(text: str) -> bytes:
    """The words that do not vary, lower case, one space between them."""
    if '"' in text or "\u201c" in text:
        text = _QUOTED.sub(" ", text)
    raw = plain(text).encode("utf-8", "replace").translate(_SORTED)
    return b" ".join(
        [
            word
            for word in raw.split()
            if b"0" not in word and b"://" not in word and word.rstrip(b".,:;!?") not in _DATES
        ]
    )


def system_template(text: str) -> bytes:
    """What a system prompt says whenever it is sent, to be hashed by whoever keeps it; may be empty."""
    return masked(text[:SAMPLE])


def prompt_template(text: str) -> bytes:
    """How a prompt begins whatever it is about; empty where that is no more than a few words."""
    # Masking shortens: what is taken leaves PREFIX characters as a rule, and half of it nearly always does.
    head = text[: PREFIX * 4]
    if len(head) == PREFIX * 4 and '"' not in head and "\u201c" not in head:
        half = head[: PREFIX * 2]
        whole = masked(half[: half.rfind(" ") + 1])
        if len(whole) > PREFIX:
            return whole[:PREFIX]
    prefix = masked(head)[:PREFIX]
    return prefix if len(prefix) >= LEAST_PREFIX else b""
