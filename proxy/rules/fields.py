"""
Field types that rules and policies share: how a YAML value becomes a final value, or a mistake.

Validators raise `Wrong` with the path below the field where the mistake stands, so that the loader can
point at the very word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from proxy.expressions.program import Program
from proxy.expressions.syntax import MAX_LENGTH, ExpressionError
from proxy.rules.units import (
    DURATION_PATTERN,
    RATE_PATTERN,
    Rate,
    parse_duration,
    parse_rate,
)


def wrong(
    message: str,
    path: tuple[str | int, ...] = (),
    suggestion: str | None = None,
    *,
    offset: int | None = None,
) -> PydanticCustomError:
    """A mistake in operators' words, `path` below the field that is being read, `offset` characters into
    its text."""
    # pydantic reads braces as placeholders.
    text = message.replace("{", "(").replace("}", ")")
    context = {"path": path, "suggestion": suggestion, "offset": offset}
    return PydanticCustomError("wrong", text, context)


def _read(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    def read(value: object) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise wrong(str(error)) from None

    return read


def _listed(value: object) -> object:
    """A lone word stands for a list of one."""
    return value if isinstance(value, list) else [value]


def _names(value: object) -> tuple[str, ...]:
    names = _listed(value)
    assert isinstance(names, list)
    if not names:
        raise wrong("must name at least one")
    for at, name in enumerate(names):
        if not isinstance(name, str) or not name:
            path = (at,) if isinstance(value, list) else ()
            raise wrong("must be a word; quote it if it looks like a number", path)
    return tuple(names)


def _numbers(value: object) -> tuple[int, ...]:
    numbers = _listed(value)
    assert isinstance(numbers, list)
    if not numbers:
        raise wrong("must name at least one")
    for at, number in enumerate(numbers):
        if type(number) is not int:
            path = (at,) if isinstance(value, list) else ()
            raise wrong("must be a whole number", path)
    return tuple(numbers)


def read_expression(value: object, readings: Iterable[str] = ()) -> Program:
    """An expression over the declared facts and a rule's own counters."""
    if not isinstance(value, str) or not value.strip():
        raise wrong("must be an expression such as `client.asn != 64496`")
    try:
        return Program(value, dict.fromkeys(readings))
    except ExpressionError as error:
        raise wrong(error.message, (), error.suggestion, offset=error.offset) from None


EXPRESSION_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}
Expression = Annotated[
    Program,
    PlainValidator(read_expression),
    PlainSerializer(lambda program: program.text),
    WithJsonSchema(EXPRESSION_SCHEMA),
]
"""CEL over the declared facts, true or false."""

Duration = Annotated[
    float,
    PlainValidator(_read(parse_duration)),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]
"""Seconds, from `250ms`, `2s`, `5m`, `1h`, `1d`."""

RateField = Annotated[
    Rate,
    PlainValidator(_read(parse_rate)),
    WithJsonSchema({"type": "string", "pattern": RATE_PATTERN}),
]
"""A rate, from `60/minute`."""


def one_of(words: Iterable[str], *, unique: bool = False) -> dict[str, Any]:
    """The JSON Schema of one of these words, or a list of them."""
    return one_or_more({"enum": list(words)}, unique=unique)


def one_or_more(one: dict[str, Any], *, unique: bool = False) -> dict[str, Any]:
    """The JSON Schema of one such value, or a list of them."""
    listed: dict[str, Any] = {"type": "array", "items": one, "minItems": 1}
    return {"anyOf": [one, listed | {"uniqueItems": True} if unique else listed]}


ASN_SCHEMA: Final = one_or_more({"type": "integer", "minimum": 1, "maximum": 2**32 - 1})
"""The JSON Schema of one AS number or a list of them."""


def patterned(pattern: str) -> WithJsonSchema:
    """Makes the JSON Schema of `Names` say what form each has."""
    return WithJsonSchema(one_or_more({"type": "string", "pattern": pattern}))


_WORD: Final = {"type": "string", "minLength": 1}
Names = Annotated[
    tuple[str, ...],
    PlainValidator(_names),
    WithJsonSchema(one_or_more(_WORD)),
]
"""One word or a list of words."""

Numbers = Annotated[
    tuple[int, ...],
    PlainValidator(_numbers),
    WithJsonSchema(one_or_more({"type": "integer"})),
]
"""One whole number or a list of them."""
