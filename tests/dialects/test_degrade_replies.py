"""What `degrade` takes from replies, however their bytes come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.decision import Degradation
from proxy.degrade.readers import degraded_reader
from proxy.degrade.replies import DegradedReply, UnreadableReply
from proxy.degrade.think import Think, without_thinking
from proxy.dialects.routes import dialect, find_route
from proxy.facts import Ask
from tests.support import reasoning_model as model

HIDE = Degradation(hide_reasoning=True, strip_logprobs=True)
CUT = Degradation(cut_after=3)


def reader(
    path: str,
    degradation: Degradation,
    *,
    streamed: bool = True,
    method: str = "POST",
    choices: int = 1,
    stream: bool = True,
) -> DegradedReply:
    route = find_route(method, path)
    inner = dialect(route.dialect).reply_reader(streamed=streamed)
    asks = () if method == "GET" else (Ask("m", stream=stream, choices=choices),)
    return degraded_reader(inner, route, degradation, asks, streamed=streamed)


def events(found: list[Any], *, named: bool = False) -> bytes:
    parts = [f"event: {one['type']}\n" if named else "" for one in found]
    return "".join(
        f"{name}data: {json.dumps(one)}\n\n" for name, one in zip(parts, found, strict=True)
    ).encode()


def parsed(stream: bytes) -> list[Any]:
    lines = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


BODY = {"model": "m", "stream_options": {"include_usage": True}}
STREAMS = {
    "/v1/chat/completions": events(model.chat_events(BODY)) + b"data: [DONE]\n\n",
    "/v1/completions": events(model.completion_events(BODY)) + b"data: [DONE]\n\n",
    "/v1/responses": events(model.response_events(BODY), named=True),
    "/v1/messages": events(model.message_events(BODY), named=True),
    "/v1beta/models/m:streamGenerateContent": events(model.gemini_pieces()),
}
INLINE = events(model.chat_events({"model": "inline"})) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("degradation", [HIDE, CUT], ids=["hide", "cut"])
@pytest.mark.parametrize("size", [1, 7, 64, 4096, 10**6])
def test_chunks_may_begin_and_end_anywhere(path: str, degradation: Degradation, size: int) -> None:
    stream = STREAMS[path]
    whole = reader(path, degradation)
    wanted = whole.feed(stream) + whole.finish()
    one = reader(path, degradation)
    got = b"".join(one.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    assert got + one.finish() == wanted
    assert one.touched == whole.touched
    assert wanted != stream
    for secret in (model.SECRET, model.SIGNATURE, '"logprob"', "avgLogprobs"):
        assert degradation is CUT or secret.encode() not in wanted


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_other_line_ends(ends: str) -> None:
    stream = STREAMS["/v1/chat/completions"].replace(b"\n", ends.encode())
    one = reader("/v1/chat/completions", HIDE)
    got = b"".join(one.feed(stream[at : at + 5]) for at in range(0, len(stream), 5)) + one.finish()
    assert model.SECRET.encode() not in got
    assert got.count(b"word") == 20


def test_what_has_nothing_to_hide_passes_as_its_own_bytes() -> None:
    stream = (
        b'data: {"choices": [{"index":0,  "delta":{"content":"h"}}], "x": 1.50}\n\ndata: [DONE]\n\n'
    )
    one = reader("/v1/chat/completions", HIDE)
    assert one.feed(stream) + one.finish() == stream
    assert one.touched == ()


def test_usage_is_what_the_upstream_says_and_of_a_cut_answer_what_passed() -> None:
    one = reader("/v1/chat/completions", HIDE)
    one.feed(STREAMS["/v1/chat/completions"])
    assert one.usage is not None
    assert one.usage.output_tokens == 24
    assert one.finish_reason == "stop"
    cut = reader("/v1/chat/completions", CUT)
    cut.feed(STREAMS["/v1/chat/completions"])
    assert cut.ended
    assert cut.usage is not None
    assert cut.usage.output_tokens == 3
    assert cut.finish_reason == "length"


def test_each_choice_is_cut_for_itself() -> None:
    chunks = [
        {"choices": [{"index": index, "delta": {"content": f"w{number} "}, "finish_reason": None}]}
        for number in range(6)
        for index in (0, 1)
    ]
    one = reader("/v1/chat/completions", CUT, choices=2)
    got = parsed(one.feed(events(chunks)))
    for index in (0, 1):
        said = [one for c in got for one in c["choices"] if one["index"] == index]
        assert "".join(c["delta"].get("content", "") for c in said) == "w0 w1 w2 "
        assert [c["finish_reason"] for c in said] == [None, None, None, "length"]
    assert one.ended


def test_a_long_piece_is_shortened() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "é" * 500}, "finish_reason": None}]}
    one = reader("/v1/chat/completions", CUT)
    got = parsed(one.feed(events([chunk])))
    assert got[0]["choices"][0]["delta"]["content"] == "é" * 6
    assert one.usage is not None
    assert one.usage.output_tokens == 3


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("<think>why</think>\n\nHello", "Hello"),
        (" \n<think>why</think>Hello <think>x</think>", "Hello <think>x</think>"),
        ("<thinking>a</thinking>b", "b"),
        ("<thought>a</thought> b", "b"),
        ("<think>never closed", ""),
        ("<thing> is no mark", "<thing> is no mark"),
        ("<th", "<th"),
        ("Hello <think>later</think>", "Hello <think>later</think>"),
        ("", ""),
    ],
)
def test_reasoning_in_the_text_itself(given: str, seen: str) -> None:
    assert without_thinking(given) == seen
    for size in (1, 2, 3, 5):
        think = Think()
        parts = [think.feed(given[at : at + size]) for at in range(0, len(given), size)]
        assert "".join(parts) + think.end() == seen


def test_what_was_held_back_comes_before_the_end() -> None:
    def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
        delta = {"content": text} if text else {}
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    one = reader("/v1/chat/completions", HIDE)
    got = one.feed(events([chunk("<th"), chunk("", "stop")]) + b"data: [DONE]\n\n")
    said = "".join(c["choices"][0]["delta"].get("content") or "" for c in parsed(got))
    assert said == "<th"
    broken_off = reader("/v1/chat/completions", HIDE)
    got = broken_off.feed(events([chunk("<th")])) + broken_off.finish()
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in parsed(got)) == "<th"


@pytest.mark.parametrize(
    "line",
    [
        b'data: {"choices":[{"delta":{"reasoning":"why"}}\n\n',
        b'data: ["why"]\n\n',
        b"data: why\n\n",
        b'data: "why"\ndata: [DONE]\n\n',
    ],
)
def test_an_event_that_cannot_be_read_is_dropped_where_something_is_hidden(line: bytes) -> None:
    one = reader("/v1/chat/completions", HIDE)
    assert one.feed(line) + one.finish() == b""
    loose = reader("/v1/chat/completions", CUT)
    assert loose.feed(line) + loose.finish() == line


def test_a_reasoning_event_without_an_end_is_no_way_out() -> None:
    one = reader("/v1/chat/completions", HIDE)
    broken = b'data: {"choices":[{"index":0,"delta":{"reasoning":"why"}}]}\n'
    assert b"why" not in one.feed(broken) + one.finish()


def test_an_event_beyond_all_bounds_ends_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.degrade.replies.MAX_BYTES", 1000)
    for path, streamed in (("/v1/chat/completions", True), ("/v1/chat/completions", False)):
        one = reader(path, HIDE, streamed=streamed)
        one.feed(b"data: " + b"x" * 900)
        with pytest.raises(UnreadableReply):
            one.feed(b"x" * 900)


def test_results_of_batches_in_lines() -> None:
    lines = [
        {"custom_id": "1", "response": {"body": model.chat(BODY)}},
        {"custom_id": "2", "response": {"body": model.response(BODY)}},
        {"custom_id": "3", "response": None, "error": {"message": "no"}},
    ]
    data = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    one = reader("/v1/files/f/content", HIDE, streamed=False, method="GET")
    got = b"".join(one.feed(data[at : at + 50]) for at in range(0, len(data), 50)) + one.finish()
    assert model.SECRET.encode() not in got
    assert got.count(model.TEXT.encode()) == 2
    assert json.loads(got.splitlines()[2]) == lines[2]

    result = {"custom_id": "1", "result": {"type": "succeeded", "message": model.message(BODY)}}
    one = reader("/v1/messages/batches/b/results", HIDE, streamed=False, method="GET")
    got = one.feed(json.dumps(result).encode()) + one.finish()
    kinds = [block["type"] for block in json.loads(got)["result"]["message"]["content"]]
    assert kinds == ["text", "tool_use"]

    batch = {
        "response": {"inlinedResponses": {"inlinedResponses": [{"response": model.gemini_whole()}]}}
    }
    one = reader("/v1beta/batches/b", HIDE, streamed=False, method="GET")
    got = one.feed(json.dumps(batch, indent=2).encode()) + one.finish()
    assert model.SECRET.encode() not in got
    assert model.TEXT.encode() in got


def test_a_file_that_is_no_result_passes_and_a_broken_result_does_not() -> None:
    picture = b"\x89PNG\r\n\x1a\n{ \x00 \nreasoning\n"
    one = reader("/v1/files/f/content", HIDE, streamed=False, method="GET")
    assert one.feed(picture) + one.finish() == picture
    one = reader("/v1/files/f/content", HIDE, streamed=False, method="GET")
    with pytest.raises(UnreadableReply):
        one.feed(b'{"response":{"reasoning":"why"\n')


@pytest.mark.parametrize("body", [b"[1]", b"{", b"why"])
def test_a_whole_reply_that_cannot_be_read_is_not_given(body: bytes) -> None:
    one = reader("/v1/messages", HIDE, streamed=False, stream=False)
    one.feed(body)
    with pytest.raises(UnreadableReply):
        one.finish()


def test_function_calls_keep_the_signature_that_their_next_turn_needs() -> None:
    parts = [
        {"text": "why", "thought": True},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"},
        {"text": "", "thoughtSignature": "c2ln"},
    ]
    one = reader("/v1beta/models/m:generateContent", HIDE, streamed=False, stream=False)
    one.feed(json.dumps(model.gemini(parts, ended=True)).encode())
    got = json.loads(one.finish())["candidates"][0]["content"]["parts"]
    assert got == [parts[1], {"text": ""}]


def test_a_function_call_cut_in_a_response() -> None:
    item = {"id": "fc", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    at = {"item_id": "fc", "output_index": 0}
    found = [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *({"type": "response.function_call_arguments.delta", **at, "delta": f"{n}"} for n in range(9)),
    ]  # fmt: skip
    one = reader("/v1/responses", CUT)
    got = parsed(one.feed(events(found, named=True)))
    assert [event["type"] for event in got[-3:]] == [
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    assert got[-3]["arguments"] == "012"
    assert got[-1]["response"]["output"][0]["status"] == "incomplete"


def test_legacy_completions_of_anthropic() -> None:
    found = [
        {"type": "completion", "completion": f" w{n}", "stop_reason": None, "model": "m"}
        for n in range(9)
    ]
    one = reader("/v1/complete", CUT)
    got = parsed(one.feed(events(found, named=True)))
    assert "".join(event["completion"] for event in got) == " w0 w1 w2"
    assert got[-1]["stop_reason"] == "max_tokens"
    plain = reader("/v1/complete", CUT, streamed=False, stream=False)
    plain.feed(b'{"completion":"%b","stop_reason":"stop_sequence"}' % (b"x" * 90))
    assert json.loads(plain.finish()) == {"completion": "x" * 12, "stop_reason": "max_tokens"}


def test_reasoning_that_is_hidden_is_not_told_token_by_token() -> None:
    only = Degradation(hide_reasoning=True)
    reply = {
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": [{"type": "text", "text": f"<think>{model.SECRET}</think>a"}],
                },
                "logprobs": {"content": [{"token": model.SECRET, "logprob": -0.1}]},
                "token_ids": [1, 2, 3],
                "finish_reason": "stop",
            }
        ]
    }
    one = reader("/v1/chat/completions", only, streamed=False, stream=False)
    got = one.feed(json.dumps(reply).encode()) + one.finish()
    assert model.SECRET.encode() not in got
    (choice,) = json.loads(got)["choices"]
    assert choice["message"]["content"] == [{"type": "text", "text": "a"}]
    assert choice["logprobs"] is None
    assert "token_ids" not in choice


@pytest.mark.parametrize("path", STREAMS)
def test_no_dialects_stream_spells_out_what_is_hidden(path: str) -> None:
    one = reader(path, Degradation(hide_reasoning=True))
    got = one.feed(STREAMS[path]) + one.finish()
    for secret in (model.SECRET, '"logprob"', "avgLogprobs"):
        assert secret.encode() not in got
