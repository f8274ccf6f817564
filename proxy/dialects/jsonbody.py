"""
JSON bodies read so that no second parser can read them differently.

jiter refuses what parsers disagree on: duplicate keys (also escaped and nested ones), lone surrogates,
bytes that are not UTF-8, anything behind the value. On top of that a top-level or message key that
differs from a known one by case alone is refused (`refuse_lookalikes`): Go's encoding/json matches
keys without regard to case, so `{"messages": …, "Messages": …}` would show us one conversation and a
Go upstream the other.

No message here holds a key, a value or any other text of the body.
"""

from __future__ import annotations

import binascii
import sys
from collections.abc import Collection
from math import isfinite
from typing import Any, Literal

import jiter
import orjson

JsonObject = dict[str, Any]

UnreadableReason = Literal[
    "not_json",
    "not_utf8",
    "duplicate_key",
    "ambiguous_key",
    "ambiguous_model",
    "too_deep",
    "too_many_values",
    "number_out_of_range",
    "not_an_object",
    "wrong_type",
    "content_type",
    "content_encoding",
    "unknown_file",
]

MAX_DEPTH = 200
"""Levels of nesting that jiter itself bears (arrays one more), without recursion in Python."""

MAX_VALUES = 100_000
"""Values and containers in one body. Each is an object of some hundred bytes once it is parsed, so that
without a bound 32 MiB of `[],[],…` would become a gigabyte and stop every other request for a second."""

_FEW_BYTES = 2 * MAX_VALUES
"""A body of fewer bytes cannot hold that many values: each takes a comma or a bracket beside itself."""
_COUNTED_BEFORE = 512 * 1024
"""Bytes from which on a body is counted before it is parsed. Counting after costs a prompt next to nothing,
as values are looked at and not bytes; below this size the worst body is parsed in some 30 ms."""

_STANDARD = str.maketrans("-_", "+/")
_LARGEST = 2**53
_HUGEST = sys.float_info.max

_UTF8_BOM = b"\xef\xbb\xbf"

# What jiter says of a body → the stable reason and what may be told of it. A test holds each one
# against jiter's own wording, so an update that rewords them is noticed.
_FAULTS: tuple[tuple[str, UnreadableReason, str], ...] = (
    ("Detected duplicate key", "duplicate_key", "The body holds an object key twice."),
    ("recursion limit exceeded", "too_deep", "The body is nested too deeply."),
    ("number out of range", "number_out_of_range", "The body holds a number that is too long."),
    ("invalid unicode code point", "not_utf8", "The body is not valid UTF-8."),
    ("lone leading surrogate", "not_utf8", "The body holds half of a surrogate pair."),
    ("unexpected end of hex escape", "not_utf8", "The body holds half of a surrogate pair."),
)


class UnreadableBody(Exception):  # noqa: N818 - names the state of a body, not a fault of ours
    """A body that Excise will not guess at: a stable `reason` and a sentence without body text."""

    def __init__(self, reason: UnreadableReason, message: str) -> None:
        super().__init__(message)
        self.reason: UnreadableReason = reason
        self.message = message


def read_json(body: bytes, max_depth: int = MAX_DEPTH) -> JsonObject:
    """Parse a body that must be one JSON object, at most `max_depth` levels deep (itself the first).

    Raises UnreadableBody, also for more than MAX_VALUES values. A bound below MAX_DEPTH costs a
    walk, but only for bodies with more brackets than that.
    """
    size = len(body)
    if size > _COUNTED_BEFORE and _more_values_than(body, MAX_VALUES):
        raise UnreadableBody("too_many_values", "The body holds too many values.")
    try:
        parsed = jiter.from_json(
            body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys"
        )
    except ValueError as error:
        raise _fault(body, str(error)) from None
    if type(parsed) is not dict:
        raise UnreadableBody("not_an_object", "The body must be a JSON object.")
    if _FEW_BYTES < size <= _COUNTED_BEFORE and _holds_more_than(parsed, MAX_VALUES):
        raise UnreadableBody("too_many_values", "The body holds too many values.")
    if (
        max_depth < MAX_DEPTH
        and body.count(b"{") + body.count(b"[") > max_depth
        and _deeper_than(parsed, max_depth)
    ):
        raise UnreadableBody("too_deep", "The body is nested too deeply.")
    if _exceeds_doubles(parsed):
        raise UnreadableBody("number_out_of_range", "The body holds a number that is too large.")
    return parsed


def _exceeds_doubles(value: object) -> bool:
    """Whether a number stands in it that some parsers refuse and others read as infinity."""
    level: list[Any] = [value]
    while level:
        inner: list[Any] = []
        for container in level:
            for item in container.values() if type(container) is dict else container:
                kind = type(item)
                if kind is str:
                    continue
                if kind is dict or kind is list:
                    inner.append(item)
                elif (kind is float or kind is int) and not -_HUGEST <= item <= _HUGEST:
                    return True
        level = inner
    return False


