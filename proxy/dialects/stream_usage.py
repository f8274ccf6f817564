"""How a stream of OpenAI's kind is asked for its usage: one key changes, and nothing else. Pure."""

from __future__ import annotations

from decimal import Decimal

import jiter
import orjson

from proxy.dialects.jsonbody import JsonObject, boolean, mapping


def asks_usage(options: object) -> bool:
    """Whether `stream_options` asks for the usage of a stream."""
    asked = None
    if options is not None:
        asked = mapping(options, "stream_options").get("include_usage")
    return asked is not None and boolean(asked, "stream_options.include_usage")


def ask_usage(body: bytes, parsed: JsonObject) -> bytes | None:
    """See `Dialect.ask_usage`.

    An absent key is spliced in before the last brace, all other bytes stay. A `stream_options`
    without `include_usage` is replaced, which takes writing the whole body anew in its order; where
    that would change a number (beyond 64 bits, more digits than a double holds, an exponent of
    twenty digits), nothing changes.
    """
    if parsed.get("stream") is not True:
        return None
    if "stream_options" not in parsed:
        end = body.rindex(b"}")
        return body[:end] + b',"stream_options":{"include_usage":true}' + body[end:]
    options = parsed["stream_options"] or {}
    if options.get("include_usage") is True:
        return None
    try:
        exact = jiter.from_json(body, float_mode="decimal")
        exact["stream_options"] = {**(exact["stream_options"] or {}), "include_usage": True}
        return orjson.dumps(exact, default=_double)
    except (orjson.JSONEncodeError, ValueError):  # an exponent may be too long for a decimal
        return None


def _double(value: object) -> float:
    if isinstance(value, Decimal):
        double = float(value)
        if Decimal(repr(double)) == value:
            return double
    raise TypeError
