"""
A running number: where in a list a prompt stands, where it says so.

`Problem 10432: …`, `{"id": "task-001043", …`. What stands directly before the number is the list's name.
Numbers that tell a time and round ones are passed over: a clock runs for everybody, and `1000 words` is
an order. A list of that many rows is seldom numbered with two digits, and people's exercises are.
"""

from __future__ import annotations

import re
from typing import Final

SAMPLE: Final = 512
"""Characters from the head of a prompt that are looked at."""
NAME: Final = 32
"""Characters before the number that name the list."""
LEAST_LETTERS: Final = 3
ROUND: Final = 50

_NUMBER: Final = re.compile("[0-9]{3,}(?:/|[.,:][0-9])?")
"""With what makes it a part of something else: of a price, an address, a time."""
_MOST: Final = 9
"""Digits: longer numbers tell a moment, or are drawn."""
_PARTS: Final = frozenset(".,:/")
_DIGITS: Final = re.compile(r"[0-9]+")
_YEARS: Final = range(1900, 2101)
_DATES: Final = range(19000101, 21001232)
"""A day written as eight digits."""


def running_number(text: str) -> tuple[bytes, int] | None:
    """(the list's name, to be hashed by whoever keeps it; the number), or None where there is none."""
    head = text[:SAMPLE]
    if not any(map(head.__contains__, "0123456789")):  # as a rule: ten quick looks spare a slow one
        return None
    for found in _NUMBER.finditer(head):
        start, digits = found.start(), found[0]
        if len(digits) > _MOST or not digits.isdigit() or head[start - 1 : start] in _PARTS:
            continue
        number = int(digits)
        if number % ROUND == 0 or number in _YEARS or number in _DATES:
            continue
        before = _DIGITS.sub("0", head[max(0, start - NAME) : start].casefold())
        name = " ".join(before.split())
        if sum(map(str.isalpha, name)) >= LEAST_LETTERS:
            return name.encode("utf-8", "surrogatepass"), number
    return None
