"""Field types of suites: how a YAML value becomes a final value, or a mistake."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, PlainValidator, WithJsonSchema

from proxy.rules.fields import wrong
from proxy.rules.units import DURATION_PATTERN, parse_duration
from proxy.scenarios.fill import check

STRICT: Final = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _seconds(given: object) -> float:
    if given == 0 and not isinstance(given, bool):
        return 0.0
    try:
        return parse_duration(given)
    except ValueError:
        raise wrong("must be a duration such as `250ms`, `2s`, `5m`, `1h` or `1d`, or 0") from None


def _gaps(given: object) -> tuple[float, float]:
    """(shortest, longest)."""
    if not isinstance(given, list):
        return (_seconds(given),) * 2
    if len(given) != 2:
        raise wrong("must be a duration, or the shortest and the longest: `[2s, 30s]`")
    short, long = map(_seconds, given)
    if long < short:
        raise wrong("must name the shortest first, then the longest", (1,))
    return short, long


def _texts(given: object) -> str | tuple[str, ...]:
    """A text with placeholders, or several that take turns."""
    texts = given if isinstance(given, list) else [given]
    if not texts:
        raise wrong("must name at least one")
    for at, text in enumerate(texts):
        path = (at,) if isinstance(given, list) else ()
        if not isinstance(text, str):
            raise wrong("must be text; quote it if it looks like something else", path)
        check(text, path)
    return tuple(map(str, texts)) if isinstance(given, list) else str(texts[0])


_DURATION: Final = {"anyOf": [{"const": 0}, {"type": "string", "pattern": DURATION_PATTERN}]}
_TEXT: Final = {"type": "string"}
Seconds = Annotated[float, PlainValidator(_seconds), WithJsonSchema(_DURATION)]
Gaps = Annotated[
    tuple[float, float],
    PlainValidator(_gaps),
    WithJsonSchema(
        {
            "anyOf": [
                *_DURATION["anyOf"],
                {"type": "array", "items": _DURATION, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]
Texts = Annotated[
    str | tuple[str, ...],
    PlainValidator(_texts),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]