def _fault(body: bytes, said: str) -> UnreadableBody:
    for start, reason, message in _FAULTS:
        if said.startswith(start):
            return UnreadableBody(reason, message)
    if body.startswith(_UTF8_BOM):
        return UnreadableBody("not_json", "The body starts with a byte order mark.")
    return UnreadableBody("not_json", "The body is not valid JSON.")


def _more_values_than(body: bytes, most: int) -> bool:
    """Whether there are more values than that, by the punctuation outside of strings."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") <= most:
        return False
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if (
        bare.count(b'"') > 4 * most
    ):  # a key and a string at most for each value, two quotes for each
        return True
    outside = b"".join(bare.split(b'"')[::2])
    return outside.count(b",") + outside.count(b"[") + outside.count(b"{") > most


def _holds_more_than(value: object, most: int) -> bool:
    """The same of a parsed body: a container is one, and each value in it but the first."""
    found = 0
    level: list[Any] = [value]
    while level and found <= most:
        found += sum([len(container) or 1 for container in level])
        level = _containers(level)
    return found > most


def _deeper_than(value: object, max_depth: int) -> bool:
    level: list[Any] = [value]
    for _ in range(max_depth):
        level = _containers(level)
        if not level:
            return False
    return True


def _containers(level: list[Any]) -> list[Any]:
    """What a level of containers holds of containers; so depth costs no stack."""
    inner: list[Any] = []
    for container in level:
        values = container.values() if type(container) is dict else container
        inner += [item for item in values if type(item) is dict or type(item) is list]
    return inner


def refuse_lookalikes(keys: Collection[str], known: frozenset[str]) -> None:
    """Raise UnreadableBody for a key that is a known one but for its case (Unicode's included)."""
    if known.issuperset(keys):
        return
    for key in keys:
        if key not in known and key.casefold() in known:
            raise UnreadableBody(
                "ambiguous_key", "The body holds a key that differs from a known one by case alone."
            )


def wrong_type(field: str, wanted: str) -> UnreadableBody:
    """The error for a field of another type than `wanted` (`an array`, `a string`)."""
    return UnreadableBody("wrong_type", f"{field} must be {wanted}.")


# The readers below are for fields that are there; JSON null is read as absent by their callers, as
# the APIs do.


def integer(value: object, field: str) -> int:
    """A JSON integer, or a number written with a fraction of zero (`16.0`).

    Clamped to the 53 bits that every counter holds exactly; no upstream serves such numbers.
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int:
        return max(-_LARGEST, min(value, _LARGEST))
    raise wrong_type(field, "an integer")


def limit(value: object, field: str) -> int | None:
    """A token limit. Below zero is no limit: some upstreams read -1 so, and none reads it as less."""
    tokens = integer(value, field)
    return None if tokens < 0 else tokens


def number(value: object, field: str) -> float:
    """A finite JSON number."""
    if type(value) is int or type(value) is float:
        try:
            read = float(value)
        except OverflowError:
            raise wrong_type(field, "a finite number") from None
        if isfinite(read):
            return read
    raise wrong_type(field, "a finite number")


def boolean(value: object, field: str) -> bool:
    """A JSON boolean."""
    if type(value) is bool:
        return value
    raise wrong_type(field, "a boolean")


def string(value: object, field: str) -> str:
    """A JSON string."""
    if type(value) is str:
        return value
    raise wrong_type(field, "a string")


def array(value: object, field: str) -> list[Any]:
    """A JSON array; null is empty."""
    if type(value) is list:
        return value
    if value is None:
        return []
    raise wrong_type(field, "an array")


def mapping(value: object, field: str) -> JsonObject:
    """A JSON object; null is empty."""
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise wrong_type(field, "an object")


def text_of_base64(value: object, field: str) -> str:
    """The text of a document that is sent as base64, standard or safe for URLs.

    What is not base64 is read as it stands: some upstreams would refuse it, and none reads more of it.
    """
    written_so = string(value, field)
    bare = written_so.rstrip("=").translate(_STANDARD)
    try:
        return binascii.a2b_base64(bare + "=" * (-len(bare) % 4)).decode("utf-8", "replace")
    except ValueError:
        return written_so


def plain_texts(blocks: list[Any]) -> list[str] | None:
    """The texts of `{"type": "text", "text": …}` blocks; None where another one is among them."""
    texts: list[str] = []
    for block in blocks:
        if type(block) is not dict or len(block) != 2 or block.get("type") != "text":
            return None
        text = block.get("text")
        if type(text) is not str:
            return None
        texts.append(text)
    return texts


def written(value: object) -> str:
    """A JSON value as text, for what a model is shown of it: a call's arguments, a tool's result."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # integers beyond 64 bits
        return str(value)
