"""
Lines of an event log: which are events of requests, which are other things, which cannot be read. Pure.

A log may hold what other processes have written, events of another version, and lines that were cut off.
What an event's fields hold is looked at before anybody counts with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from proxy.clock import time_of
from proxy.counters.protocol import NOVEL_BITS
from proxy.events import FIELDS
from proxy.replay.source import Source, TrafficMistake

Event = dict[str, Any]

_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "text": (str,),
    "time": (str,),
    "number": (int, float),
    "flag": (bool,),
    "list": (list,),
    "object": (dict,),
}
_TYPES: Final = {name: _KINDS[kind] for name, (kind, _) in FIELDS.items()}
_MARKS: Final = ("request.sketch", "request.chunks")
"""Lists of numbers, each of which is a place in a counter."""
_WORDS: Final = tuple(
    name
    for name, (kind, _) in FIELDS.items()
    if kind == "list" and name not in (*_MARKS, "weighed")
)
"""Lists of text."""
_MOST: Final[dict[str, float]] = {
    "request.turns": 1e7,
    "request.tools": 1e7,
    "request.biases": 1e6,
    "gen_ai.request.choice.count": 1e6,
    "duration_ms": 1e10,
    "delayed_s": 1e7,
    **{f"gen_ai.usage.{name}_tokens": 2.0**40 for name in ("input", "output", "reasoning")},
}
"""Counts and times that are worked with: what no request ever shows is a line that was damaged."""


class EventLines:
    """The events of requests of a source, and what else stood there."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._others = self._requests = self._lines = 0
        self._unread = 0
        self._first = ""

    def __iter__(self) -> Iterator[tuple[int, Event]]:
        """Line, from 0, and event. Raises TrafficMistake where there are lines and none is an event."""
        for number, line in enumerate(self._source.lines()):
            self._lines += 1
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                event = None
                if line.lstrip().startswith(b'{"event":'):
                    self._note(number, "it is cut off or no JSON")
                    continue
            if type(event) is not dict or type(event.get("event")) is not str:
                continue
            if event["event"] != "request":
                self._others += 1
                continue
            if (wrong := mistake(event)) is not None:
                self._note(number, wrong)
                continue
            self._requests += 1
            yield number, event
        if self._lines and not (self._requests or self._others or self._unread):
            raise TrafficMistake(
                f"{self._source.name}: holds no events; labelled traffic is read without --events"
            )

    def notes(self) -> list[str]:
        """What a reader of the results has to know of the lines."""
        if not self._unread:
            return []
        return [
            f"{self._unread} events of requests cannot be read and are left out; the first, {self._first}"
        ]

    def _note(self, number: int, why: str) -> None:
        self._unread += 1
        self._first = self._first or f"line {number + 1}: {why}"


def mistake(event: Event) -> str | None:
    """Why an event of a request is none that can be judged; None where it can."""
    for name in ("timestamp", "request_id", "decision"):
        if event.get(name) is None:
            return f"`{name}` is missing"
    for name, found in event.items():
        kinds = _TYPES.get(name)
        if kinds is not None and found is not None and type(found) not in kinds:
            return f"`{name}` is no {FIELDS[name][0]}"
    try:
        time_of(event["timestamp"])
    except (ValueError, OverflowError):
        return "`timestamp` is no time"
    return _mistaken_values(event)


def _mistaken_values(event: Event) -> str | None:
    for name, most in _MOST.items():
        if not 0 <= (event.get(name) or 0) <= most:
            return f"`{name}` is out of bounds"
    for name in _MARKS:
        for mark in event.get(name) or ():
            if type(mark) is not int or not 0 <= mark < NOVEL_BITS:
                return f"`{name}` holds what is no mark"
    for name in _WORDS:
        if not all(type(word) is str for word in event.get(name) or ()):
            return f"`{name}` holds what is no text"
    for found in (event.get("request.terms") or {}).values():
        if type(found) is not dict or any(
            type(weight) not in (int, float) for weight in found.values()
        ):
            return "`request.terms` holds what is no weight"
    return _mistaken_suspicion(event.get("suspicion") or {})


def _mistaken_suspicion(told: Event) -> str | None:
    levels = told.get("levels") or {}
    if type(levels) is not dict:
        return "`suspicion.levels` is no object"
    for found in (told.get("with_shadow") or {}, *levels.values()):
        if type(found) is not dict or any(type(one) not in (int, float) for one in found.values()):
            return "`suspicion` holds what is no level"
    families = told.get("families") or []
    if type(families) is not list or not all(type(family) is str for family in families):
        return "`suspicion.families` holds what is no text"
    return None
