"""A test's steps as records of traffic, in the order of their times. Pure, and the same in each run."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from proxy.client.accounts import Account
from proxy.replay.records import Record, Response
from proxy.scenarios.fill import Filler
from proxy.scenarios.model import Burst, Scenario
from proxy.scenarios.request import CLIENTS, Send
from proxy.scenarios.wire import Turns, body_of, head_of, route_of

BYTES_A_TOKEN = 4
ANSWER_WORDS = 24
"""How long an answer is that a conversation goes on with."""


@dataclass(slots=True)
class Traffic:
    """What a test sends; `bursts` grows as its bursts begin."""

    test: Scenario
    accounts: Mapping[str, Account]
    defaults: Send | None = None
    bursts: list[int] = field(default_factory=list)
    """The burst of each record, by the record's number."""
    unknown: set[str] = field(default_factory=set)
    """Names of accounts that placeholders have come to, and that the suite does not have."""

    def records(self) -> Iterator[Record]:
        """The records."""
        at, first, number = 0.0, 0, 0
        for step in self.test.steps:
            if step.wait is not None:
                at += step.wait
                continue
            makers = [_Maker(burst, self, first + order) for order, burst in enumerate(step.bursts)]
            first += len(makers)
            timed = [maker.timed(at, order) for order, maker in enumerate(makers)]
            for t, order, n in heapq.merge(*timed):
                self.bursts.append(makers[order].index)
                yield makers[order].record(number, t, n)
                number += 1
            at = max(maker.ends for maker in makers)


class _Maker:
    """Makes the requests of one burst."""

    def __init__(self, burst: Burst, traffic: Traffic, index: int) -> None:
        self.index = index
        self.ends = 0.0
        self._burst = burst
        self._send = burst.send.over(traffic.defaults)
        self._accounts = traffic.accounts
        self._unknown = traffic.unknown
        self._seed = blake2b(b"%d" % index, digest_size=8).digest()
        self._route = route_of(self._send)
        self._said: dict[str, list[tuple[str, str]]] = {}
        """What each caller's conversation has come to."""

    def timed(self, at: float, order: int) -> Iterator[tuple[float, int, int]]:
        """(when, `order`, number from 1) of each request; then `ends` says when the burst is over."""
        short, long = self._burst.every
        for n in range(1, self._burst.times + 1):
            yield at, order, n
            gap = short
            if long > short:
                drawn = blake2b(b"gap%d" % n, key=self._seed, digest_size=8).digest()
                gap += (long - short) * (int.from_bytes(drawn, "big") / 2**64)
            at += gap
        self.ends = at

    def record(self, number: int, t: float, n: int) -> Record:
        """The n-th request, from 1."""
        send, fill = self._send, Filler(self._seed, n)
        name = None if send.account is None else fill.one(send.account)
        key = None if send.key is None else fill.one(send.key)
        if name is not None:
            key = key_of(name)
            if name not in self._accounts:
                self._unknown.add(name)
        client = send.client[(n - 1) % len(send.client)]
        body = self._body(fill, key, client)
        head = head_of(
            send,
            self._route,
            client=client,
            key=key,
            address=fill.one(send.from_),
            length=len(body),
            more={fill.text(field).lower(): fill.one(text) for field, text in send.headers.items()},
        )
        answer = self._burst.response
        given = len(body) // BYTES_A_TOKEN if answer.input_tokens is None else answer.input_tokens
        response = Response(
            answer.status, given, answer.output_tokens, answer.reasoning_tokens, answer.duration
        )
        account = None if name is None else self._accounts.get(name)
        return Record(
            number,
            t,
            "test",
            "ambiguous",
            name or key or "",
            None,
            account,
            head,
            body,
            None,
            response,
        )

    def _body(self, fill: Filler, key: str | None, client: str) -> bytes:
        send = self._send
        if isinstance(send.body, str):
            return fill.text(send.body).encode()
        if send.method == "GET":
            return b""
        prompt = None if send.prompt is None else fill.one(send.prompt)
        turns: Turns = ()
        if send.conversation > 1 and prompt is not None:
            said = self._said.setdefault(key or "", [])
            if len(said) >= send.conversation:
                said.clear()
            turns = tuple(said)
            said.append((prompt, fill.words(ANSWER_WORDS)))
        return body_of(
            send,
            self._route.dialect,
            model=fill.one(send.model),
            turns=turns,
            system=None if send.system is None else fill.one(send.system),
            prompt=prompt,
            end_user=None if send.end_user is None else fill.one(send.end_user),
            besides={} if send.body is None else fill.data(send.body),
            separators=CLIENTS[client].separators,
        )


def key_of(account: str) -> str:
    """The key that a suite's account asks with."""
    return f"sk-of-{account}"
