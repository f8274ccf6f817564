"""No path reaches the upstream but as it was judged, and none that the table refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise, running_excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
unknown_routes: allow
rules:
  - {name: roomy, kind: rate_limit, per: api_key, limit: 100000/minute, burst: 10000, action: throttle}
"""
CLOSED = POLICY.replace("unknown_routes: allow", "also_serve: [evals]")
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
        "/openai/deployments/d%C3%A9/chat/completions",
        "/openai/deployments/d(1)/chat/completions",
        "/openai/deployments/%20/chat/completions",
        "/openai/deployments/a/b/chat/completions",
        "/v1beta/models/a+b:generateContent",
        "/v1beta/models/a/b:generateContent",
        "/v1beta/models/m:generateContent:",
        "/v1/%E2%80%8B/chat/completions",
        "/v1/x/%EF%BC%8E%EF%BC%8E/chat/completions",
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


@pytest.fixture(scope="module")
def closed(recording: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Excise]:
    """The same where unknown routes are refused, as they are by default."""
    folder = tmp_path_factory.mktemp("closed")
    with running_excise(folder, CLOSED, upstream=recording.url, mode="enforce") as running:
        yield running


ROUTES = [
    line.split(maxsplit=2)
    for line in Path(__file__).with_name("surface.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
UNREADABLE = b'{"model":1,"model":2}'
"""Whoever reads it refuses it."""


def expected(what: str) -> list[tuple[str, str]]:
    """(method, path) of all routes of which that is promised."""
    found = [(method, path) for method, path, promised in ROUTES if promised == what]
    assert found, what
    return found


REFUSED = sorted({what.split()[1] for _, _, what in ROUTES if what.startswith("refused ")})


@pytest.mark.parametrize("name", REFUSED)
def test_every_refused_route_is_refused_and_named(
    excise: Excise, upstream: Recorder, name: str
) -> None:
    # Unknown routes pass here: who falls out of the table arrives.
    for method, path in expected(f"refused {name}"):
        status, _ = call(excise, method, path, b"{}" if method == "POST" else b"")
        assert (status, upstream.requests) == (404, []), (method, path)
        wanted = {"url.path": path, "http.request.method": method}
        event = excise.wait_for("request", reason="refused_route", **wanted)
        assert event["evidence"] == {"route": name}


def test_every_group_that_is_refused_is_listed() -> None:
    named = {
        "assistants",
        "audio",
        "evals",
        "fine_tuning",
        "realtime",
    }  # by name, in the table and in the documents
    assert named <= set(REFUSED)
    assert len(REFUSED) == 14


def test_every_route_with_an_ask_is_read(excise: Excise, upstream: Recorder) -> None:
    for method, path in expected("read"):
        status, _ = call(excise, method, path, UNREADABLE)
        assert (status, upstream.requests) == (400, []), (method, path)


@pytest.mark.parametrize(("what", "unpacked"), [("metered", True), ("passed", False)])
def test_every_other_route_arrives_as_it_was_judged(
    excise: Excise, upstream: Recorder, what: str, unpacked: bool
) -> None:
    for method, path in expected(what):
        upstream.requests.clear()
        body = UNREADABLE if method in {"POST", "PATCH"} else b""
        # Pictures are edited by forms; in JSON they are read (`test_multiplied.py`).
        kind = "multipart/form-data; boundary=b" if "/images/" in path else "application/json"
        status, _ = call(excise, method, path, body, headers=(f"Content-Type: {kind}",))
        arrived = [(one.method, one.target, one.body) for one in upstream.requests]
        assert (status, arrived) == (200, [(method, path, body)]), (method, path)
        # Of what is metered, the reply is read: it is asked for as it is.
        assert (("Accept-Encoding", "identity") in upstream.requests[0].headers) == unpacked, path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/v1/chat/completions/batches", "refused_route"),
        ("/v1/chat/completions/tokenize", "refused_route"),
        ("/v1/chat/completions/count_tokens", "refused_route"),
        ("/v1/conversations/render", "unknown_route"),
        ("/v1/responses/stream", "refused_route"),
        ("/openai/chat/completions/batch", "refused_route"),
    ],
)
def test_a_verb_that_nobody_knows_is_no_id(
    closed: Excise, upstream: Recorder, path: str, reason: str
) -> None:
    """Where an id may be fetched, a verb in its place is a known path by another method, refused so."""
    assert call(closed, "POST", path, CHAT)[0] == 404
    closed.wait_for("request", reason=reason, **{"url.path": path})
    assert upstream.requests == []


def test_a_refused_route_may_be_served_by_name(closed: Excise, upstream: Recorder) -> None:
    assert call(closed, "POST", "/v1/evals", b'{"name":"e"}')[0] == 200
    assert [(one.method, one.target) for one in upstream.requests] == [("POST", "/v1/evals")]


def test_an_unknown_route_passes_as_it_came_where_the_policy_says_so(
    excise: Excise, upstream: Recorder
) -> None:
    assert call(excise, "POST", "/v9/new%20thing?a=%2F", b"{}")[0] == 200
    assert [one.target for one in upstream.requests] == ["/v9/new%20thing?a=%2F"]


@pytest.mark.parametrize(
    "name", ["X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Override-URL", "x-REWRITE-url"]
)
@pytest.mark.parametrize("path", ["/v1/realtime", PLAIN])
def test_no_header_names_another_path(
    excise: Excise, upstream: Recorder, name: str, path: str
) -> None:
    """Frameworks that stand behind IIS route by them: one path would be judged and another served."""
    sent = ("Content-Type: application/json", f"{name}: {path}", f"{name}: /v1/x", "X-Kept: yes")
    status, _ = call(excise, "POST", PLAIN, CHAT, headers=sent)
    assert status == 200
    (seen,) = upstream.requests
    assert seen.target == PLAIN
    names = [key.lower() for key, _ in seen.headers]
    assert name.lower() not in names
    assert "x-kept" in names
