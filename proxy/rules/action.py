"""
`action:` — what a rule does about its finding. One shape everywhere.

    allow | log | throttle | block
    delay: {at_most: 2s, then: throttle}
    block: {for: 24h}
    degrade: [strip_logprobs, {cap_output_tokens: 512}, hide_reasoning, {pace: 20/second}]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema

from proxy.decision import Degradation, Verb
from proxy.nearest import nearest
from proxy.rules.degrade import DEGRADE_SCHEMA, parse_degrade
from proxy.rules.fields import wrong
from proxy.rules.units import DURATION_PATTERN, parse_duration

LONGEST_DELAY = 60.0
"""Seconds. Clients give up on a request that shows no sign of life for longer."""

_WORDS: Final = {
    "allow": Verb.ALLOW,
    "log": Verb.LOG,
    "throttle": Verb.THROTTLE,
    "block": Verb.BLOCK,
}
_ALL: Final = "allow, log, delay, degrade, throttle, block"
_THEN: Final = ("allow", "log", "throttle", "block")


@dataclass(frozen=True, slots=True)
class Action:
    """What is done; `at_most` and `then` belong to `delay`."""

    verb: Verb
    at_most: float = 0.0
    """Seconds that a request may be held back."""
    then: Verb = Verb.ALLOW
    """What is done where more would be needed."""
    ban_s: float = 0.0
    """Seconds that the subject is banned for, with `block`."""
    degradation: Degradation | None = None
    """What is taken from the request and its answer, with `degrade`."""

    @property
    def strongest(self) -> Verb:
        """The most that it can do to a request."""
        return max(self.verb, self.then)


def parse_action(value: object) -> Action:
    """An action out of YAML data. Raises a mistake with its place."""
    if isinstance(value, str):
        if value in _WORDS:
            return Action(_WORDS[value])
        if value == "delay":
            raise wrong("`delay` says for how long: `delay: (at_most: 2s, then: throttle)`")
        if value == "degrade":
            raise wrong("`degrade` says what is taken: `degrade: [strip_logprobs, hide_reasoning]`")
        raise wrong(f"must be one of {_ALL}", (), _near(value))
    if not isinstance(value, dict) or len(value) != 1:
        raise wrong("must be one action, such as `throttle` or `delay: (at_most: 2s)`")
    word, details = next(iter(value.items()))
    if word == "degrade":
        return Action(Verb.DEGRADE, degradation=parse_degrade(details))
    if word == "block":
        return _ban(details)
    if word != "delay":
        raise wrong(f"`{word}` is no action: there are {_ALL}", (word,), _near(word))
    return _delay(details)


def _delay(details: object) -> Action:
    if not isinstance(details, dict):
        raise wrong("must say how long: `at_most: 2s`", ("delay",))
    for key in details:
        if key not in {"at_most", "then"}:
            near = nearest(key, ("at_most", "then"))
            raise wrong(f"`{key}` is not a field of `delay`", ("delay", key), near)
    if "at_most" not in details:
        raise wrong("`delay` needs `at_most`", ("delay",))
    try:
        at_most = parse_duration(details["at_most"])
    except ValueError as error:
        raise wrong(str(error), ("delay", "at_most")) from None
    if at_most > LONGEST_DELAY:
        raise wrong("must be at most 60s", ("delay", "at_most"))
    then = details.get("then", "allow")
    if then not in _THEN:
        place = ("delay", "then")
        raise wrong(f"must be one of {', '.join(_THEN)}", place, nearest(str(then), _THEN))
    return Action(Verb.DELAY, at_most, _WORDS[then])


def _ban(details: object) -> Action:
    if not isinstance(details, dict) or set(details) != {"for"}:
        raise wrong("must say for how long: `for: 24h`", ("block",))
    try:
        return Action(Verb.BLOCK, ban_s=parse_duration(details["for"]))
    except ValueError as error:
        raise wrong(str(error), ("block", "for")) from None


def _near(word: str) -> str | None:
    return nearest(word, ("allow", "block", "degrade", "delay", "log", "throttle"))


ACTION_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"enum": list(_WORDS)},
        {
            "type": "object",
            "properties": {
                "delay": {
                    "type": "object",
                    "properties": {
                        "at_most": {"type": "string", "pattern": DURATION_PATTERN},
                        "then": {"enum": list(_THEN)},
                    },
                    "required": ["at_most"],
                    "additionalProperties": False,
                }
            },
            "required": ["delay"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "block": {
                    "type": "object",
                    "properties": {"for": {"type": "string", "pattern": DURATION_PATTERN}},
                    "required": ["for"],
                    "additionalProperties": False,
                }
            },
            "required": ["block"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"degrade": DEGRADE_SCHEMA},
            "required": ["degrade"],
            "additionalProperties": False,
        },
    ]
}

ActionField = Annotated[Action, PlainValidator(parse_action), WithJsonSchema(ACTION_SCHEMA)]
"""An action, from a word or a mapping of one key."""
