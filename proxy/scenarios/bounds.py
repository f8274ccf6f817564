"""
Bounds on a number, as suites write them: `"< 40"`, `"<= 2s"`, `">= 90%"`, `"2 to 5"`, `3`. Pure.

Durations are seconds, percentages shares.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from proxy.rules.fields import wrong
from proxy.value import value

_UNITS: Final = {"": 1.0, "%": 100.0, "ms": 1000.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PARTS: Final = ("%", "ms")
_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?) ?(%|ms|s|m|h|d|)"
_COMPARED = re.compile(rf"(<=|>=|<|>|) ?{_NUMBER}").fullmatch
_BETWEEN = re.compile(rf"{_NUMBER} to {_NUMBER}").fullmatch
_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {
    "": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@value
class Bound:
    """What a number must keep to."""

    text: str
    """As it was written."""
    checks: tuple[tuple[str, float], ...]

    def holds(self, number: float) -> bool:
        """Whether the number keeps to it."""
        return all(_HOLDS[word](number, bound) for word, bound in self.checks)

    @property
    def allows_none(self) -> bool:
        """Whether nothing at all is enough."""
        return self.holds(0.0)


def read_bound(given: object) -> Bound:
    """A bound, out of a number or a text. Raises a mistake."""
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return Bound(f"{given:g}", (("", float(given)),))
    text = given.strip() if isinstance(given, str) else ""
    if (found := _BETWEEN(text)) is not None:
        low, high = _number(found[1], found[2] or found[4]), _number(found[3], found[4])
        return Bound(text, ((">=", low), ("<=", high)))
    if (found := _COMPARED(text)) is not None:
        return Bound(text, ((found[1], _number(found[2], found[3])),))
    raise wrong('must be a number or a bound such as `"< 40"`, `"<= 2s"`, `">= 90%"` or `"2 to 5"`')


def _number(digits: str, unit: str) -> float:
    number = float(digits)
    # A quotient is as near as can be, so that 7 of 10 are 70 %; a product with 0.01 would not be.
    return number / _UNITS[unit] if unit in _PARTS else number * _UNITS[unit]


BoundField = Annotated[
    Bound,
    PlainValidator(read_bound),
    PlainSerializer(lambda bound: bound.text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {
                    "type": "string",
                    "pattern": rf"^((<=|>=|<|>|) ?{_NUMBER}|{_NUMBER} to {_NUMBER})$",
                },
            ]
        }
    ),
]
"""A number, or a bound on one."""
