"""The log for people: one line a request, and only one, whatever a caller has written into it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.console import ConsoleRenderer
from proxy.decision import Verb

REQUEST = {
    "event": "request",
    "level": "info",
    "timestamp": "2026-11-23T21:16:48.529Z",
    "decision": "allow",
    "http.request.method": "POST",
    "url.path": "/v1/chat/completions",
    "http.response.status_code": 200,
    "client.address": "203.0.113.7",
    "outcome": "complete",
}


def line(colour: bool = False, **fields: Any) -> str:
    return ConsoleRenderer(colour=colour)(None, "", {**REQUEST, **fields})


BARE = "21:16:48.529 allow    200 POST /v1/chat/completions"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, f"{BARE} 203.0.113.7"),
        ({"account": "acme"}, f"{BARE} acme"),
        ({"gen_ai.request.model": "large"}, f"{BARE} 203.0.113.7 large"),
        ({"duration_ms": 6.4}, f"{BARE} 203.0.113.7 6 ms"),
        ({"outcome": "client_closed"}, f"{BARE} 203.0.113.7 client_closed"),
        ({"shadow": ["a", "b"]}, f"{BARE} 203.0.113.7 shadow: a, b"),
        ({"reason": "overloaded", "rule": None}, f"{BARE} 203.0.113.7 overloaded"),
        ({"reason": "full", "rule": "slow"}, f"{BARE} 203.0.113.7 slow: full"),
        ({"evidence": {"a": 1, "b": 0.5}}, f"{BARE} 203.0.113.7 (a=1, b=0.5)"),
        (
            {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 15},
            f"{BARE} 203.0.113.7 12→15 tokens",
        ),
        ({"gen_ai.usage.output_tokens": 15}, f"{BARE} 203.0.113.7 0→15 tokens"),
        ({"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}, f"{BARE} 203.0.113.7"),
    ],
)
def test_a_line_shows_what_there_is_and_leaves_out_the_rest(
    fields: dict[str, Any], shown: str
) -> None:
    assert line(**fields) == shown


def test_who_was_never_answered_has_no_status() -> None:
    assert " --- POST " in line(**{"http.response.status_code": None})


def test_bytes_that_never_became_a_request_have_a_line_too() -> None:
    event = {name: REQUEST[name] for name in ("event", "level", "timestamp", "client.address")}
    shown = ConsoleRenderer(colour=False)(None, "", {**event, "decision": "block"})
    assert shown == "21:16:48.529 block    --- - - 203.0.113.7"


def test_other_events_show_all_their_fields() -> None:
    event = {"event": "store_down", "level": "error", "timestamp": REQUEST["timestamp"]}
    render = ConsoleRenderer(colour=False)
    assert render(None, "", {**event, "reason": "gone"}) == "21:16:48.529 store_down reason=gone"
    assert render(None, "", event) == "21:16:48.529 store_down"


@pytest.mark.parametrize("verb", Verb)
def test_every_decision_has_a_colour_and_keeps_its_width(verb: Verb) -> None:
    painted = line(colour=True, decision=verb.word)
    assert painted.count("\x1b[") == 2
    assert painted.replace("\x1b[0m", "").split("m", 1)[1] == line(decision=verb.word)[13:]


@pytest.mark.parametrize("name", ["gen_ai.request.model"])
@pytest.mark.parametrize(
    "text",
    ["m\n21:16:48.530 allow    200", "m\r", "\x1b[2J", "\x1b]0;t\x07", "\x9b31m", "\x85", "\u2028"],
)
def test_no_caller_writes_a_line_or_a_command_of_their_own(name: str, text: str) -> None:
    shown = line(**{name: text})
    assert shown.isprintable()
    assert shown.splitlines() == [shown]
