"""What is stored is metered to whoever fetches it, however: each account has 10,000 tokens an hour."""

from __future__ import annotations

import gzip
import json
import re
import socket
from itertools import count
from typing import Any

import openai
import pytest

from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - name: budget
    kind: token_budget
    per: account
    tokens: output
    limits: [10000/hour]
    action: throttle
"""
WORDS = "word " * 400
FILE, CLAUDES, GEMINIS = (
    "/v1/files/file-1/content",
    "/v1/messages/batches/b_1/results",
    "/v1beta/files/f-1:download",
)
KEYS = (f"sk-stored-{number}" for number in count())


def openai_line(usage: dict[str, int] | None) -> dict[str, Any]:
    choices = [{"index": 0, "message": {"role": "assistant", "content": WORDS}}]
    body = {"choices": choices} | ({"usage": usage} if usage else {})
    return {"custom_id": "c", "response": {"status_code": 200, "body": body}}


def claudes_line(usage: dict[str, int] | None) -> dict[str, Any]:
    message = {"content": [{"type": "text", "text": WORDS}]} | ({"usage": usage} if usage else {})
    return {"custom_id": "c", "result": {"type": "succeeded", "message": message}}


def geminis_line(usage: dict[str, int] | None) -> dict[str, Any]:
    response = {"candidates": [{"content": {"parts": [{"text": WORDS}]}}]}
    return {"key": "c", "response": response | ({"usageMetadata": usage} if usage else {})}


LINES = {
    FILE: (openai_line, {"prompt_tokens": 7, "completion_tokens": 400}),
    CLAUDES: (claudes_line, {"input_tokens": 7, "output_tokens": 400}),
    GEMINIS: (geminis_line, {"promptTokenCount": 7, "candidatesTokenCount": 400}),
}


def results(path: str, lines: int, told: bool = True) -> bytes:
    line, usage = LINES[path]
    return b"".join(
        json.dumps(line(usage if told else None)).encode() + b"\n" for _ in range(lines)
    )


def event_of(excise: Excise, received: bytes) -> dict[str, Any]:
    named = re.search(rb"(?i)x-excise-request-id: (\S+)", received)
    assert named is not None
    return excise.wait_for("request", request_id=named[1].decode())


def fetched(excise: Excise, path: str, *headers: str) -> tuple[int, dict[str, Any]]:
    status, received = call(excise, "GET", path, key=next(KEYS), headers=headers)
    return status, event_of(excise, received)


def output(event: dict[str, Any]) -> tuple[int, bool]:
    return event["gen_ai.usage.output_tokens"], event.get("usage.estimated", False)


@pytest.mark.parametrize("path", LINES)
def test_whole_results_cost_what_they_report(excise: Excise, upstream: Recorder, path: str) -> None:
    upstream.reply(path, results(path, 5), "application/x-jsonl")
    status, event = fetched(excise, path)
    assert (status, output(event)) == (200, (2000, False))


def test_a_file_of_results_is_not_had_in_slices_by_openais_sdk(
    excise: Excise, upstream: Recorder
) -> None:
    whole = results(FILE, 20)
    upstream.reply(FILE, whole, "application/octet-stream", in_parts=True)
    key = next(KEYS)
    with openai.OpenAI(api_key=key, base_url=f"{excise.url}/v1", max_retries=0) as client:
        for start in range(0, len(whole), 1500):
            part = {"Range": f"bytes={start}-{start + 1499}", "If-Range": '"1"'}
            try:
                held = client.files.content("file-1", extra_headers=part)
            except openai.RateLimitError:
                break
            assert held.content == whole  # a server may leave Range unheeded
            number = held.response.headers["x-excise-request-id"]
            event = excise.wait_for("request", request_id=number)
            assert output(event) == (8000, False)
    # Twice: the budget is charged what a file reports only once it has passed.
    assert len(upstream.requests) == 2
    sent = [name.lower() for one in upstream.requests for name, _ in one.headers]
    assert not {"range", "if-range"} & set(sent)


@pytest.mark.parametrize(
    "path", [*LINES, "/v1/responses/resp_1", "/v1/chat/completions/chatcmpl-1"]
)
def test_a_part_that_comes_all_the_same_counts_by_its_bytes(
    excise: Excise, upstream: Recorder, path: str
) -> None:
    upstream.reply(path, b"x" * 4000, "application/octet-stream", 206)
    status, event = fetched(excise, path, "Range: bytes=0-3999")
    assert (status, output(event)) == (206, (1000, True))


def test_of_what_holds_no_output_parts_can_be_asked_for(excise: Excise, upstream: Recorder) -> None:
    call(excise, "GET", "/v1/models", headers=("Range: bytes=0-9",))
    assert dict(upstream.requests[0].headers)["Range"] == "bytes=0-9"


@pytest.mark.parametrize("path", LINES)
def test_a_result_that_tells_no_usage_counts_by_its_bytes(
    excise: Excise, upstream: Recorder, path: str
) -> None:
    mute = results(path, 1, told=False)
    upstream.reply(path, mute + results(path, 2), "application/x-jsonl")
    status, event = fetched(excise, path)
    tokens, estimated = output(event)
    assert (status, estimated) == (200, True)
    assert 800 + len(WORDS) // 4 <= tokens <= 800 + len(mute) // 4
    upstream.reply(path, mute, "application/x-jsonl")
    tokens, estimated = output(fetched(excise, path)[1])
    assert estimated
    assert tokens >= len(WORDS) // 4


@pytest.mark.parametrize("path", LINES)
def test_a_result_that_is_left_before_its_usage_counts_by_its_bytes(
    excise: Excise, upstream: Recorder, path: str
) -> None:
    begun = results(path, 1, told=False).rstrip(b"\n}]")
    upstream.reply(path, begun, "application/x-jsonl", promised=2_000_000)
    with socket.create_connection(("127.0.0.1", excise.ports["data"]), timeout=10) as leaving:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {next(KEYS)}\r\n\r\n"
        leaving.sendall(head.encode())
        received = b""
        while WORDS.encode() not in received:
            received += leaving.recv(65536)
    tokens, estimated = output(event_of(excise, received))
    assert estimated
    assert tokens >= len(WORDS) // 4


FAILED: dict[str, list[dict[str, Any]]] = {
    FILE: [
        {"custom_id": "c", "response": {"status_code": 400, "body": {"error": {"message": WORDS}}}},
        {"custom_id": "c", "response": None, "error": {"message": WORDS}},
        {"custom_id": "c", "method": "POST", "url": "/v1/chat/completions", "body": {"n": WORDS}},
    ],
    CLAUDES: [{"custom_id": "c", "result": {"type": "errored", "error": {"message": WORDS}}}],
    GEMINIS: [{"key": "c", "error": {"message": WORDS}}] * 2,
}


@pytest.mark.parametrize("path", FAILED)
def test_results_that_failed_are_no_output(excise: Excise, upstream: Recorder, path: str) -> None:
    upstream.reply(path, b"\n".join(json.dumps(one).encode() for one in FAILED[path]))
    assert output(fetched(excise, path)[1])[0] == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", FILE, b""),
        ("GET", CLAUDES, b""),
        ("GET", GEMINIS, b""),
        ("GET", "/v1/responses/resp_1", b""),
        ("GET", "/v1/conversations/conv_1/items", b""),
        ("POST", "/v1/completions", b'{"model":"m","prompt":"x"}'),
        ("POST", "/v1/chat/completions", b'{"model":"m","messages":[]}'),
    ],
)
@pytest.mark.parametrize("encodings", [("gzip",), ("gzip", "identity")])
def test_a_compressed_reply_though_none_was_asked_for_counts_by_its_bytes(
    excise: Excise,
    upstream: Recorder,
    method: str,
    path: str,
    body: bytes,
    encodings: tuple[str, ...],
) -> None:
    packed = gzip.compress(results(FILE, 5))
    said = tuple(("Content-Encoding", one) for one in encodings)
    upstream.reply(path, packed, "application/json", headers=said)
    json_type = ("Content-Type: application/json",) if body else ()
    status, received = call(excise, method, path, body, next(KEYS), json_type)
    assert (status, received.endswith(packed)) == (200, True)
    assert dict(upstream.requests[-1].headers)["Accept-Encoding"] == "identity"
    assert output(event_of(excise, received)) == (len(packed), True)
