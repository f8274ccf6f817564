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

_NUMBER: Final = re.compile(r"(?<![0-9.,:/])[0-9]{3,9}(?![0-9/]|[.,:][0-9])")
_DIGITS: Final = re.compile(r"[0-9]+")
_YEARS: Final = range(1900, 2101)
_DATES: Final = range(19000101, 21001232)
"""A day written as eight digits."""


def running_number(text: str) -> tuple[bytes, int] | None:
    """(the list's name, to be hashed by whoever keeps it; the number), or None where there is none."""
    head = text[:SAMPLE]
    for found in _NUMBER.finditer(head):
        number = int(found[0])
        if number % ROUND == 0 or number in _YEARS or number in _DATES:
            continue
        start = found.start()
        before = _DIGITS.sub("0", head[max(0, start - NAME) : start].casefold())
        name = " ".join(before.split())
        if sum(map(str.isalpha, name)) >= LEAST_LETTERS:
            return name.encode("utf-8", "surrogatepass"), number
    return None
