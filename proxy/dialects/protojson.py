"""
JSON as the protobuf mapping reads it, which Gemini and all of Google's APIs speak.

ProtoJSON (protobuf.dev/programming-guides/json): a key may be written in lowerCamelCase or in its
original snake_case, a number as a string, an enum as its number; null is absent. Google's own reader
also takes a bare value for a list of one. One field in both spellings is refused: which of the two
counts differs between readers.
"""

from __future__ import annotations

import re
from typing import Any

from proxy.dialects import jsonbody
from proxy.dialects.jsonbody import JsonObject, UnreadableBody, wrong_type

_HUMP = re.compile(r"(?=[A-Z])")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?").fullmatch
_LONGEST_NUMBER = 64

_LOOKALIKE = "The body holds a key that differs from a known one by its spelling alone."
_TWICE = "The body holds one field in two spellings, camelCase and snake_case."


class Message:
    """The known fields of one message type, by their lowerCamelCase names."""

    __slots__ = ("_known", "_lookalikes")

    def __init__(self, *fields: str) -> None:
        self._known = {name: name for name in fields}
        self._known |= {_HUMP.sub("_", name).lower(): name for name in fields}
        self._lookalikes = frozenset(name.lower() for name in fields)

    def read(self, value: object, field: str) -> JsonObject:
        """The known fields that are set, by their lowerCamelCase names. Raises UnreadableBody.

        A key that differs from a known one by case and underscores alone is refused, as in
        `jsonbody.refuse_lookalikes`. Null is an empty object.
        """
        if type(value) is not dict:
            return jsonbody.mapping(value, field)
        known = self._known
        found: JsonObject = {}
        for key, item in value.items():
            name = known.get(key)
            if name is None:
                if key.casefold().replace("_", "") in self._lookalikes:
                    raise UnreadableBody("ambiguous_key", _LOOKALIKE)
            elif name in found:
                raise UnreadableBody("ambiguous_key", _TWICE)
            else:
                found[name] = item
        if None in found.values():
            return {name: item for name, item in found.items() if item is not None}
        return found


def repeated(value: object) -> list[Any]:
    """A list; any other value is a list of one, null of none."""
    if type(value) is list:
        return value
    return [] if value is None else [value]


def integer(value: object, field: str) -> int:
    """An integer, also as a string (`"128"`, `"1e2"`); clamped as in `jsonbody.integer`."""
    return jsonbody.integer(_unquoted(value, field, "an integer"), field)


def number(value: object, field: str) -> float:
    """A finite number, also as a string."""
    return jsonbody.number(_unquoted(value, field, "a finite number"), field)


def enumeration(value: object, field: str) -> str:
    """An enum's value: its name in lower case, or its number."""
    if type(value) is int:
        return str(value)
    return jsonbody.string(value, field).lower()


def _unquoted(value: object, field: str, wanted: str) -> object:
    if type(value) is not str:
        return value
    if len(value) > _LONGEST_NUMBER or not _NUMBER(value):
        raise wrong_type(field, wanted)
    try:
        return int(value)
    except ValueError:
        return float(value)
