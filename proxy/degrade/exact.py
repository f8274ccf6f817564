"""JSON read and written so that what is not changed stays what it was, each number to its last digit."""

from __future__ import annotations

from typing import Any

import jiter
import orjson

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def loads(data: bytes) -> Any:
    """The value, numbers with a fraction kept as they are written. Raises ValueError."""
    return jiter.from_json(data, float_mode="lossless-float", cache_mode="none")


def dumps(value: Any) -> bytes:
    """The same as JSON, keys in their order."""
    try:
        return orjson.dumps(value, default=_as_written)
    except orjson.JSONEncodeError:  # integers beyond 64 bits
        return orjson.dumps(_framed(value), default=_as_written)


def number(value: object) -> float | None:
    """What a number says; None for anything else."""
    if type(value) is int:
        return value
    if isinstance(value, float | jiter.LosslessFloat):
        return float(value)
    return None


def _as_written(value: object) -> orjson.Fragment:
    if isinstance(value, jiter.LosslessFloat):
        return orjson.Fragment(bytes(value))
    raise TypeError


def _framed(value: Any) -> Any:
    if type(value) is dict:
        return {key: _framed(item) for key, item in value.items()}
    if type(value) is list:
        return [_framed(item) for item in value]
    if type(value) is int and not _SMALLEST <= value <= _LARGEST:
        return orjson.Fragment(str(value))
    return value
