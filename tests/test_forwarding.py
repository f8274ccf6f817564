"""How a judged request goes on: whose credential, which body, what comes off, who reads the reply."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.client.credentials import CREDENTIAL_HEADERS
from proxy.dialects.routes import dialect, find_route
from proxy.facts import Client, Facts
from proxy.forwarding import Forwarding
from proxy.head import Head
from proxy.judgement import Judgement
from proxy.policy.load import parse
from proxy.visit import Visit

POLICY = parse("version: 1\n", "policy.yaml")
POLICY_WITH_A_RULE = parse(
    "version: 1\nrules:\n"
    "  - {name: r, kind: rate_limit, per: address, limit: 1/second, action: throttle}\n",
    "policy.yaml",
)
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
STREAMED = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
ASKED = STREAMED[:-1] + b',"stream_options":{"include_usage":true}}'
OWN = ("Authorization", "Bearer sk-upstream")
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'


PARTS = ("Range", "If-Range")
"""What no request for output takes along."""


def visit(
    body: bytes = CHAT, path: str = "/v1/chat/completions", query: str = "", *, read: bool = True
) -> Visit:
    head = Head("POST", path, query, (), "192.0.2.1")
    made = Visit("01J", 0.0, head, POLICY, "enforce", find_route("POST", path), body=body)
    if read and made.route is not None and made.route.kind == "inspected":
        made.read = dialect(made.route.dialect).read(body, path)
    return made


def forwarding(
    credential: tuple[str, str] | None = None, *, ask: bool = True, withheld: tuple[str, ...] = ()
) -> Forwarding:
    return Forwarding(credential, ask, lambda _head: withheld)


def test_without_a_credential_of_ours_the_callers_own_goes_on() -> None:
    forward = forwarding(ask=False).of(visit(query="key=sk-caller&x=1"))
    assert (forward.query, forward.drop, forward.add) == ("key=sk-caller&x=1", PARTS, ())


@pytest.mark.parametrize("ask", [True, False])
def test_where_a_budget_stands_no_reply_is_to_be_compressed(ask: bool) -> None:
    counted = visit()
    counted.policy = parse(
        "version: 1\nrules:\n  - {name: b, kind: token_budget, per: address, tokens: output, "
        "limits: 1000/hour, action: throttle}\n",
        "policy.yaml",
    )
    identity = ("Accept-Encoding", "identity")
    assert identity in forwarding(ask=ask).of(counted).add
    assert (identity in forwarding(ask=ask).of(visit()).add) is ask


def test_our_credential_takes_the_place_of_every_other() -> None:
    forward = forwarding(OWN, ask=False).of(visit(query="a=%20&key=sk-caller&k%65y=b&c"))
    assert forward.query == "a=%20&c"
    assert forward.add == (OWN,)
    assert set(CREDENTIAL_HEADERS) <= set(forward.drop)


def test_what_a_peer_may_not_say_is_dropped_with_the_credentials() -> None:
    assert forwarding(withheld=("X-Account",)).of(visit()).drop == ("X-Account", *PARTS)
    assert "X-Account" in forwarding(OWN, withheld=("X-Account",)).of(visit()).drop


def test_the_reply_bears_the_requests_id() -> None:
    assert forwarding().of(visit()).own_headers == ((b"X-Excise-Request-Id", b"01J"),)


@pytest.mark.parametrize("body", [CHAT, ASKED, b'{"stream": false, ' + CHAT[1:]])
def test_a_body_that_needs_no_change_stays_byte_for_byte(body: bytes) -> None:
    assert forwarding().of(visit(body)).body == body


@pytest.mark.parametrize(
    ("ask", "read", "sent", "identity"),
    [(True, True, ASKED, True), (False, True, STREAMED, False), (True, False, STREAMED, False)],
)
def test_a_stream_is_asked_for_its_usage_where_it_was_read_and_we_may(
    ask: bool, read: bool, sent: bytes, identity: bool
) -> None:
    forward = forwarding(ask=ask).of(visit(STREAMED, read=read))
    assert forward.body == sent
    assert (("Accept-Encoding", "identity") in forward.add) == identity


def test_a_request_without_a_body_stays_without_one() -> None:
    forward = forwarding().of(visit(b"", "/v1/models"))
    assert (forward.body, forward.add) == (None, ())


def test_what_was_parsed_is_not_kept_while_the_answer_streams() -> None:
    one = visit(STREAMED)
    forwarding().of(one)
    assert one.read is not None
    assert (one.read.parsed, one.ask is not None and one.ask.model) == ({}, "m")


@pytest.mark.parametrize(
    ("status", "path", "looked_at"),
    [
        (200, "/v1/chat/completions", True),
        (299, "/v1/chat/completions", True),
        (302, "/v1/chat/completions", False),
        (429, "/v1/chat/completions", False),
        (500, "/v1/chat/completions", False),
        (200, "/v1/models", False),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_only_a_models_answer_is_looked_at(
    status: int, path: str, looked_at: bool, streamed: bool
) -> None:
    one = visit(path=path)
    reader = forwarding().of(one).observe(status, streamed, True)
    assert (reader is not None) == looked_at
    assert one.reader is reader


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        (STREAMED, b""),  # our own asking
        (ASKED, USAGE),  # the caller's
    ],
)
def test_usage_reaches_only_those_who_asked_for_it(body: bytes, passes: bytes) -> None:
    reader: Any = forwarding().of(visit(body)).observe(200, True, True)
    assert reader.feed(USAGE) + reader.finish() == passes
    assert reader.usage.output_tokens == 2


@pytest.mark.parametrize("ask", [True, False])
def test_what_a_heavy_body_asked_is_let_go_but_for_how_much(ask: bool) -> None:
    turns = [{"role": "user", "content": "ab"}] * 1000
    body = orjson.dumps({"model": "m", "messages": turns, "tools": [], "temperature": 0.5})
    heavy = visit(body)
    assert heavy.read is not None
    assert heavy.route is not None
    client = Client("192.0.2.1", "192.0.2.0/24")
    facts = Facts(client, heavy.route, heavy.ask)
    rule = POLICY_WITH_A_RULE.rules[0]
    heavy.judgement = Judgement(POLICY, shadow=False, counted=[(rule, facts, (), ())] * 2)
    assert forwarding(ask=ask).of(heavy).body == body
    assert heavy.read.parsed == {}
    assert heavy.ask is not None
    assert (len(heavy.ask.turns), heavy.ask.temperature) == (1000, 0.5)
    kept = [found[1].ask for found in heavy.judgement.counted]
    assert kept[0] is kept[1] is not None
    assert {turn.text for one in (heavy.ask, kept[0]) for turn in one.turns} == {""}
    assert facts.ask is not None
    assert facts.ask.turns[0].text == "ab"
