"""A request that is to come, and how requests of many accounts become one file in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import orjson

from bench.detection.wire import Client, Headers


@dataclass(slots=True, eq=False)
class Identity:
    """One account: its key, where it calls from, and by which program."""

    account: str
    key: str
    client: Client
    addresses: tuple[str, ...]
    declared: dict[str, Any] | None = None
    campaign: str | None = None


@dataclass(slots=True, eq=False)
class Event:
    """One line that will be written."""

    t: float
    population: str
    label: str
    who: Identity
    address: str
    path: str
    headers: Headers
    body: str
    response: dict[str, Any]
    prompt: int
    """What is asked, as a number: the same for the same prompt."""
    answers: Event | None = None
    """It happens only if that one was refused."""
    number: int = field(default=-1)
    method: str = "POST"

    def line(self) -> bytes:
        """The line of JSON. What it answers must have been numbered."""
        found: dict[str, Any] = {
            "t": self.t,
            "population": self.population,
            "label": self.label,
            "account": self.who.account,
            "campaign": self.who.campaign,
        }
        if self.who.declared is not None:
            found["declared"] = self.who.declared
        found |= {
            "address": self.address,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": self.body,
        }
        if self.answers is not None:
            found["if_refused"] = self.answers.number
        found["response"] = self.response
        return orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)


def unfolded(groups: Iterable[list[Event]]) -> Iterator[Event]:
    """
    Groups of a request and its retries, in the order of time.

    Groups come ordered by their first event; a retry may come after later requests. Held is only what has
    not come yet.
    """
    waiting: list[tuple[float, int, Event]] = []
    count = 0
    for group in groups:
        first = group[0].t
        while waiting and waiting[0][0] <= first:
            yield heapq.heappop(waiting)[2]
        for event in group:
            count += 1
            heapq.heappush(waiting, (event.t, count, event))
    while waiting:
        yield heapq.heappop(waiting)[2]


def merged(streams: Iterable[Iterator[Event]]) -> Iterator[Event]:
    """All streams as one, numbered from 0; of each stream one event is held."""
    for number, event in enumerate(heapq.merge(*streams, key=attrgetter("t"))):
        event.number = number
        yield event
        event.answers = None  # a chain of retries must not keep its beginning alive
