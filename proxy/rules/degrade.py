"""
`degrade:` — what is taken from a request and its answer. A word, or a list of words and numbers.

    degrade: [strip_logprobs, {cap_output_tokens: 512}, {lower_reasoning_effort: low}, {pace: 20/second}]
"""

from __future__ import annotations

from typing import Any, Final

from proxy.decision import DEGRADATIONS, EFFORTS, Degradation
from proxy.nearest import nearest
from proxy.rules.fields import wrong
from proxy.rules.units import RATE_PATTERN, parse_rate

Place = tuple[str | int, ...]

_FLAGS: Final = ("strip_logprobs", "drop_logit_bias", "single_choice", "hide_reasoning")
_TOKENS: Final = ("cap_output_tokens", "cut_after")
_EXAMPLES: Final = {
    "cap_output_tokens": "cap_output_tokens: 512",
    "cut_after": "cut_after: 800",
    "lower_reasoning_effort": "lower_reasoning_effort: low",
    "pace": "pace: 20/second",
}
MAX_TOKENS: Final = 1_000_000_000


def parse_degrade(details: object) -> Degradation:
    """What stands behind `degrade`. Raises a mistake with its place."""
    if isinstance(details, list):
        if not details:
            raise wrong("`degrade` must name at least one thing to take", ("degrade",))
        places: list[tuple[object, Place]] = [
            (one, ("degrade", at)) for at, one in enumerate(details)
        ]
    else:
        places = [(details, ("degrade",))]
    found: dict[str, Any] = {}
    for one, place in places:
        word, value, where = _one(one, place)
        if word in found:
            raise wrong(f"`{word}` stands here twice", where)
        found[word] = value
    return Degradation(**found)


def _one(given: object, place: Place) -> tuple[str, Any, Place]:
    """(word, its value, where it stands) of one thing that is taken."""
    if isinstance(given, dict) and len(given) == 1:
        word, value = next(iter(given.items()))
        place = (*place, word)
        if word in _FLAGS:
            raise wrong(f"`{word}` takes no value: write the word alone", place)
        if word in _EXAMPLES:
            return word, _value(word, value, place), place
    elif isinstance(given, str):
        word = given
        if word in _FLAGS:
            return word, True, place
        if word in _EXAMPLES:
            raise wrong(f"`{word}` says how much: `{_EXAMPLES[word]}`", place)
    else:
        raise wrong(
            "must be a word or a mapping of one key, such as `cap_output_tokens: 512`", place
        )
    near = nearest(str(word), DEGRADATIONS)
    known = ", ".join(DEGRADATIONS)
    raise wrong(f"`{word}` is nothing that can be taken: there are {known}", place, near)


def _value(word: str, value: object, place: Place) -> Any:
    if word == "pace":
        return _pace(value, place)
    if word == "lower_reasoning_effort":
        if value not in EFFORTS:
            raise wrong(f"must be one of {', '.join(EFFORTS)}", place, nearest(str(value), EFFORTS))
        return value
    if type(value) is not int or not 1 <= value <= MAX_TOKENS:
        raise wrong("must be a whole number of tokens, at least 1", place)
    return value


def _pace(value: object, place: Place) -> float:
    try:
        rate = parse_rate(value)
    except ValueError as error:
        raise wrong(str(error), place) from None
    if rate.amount < rate.period:
        raise wrong("must be at least 1/second: callers take a slower stream for a dead one", place)
    return rate.amount / rate.period


def _valued(word: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {word: schema},
        "required": [word],
        "additionalProperties": False,
    }


_TOKENS_SCHEMA: Final = {"type": "integer", "minimum": 1, "maximum": MAX_TOKENS}
_ONE_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"enum": list(_FLAGS)},
        *(_valued(word, _TOKENS_SCHEMA) for word in _TOKENS),
        _valued("lower_reasoning_effort", {"enum": list(EFFORTS)}),
        _valued("pace", {"type": "string", "pattern": RATE_PATTERN}),
    ]
}


def _once(word: str) -> dict[str, Any]:
    named = {"const": word} if word in _FLAGS else {"type": "object", "required": [word]}
    return {"contains": named, "minContains": 0, "maxContains": 1}


DEGRADE_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        _ONE_SCHEMA,
        {
            "type": "array",
            "items": _ONE_SCHEMA,
            "minItems": 1,
            "allOf": [_once(word) for word in DEGRADATIONS],
        },
    ]
}
