"""What a population is made with: its parameters, and where prompts, arrivals and addresses come from."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from bench.detection.addresses import Addresses
from bench.detection.arrivals import DAY, Gaps, exponential, of_trace
from bench.detection.event import Event, Identity
from bench.detection.prompts import Library, Stock
from bench.detection.tokens import LENGTHS, Lengths
from bench.detection.wire import CHAT, Client

MODEL, SMALL, NEXT = "atlas-large-2", "atlas-mini-2", "atlas-large-3"
Streams = Iterator[Iterator[Event]]
Kind = Callable[["Setting"], Streams]


class Traces:
    """How requests bunch: gaps of real traces, or exponential ones where the data is not there."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._known: dict[str, Gaps] = {}

    def gaps(self, name: str) -> Gaps:
        """`azure2023_conv`, `azure2023_code` or `mooncake_conversation`."""
        if self._data is None:
            return exponential
        if name not in self._known:
            file = self._data / f"arrivals_{name}.csv.gz"
            with gzip.open(file, "rt", encoding="utf-8") as rows:
                self._known[name] = of_trace([float(row["t_s"]) for row in csv.DictReader(rows)])
        return self._known[name]


@dataclass(frozen=True)
class Setting:
    """One population of a scenario."""

    name: str
    kind: str
    seed: int
    days: float
    accounts: int
    per_day: float
    options: dict[str, Any]
    library: Library
    addresses: Addresses
    traces: Traces

    @property
    def until(self) -> float:
        return self.days * DAY

    def random(self, *parts: object) -> random.Random:
        """A source of chance of its own for whoever is named."""
        return random.Random(":".join(map(str, (self.seed, self.name, *parts))))

    def get(self, name: str, default: Any) -> Any:
        """A parameter that the scenario may set."""
        return self.options.get(name, default)

    def lengths(self, default: str) -> Lengths:
        return LENGTHS[self.get("lengths", default)]

    def stock(self, style: str, *, part: str = "") -> Stock:
        """The prompts that the scenario names for it."""
        return self.library.stock(
            self.get("prompts", ()),
            self.get("style", style),
            self.random("stock", part),
            rewritten=bool(self.get("rewritten", False)),
        )

    def identity(
        self,
        number: int | str,
        client: Client,
        addresses: tuple[str, ...],
        *,
        campaign: str | None = None,
        declared: dict[str, Any] | None = None,
        keys: int = 0,
    ) -> Identity:
        """Account `number` with a key of its own; `keys` tells several keys of one account apart."""
        account = f"{self.name}-{number}"
        drawn = blake2b(f"{self.seed}:{account}:{keys}".encode(), digest_size=24).hexdigest()
        if declared is not None:
            declared = {"account": account, **declared}
        return Identity(account, f"sk-{drawn}", client, addresses, declared, campaign)

    def event(
        self,
        draw: random.Random,
        who: Identity,
        t: float,
        body: dict[str, Any],
        prompt: int,
        label: str,
        lengths: Lengths,
        *,
        path: str = CHAT,
        population: str | None = None,
    ) -> Event:
        """A request with the answer that the upstream would have given."""
        headers, text = who.client.request(who.key, body)
        asked = body.get("max_tokens")
        response = lengths.response(draw, len(text), asked * body.get("n", 1) if asked else None)
        return Event(
            t=round(t, 3),
            population=population or self.name,
            label=label,
            who=who,
            address=who.addresses[0] if len(who.addresses) == 1 else draw.choice(who.addresses),
            path=path,
            headers=headers,
            body=text,
            response=response,
            prompt=prompt,
        )


def retries(event: Event, delays: list[float], others: list[Identity] | None = None) -> list[Event]:
    """The event and what follows it if it is refused: the same body after each delay, by the same
    account or, one after the other, by others."""
    found = [event]
    for number, delay in enumerate(delays):
        last = found[-1]
        who = others[number] if others else event.who
        headers = who.client.around(who.key, event.body, _content_type(event))
        for header in headers:
            if header[0].lower() == "x-stainless-retry-count":
                header[1] = str(number + 1)
        found.append(
            Event(
                t=round(last.t + delay, 3),
                population=event.population,
                label=event.label,
                who=who,
                address=event.address if who is event.who else who.addresses[0],
                path=event.path,
                headers=headers,
                body=event.body,
                response=event.response,
                prompt=event.prompt,
                answers=last,
            )
        )
    return found


def _content_type(event: Event) -> str:
    return next(value for name, value in event.headers if name.lower() == "content-type")


def chat(
    messages: list[dict[str, str]], model: str = MODEL, system: str | None = None, **more: Any
) -> dict[str, Any]:
    """A chat's body; what is None is left out."""
    if system is not None:
        messages = [{"role": "system", "content": system}, *messages]
    rest = {name: value for name, value in more.items() if value is not None}
    return {"model": model, "messages": messages, **rest}
