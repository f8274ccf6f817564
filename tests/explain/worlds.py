"""Requests put through the real line on virtual time, and the traces that are kept of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from proxy.client.accounts import Account
from proxy.client.secret import Secret
from proxy.events import EventBuilder
from proxy.explain.trace import Trace, trace_of
from proxy.head import Head
from proxy.networks.load import load_networks
from proxy.policy.load import parse
from proxy.replay.records import Record, Response
from proxy.replay.world import START, World
from proxy.settings import Settings

SECRET = Secret(b"0123456789abcdef0123456789abcdef")
OPEN = "version: 1\nkeys: {missing: allow, unknown: allow}\n"
HOSTED = "3.5.140.10"
"""An address of a cloud."""
HOME = "192.0.2.7"


@dataclass(frozen=True)
class Sent:
    """One request."""

    t: float = 0.0
    text: str = "What is the height of the tower, and how was it built in those days?"
    key: str | None = "sk-1"
    address: str = HOME
    body: dict[str, Any] | None = None
    declared: Account | None = None
    path: str = "/v1/chat/completions"
    agent: str = "curl/8.5.0"
    duration: float = 0.0
    tokens: int = 10

    def record(self, number: int) -> Record:
        body = {
            "model": "large",
            "messages": [{"role": "user", "content": self.text}],
            **(self.body or {}),
        }
        headers = [(b"Host", b"x"), (b"User-Agent", self.agent.encode())]
        if self.key is not None:
            headers.append((b"Authorization", f"Bearer {self.key}".encode()))
        headers.append((b"Content-Type", b"application/json"))
        head = Head("POST", self.path, "", tuple(headers), self.address)
        response = Response(200, 5, self.tokens, 0, self.duration)
        return Record(
            number,
            self.t,
            "test",
            "ambiguous",
            "test",
            None,
            self.declared,
            head,
            json.dumps(body).encode(),
            None,
            response,
        )


def traces(policy: str, sent: Iterable[Sent]) -> list[Trace]:
    """What is kept of each request, in order."""
    networks = load_networks(Settings().networks, START)
    world = World(parse(policy, "policy.yaml"), secret=SECRET, networks=networks, keep_visits=True)
    builder = EventBuilder("full", SECRET.item_hash)
    kept: list[Trace] = []
    for result in world.run(one.record(number) for number, one in enumerate(sent)):
        assert result.visit is not None
        assert result.progress is not None
        event = builder.request(result.visit, result.progress, 0.0)
        kept.append(trace_of(result.visit, event))
    assert not world.faults
    return kept


def last(policy: str, sent: Iterable[Sent]) -> Trace:
    return traces(policy, sent)[-1]


def decision(policy: str, sent: Iterable[Sent]) -> str:
    """What becomes of the last request."""
    return last(policy, sent).decision.verb.word
