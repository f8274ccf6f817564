"""No path reaches the upstream but as it was judged, and none that the table refuses."""

from __future__ import annotations

import re

import pytest

from proxy.dialects.surface import rows
from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
unknown_routes: allow
also_serve: [evals]
rules:
  - {name: roomy, kind: rate_limit, per: api_key, limit: 100000/minute, burst: 10000, action: throttle}
"""
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
PLAIN = "/v1/chat/completions"


@pytest.mark.parametrize(
    "target",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/v1/chat/completions/.",
        "/v1/chat/completions/..",
        "/v1/chat/completion%73",
        "/v1/chat%2Fcompletions",
        "/v1/chat%2fcompletions",
        "/v1/%2e%2e/v1/chat/completions",
        "/v1/chat%5Ccompletions",
        "/v1\\chat\\completions",
        "/v1/chat/completions;jsessionid=1",
        "/v1/chat;x/completions",
        "/v1/chat/completions%3Bx",
        "/v1/chat/completions%00",
        "/v1/chat/completions%0A",
        "/v1/chat/completions%3Fx",
        "/v1/chat/completions%23x",
        "/v1/chat/completions%252F",
        "/v1/chat/completions%",
        "/v1/chat/completions%zz",
        "/v1beta/models/m%3AgenerateContent",
        "http://elsewhere.example/v1/chat/completions",
        "//elsewhere.example/v1/chat/completions",
        "v1/chat/completions",
        "/v1/chat/completions#x",
        "*",
    ],
)
def test_a_path_that_servers_read_differently_goes_nowhere(
    excise: Excise, upstream: Recorder, target: str
) -> None:
    status, _ = call(excise, "POST", target, CHAT)
    assert status == 400
    assert upstream.requests == []


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/completions/",
        "/V1/chat/completions",
        "/v1/Chat/Completions",
        "/v1/MESSAGES",
        "/v1/responses/",
        "/openai/Deployments/d/chat/completions",
        "/v1beta/models/m:generatecontent",
        "/v1beta/models/m:GenerateContent",
        "/v1/Audio/speech",
        "/v1/chat/completions%20",
        "/v1/chat/completions%C2%A0",
        "/v1/chat/completions%E2%80%8B",
        "/v1/chat/completions.",
        "/v1/chat/%EF%BD%83ompletions",
        "/v1beta/models/m:generateContent%20",
    ],
)
def test_a_known_path_in_another_writing_is_refused_even_where_unknown_ones_pass(
    excise: Excise, upstream: Recorder, target: str
) -> None:
    status, answer = call(excise, "POST", target, CHAT)
    assert status == 404
    assert b"not served here" in answer
    assert upstream.requests == []
    event = excise.wait_for("request", reason="refused_route", **{"url.path": target})
    assert event["rule"] == "unknown_routes"
    assert event["evidence"] == {"route": "path_variant"}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_known_path_asked_by_another_method_with_a_body_is_refused(
    excise: Excise, upstream: Recorder, method: str
) -> None:
    assert call(excise, method, PLAIN, CHAT)[0] == 404
    assert upstream.requests == []
    wanted = {"url.path": PLAIN, "http.request.method": method}
    event = excise.wait_for("request", reason="refused_route", **wanted)
    assert event["evidence"] == {"route": "path_variant"}


REFUSED = sorted(
    {
        (row.method, re.sub(r"\{\w+\}", "x1", row.template), row.word)
        for row in rows()
        if row.kind == "refused" and row.word != "evals"
    }
)


@pytest.mark.parametrize("name", sorted({name for _, _, name in REFUSED}))
def test_every_refused_route_is_refused_and_named(
    excise: Excise, upstream: Recorder, name: str
) -> None:
    for method, path, word in REFUSED:
        if word != name:
            continue
        status, _ = call(excise, method, path, b"{}" if method in {"POST", "PUT"} else b"")
        assert status == 404, path
        wanted = {"url.path": path, "http.request.method": method}
        event = excise.wait_for("request", reason="refused_route", **wanted)
        assert event["evidence"] == {"route": name}
    assert upstream.requests == []


def test_a_refused_route_may_be_served_by_name(excise: Excise, upstream: Recorder) -> None:
    assert call(excise, "POST", "/v1/evals", b'{"name":"e"}')[0] == 200
    assert [(one.method, one.target) for one in upstream.requests] == [("POST", "/v1/evals")]


def test_an_unknown_route_passes_as_it_came_where_the_policy_says_so(
    excise: Excise, upstream: Recorder
) -> None:
    assert call(excise, "POST", "/v9/new%20thing?a=%2F", b"{}")[0] == 200
    assert [one.target for one in upstream.requests] == ["/v9/new%20thing?a=%2F"]


@pytest.mark.parametrize("kind", ["inspected", "metered", "passed"])
def test_every_served_route_arrives_as_it_was_judged(
    excise: Excise, upstream: Recorder, kind: str
) -> None:
    # A body that no dialect can read is refused where it is read, and passes where it is not.
    unreadable = b'{"model":1,"model":2}'
    for row in rows():
        if row.kind != kind or row.method == "HEAD":
            continue
        upstream.requests.clear()
        path = re.sub(r"\{\w+\}", "x1", row.template)
        body = unreadable if row.method in {"POST", "PATCH"} else b""
        status, _ = call(excise, row.method, path, body)
        arrived = [(one.method, one.target, one.body) for one in upstream.requests]
        if kind == "inspected":
            assert (status, arrived) == (400, []), row
        else:
            assert (status, arrived) == (200, [(row.method, path, body)]), row
