"""Whatever asks for many answers is counted as many, and refused whole. The limit is ten an hour."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: answers, kind: rate_limit, per: api_key, limit: 10/hour, burst: 10, action: throttle}
  - name: budget
    kind: token_budget
    per: api_key
    match: {model: echoing}
    tokens: output
    limits: [12000/hour]
    action: throttle
"""
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]
LONG = [{"role": "user", "content": "word " * 20_000}]


def send(excise: Excise, path: str, body: dict[str, Any], key: str) -> tuple[int, bytes]:
    return call(excise, "POST", path, json.dumps(body).encode(), key)


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": HELLO} | fields


def gemini(count: int) -> dict[str, Any]:
    requests = [{"request": {"contents": [{"parts": [{"text": "hello"}]}]}}] * count
    return {"batch": {"input_config": {"requests": {"requests": requests}}}}


def batch(count: int) -> dict[str, Any]:
    params = {"model": "m", "max_tokens": 8, "messages": HELLO}
    return {"requests": [{"custom_id": f"c{n}", "params": params} for n in range(count)]}


@pytest.mark.parametrize(
    ("path", "many"),
    [
        (CHAT, lambda count: chat(n=count)),
        (CHAT, lambda count: chat(n=1, best_of=count)),
        (CHAT, lambda count: chat(n=1, n_cmpl=count)),
        (CHAT, lambda count: chat(n=count, messages=LONG)),
        ("/v1/completions", lambda count: {"model": "m", "prompt": "a", "n_cmpl": count, "n": 1}),
        ("/v1/responses", lambda count: {"model": "m", "input": "a", "n_cmpl": count}),
        ("/v1/chat/completions/batch", lambda count: chat(messages=[HELLO] * count)),
        ("/v1/chat/completions/batch", lambda count: chat(messages=[HELLO], n=count)),
        ("/v1/images/generations", lambda count: {"prompt": "a cat", "n": count}),
        ("/v1/images/edits", lambda count: {"prompt": "a hat", "images": [], "n": count}),
        ("/v1/images/variations", lambda count: {"image": {"file_id": "file-1"}, "n": count}),
        ("/openai/deployments/d/images/edits", lambda count: {"prompt": "a hat", "n": count}),
        ("/openai/deployments/d/images/generations", lambda count: {"prompt": "a", "n": count}),
        ("/v1/completions", lambda count: {"model": "m", "prompt": ["a b c"] * count}),
        ("/v1/completions", lambda count: {"model": "m", "prompt": [[1, 2, 3]] * count}),
        ("/v1/completions", lambda count: {"model": "m", "prompt": "a", "best_of": count, "n": 1}),
        ("/openai/deployments/d/chat/completions", lambda count: chat(n=count)),
        ("/v1beta/openai/chat/completions", lambda count: chat(n=count)),
        (
            "/v1beta/models/g:generateContent",
            lambda count: {
                "contents": [{"parts": [{"text": "hello"}]}],
                "generationConfig": {"candidateCount": count},
            },
        ),
        ("/v1beta/models/g:batchGenerateContent", gemini),
        ("/v1/messages/batches", batch),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_are_counted_and_not_bodies(
    excise: Excise, upstream: Recorder, request: pytest.FixtureRequest, path: str, many: Any
) -> None:
    key = f"sk-{abs(hash(request.node.name))}"
    assert send(excise, path, many(6), key)[0] == 200
    assert len(upstream.requests) == 1
    # Four are left: what asks for five is refused whole, and has spent nothing.
    assert send(excise, path, many(5), key)[0] == 429
    assert len(upstream.requests) == 1
    assert send(excise, path, many(4), key)[0] == 200
    assert send(excise, path, many(1), key)[0] == 429
    assert len(upstream.requests) == 2


def test_more_answers_than_a_burst_holds_are_refused_with_the_time_they_would_take(
    excise: Excise, upstream: Recorder
) -> None:
    status, answer = send(excise, CHAT, chat(n=11), "sk-eleven")
    assert status == 429
    assert b"retry-after: 3960\r\n" in answer.lower()
    event = excise.wait_for("request", rule="answers", **{"gen_ai.request.choice.count": 11})
    assert event["evidence"] == {
        "subject": "api_key",
        "limit": "10/hour",
        "burst": 10,
        "answers": 11,
        "retry_after_s": 3960.0,
    }
    assert upstream.requests == []


def echoing(answers: int, **fields: Any) -> dict[str, Any]:
    # 10,000 bytes: 5,032 tokens, where nothing is known yet.
    return {"model": "echoing", "prompt": "word " * 2000, "max_tokens": 1, "n": answers} | fields


def test_an_echoed_prompt_is_output_before_and_after(excise: Excise, upstream: Recorder) -> None:
    path = "/v1/completions"
    upstream.reply(path, {"usage": {"prompt_tokens": 9, "completion_tokens": 3000}})
    assert send(excise, path, echoing(1), "sk-echo")[0] == 200
    # Two prompts of 5,032 tokens do not fit into the 9,000 that are left; without echo they are no output.
    assert send(excise, path, echoing(2, echo=True), "sk-echo")[0] == 429
    assert send(excise, path, echoing(2, echo=False), "sk-echo")[0] == 200
    assert len(upstream.requests) == 2
    # Nobody reports what it was: what has passed holds both prompts, a piece each.
    piece = json.dumps({"choices": [{"text": "word " * 2000}]}).encode()
    stream = b"data: " + piece + b"\n\ndata: " + piece + b"\n\ndata: [DONE]\n\n"
    upstream.reply(path, stream, "text/event-stream")
    body = echoing(2, echo=True, stream=True)
    assert send(excise, path, body, "sk-echo-stream")[0] == 200
    wanted = {"gen_ai.request.stream": True, "gen_ai.usage.output_tokens": 5000}
    event = excise.wait_for("request", **{"http.route": path}, **wanted)
    assert event["usage.estimated"]
    plain = json.dumps({"choices": [{"text": "word " * 2000}] * 2}).encode()
    upstream.reply(path, plain)
    assert send(excise, path, echoing(2, echo=True), "sk-echo-plain")[0] == 200
    wanted = {"gen_ai.usage.output_tokens": len(plain) // 4, "usage.estimated": True}
    excise.wait_for("request", **{"http.route": path}, **wanted)


def test_the_event_says_how_many_were_asked(excise: Excise, upstream: Recorder) -> None:
    send(excise, "/v1/completions", {"model": "m", "prompt": ["a", "b", "c"]}, "sk-three")
    event = excise.wait_for("request", **{"http.route": "/v1/completions", "request.asks": 3})
    assert event["decision"] == "allow"
    assert upstream.requests[0].json["prompt"] == ["a", "b", "c"]


def test_the_body_of_pictures_is_sound_or_refused(excise: Excise, upstream: Recorder) -> None:
    for body in (
        b'{"prompt":"a","n":1,"n":10}',
        b'{"prompt":"a","x":NaN}',
        b'{"prompt":"a","N":9}',
    ):
        assert call(excise, "POST", "/v1/images/generations", body, "sk-unsound")[0] == 400
    assert upstream.requests == []


FORM = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na hat\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("types", "status"),
    [
        (("multipart/form-data; boundary=b",), 200),
        (("Multipart/Form-Data;boundary=b",), 200),
        (("application/json",), 400),
        (("application/x-www-form-urlencoded",), 400),
        (("text/plain",), 400),
        (("multipart/form-data; boundary=b", "application/json"), 400),
        ((), 400),
    ],
)
def test_only_what_says_that_it_is_a_form_is_not_read(
    excise: Excise, upstream: Recorder, types: tuple[str, ...], status: int
) -> None:
    headers = tuple(f"Content-Type: {one}" for one in types)
    assert call(excise, "POST", "/v1/images/edits", FORM, "sk-form", headers)[0] == status
    assert [sent.body for sent in upstream.requests] == ([FORM] if status == 200 else [])


def test_the_prompt_of_an_edit_in_json_is_read(excise: Excise, upstream: Recorder) -> None:
    body = {"model": "edited", "prompt": "a hat", "images": [{"file_id": "f"}], "n": 2}
    assert send(excise, "/v1/images/edits", body, "sk-edit")[0] == 200
    event = excise.wait_for("request", **{"gen_ai.request.model": "edited"})
    assert (event["request.turns"], event["gen_ai.request.choice.count"]) == (1, 2)
    assert upstream.requests[0].json == body


def test_an_exponent_without_end_is_answered(excise: Excise, upstream: Recorder) -> None:
    body = (
        b'{"messages":[],"stream":true,"stream_options":{},"temperature":1e-99999999999999999999}'
    )
    assert call(excise, "POST", CHAT, body, "sk-exponent")[0] == 200
    assert upstream.requests[0].body == body


def test_too_many_prompts_in_one_body_are_not_read(excise: Excise, upstream: Recorder) -> None:
    body = {"model": "m", "prompt": ["a"] * 257}
    assert send(excise, "/v1/completions", body, "sk-257")[0] == 400
    assert upstream.requests == []
