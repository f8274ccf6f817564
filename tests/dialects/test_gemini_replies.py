"""Gemini's replies: usage and ends are read alike in every form, wherever the chunks are cut."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import orjson
import pytest

from proxy.dialects.base import ReplyReader
from proxy.dialects.gemini_generate import GEMINI_GENERATE
from proxy.dialects.replies import MAX_PLAIN_BYTES
from proxy.facts import Usage
from proxy.sample_gemini import as_array, pieces, reply

METADATA = {
    "promptTokenCount": 9,
    "cachedContentTokenCount": 4,
    "toolUsePromptTokenCount": 1,
    "candidatesTokenCount": 3,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 18,
}
USAGE = Usage(input_tokens=10, output_tokens=8, reasoning_tokens=5, cached_tokens=4)


def piece(text: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": reason}
    if reason is None:
        del candidate["finishReason"]
    return {"candidates": [candidate], "modelVersion": "gemini-x-001", "responseId": "r-1", **more}


PIECES = [
    piece("é", usageMetadata={"promptTokenCount": 9, "totalTokenCount": 9}),
    # Nothing that a model says passes for what the API says.
    piece('"usageMetadata":{"candidatesTokenCount":99} ]}[{ \\ "\\" \\\\'),
    {
        "candidates": [
            {"content": {"parts": [{"functionCall": {"args": {"usageMetadata": {"x": 99}}}}]}}
        ]
    },
    piece("", "MAX_TOKENS", usageMetadata=METADATA),
]
EVENTS = b"".join(b"data: %b\r\n\r\n" % orjson.dumps(one) for one in PIECES)
ARRAY = b"".join(as_array(PIECES))
PLAIN = orjson.dumps(PIECES[-1])


def read(whole: bytes, places: list[int], *, streamed: bool) -> ReplyReader:
    """Feed a reply cut at these places; it must pass untouched and at once."""
    reader = GEMINI_GENERATE.reply_reader(streamed=streamed)
    for start, end in pairwise([0, *sorted(places), len(whole)]):
        assert reader.feed(whole[start:end]) == whole[start:end]
    assert reader.finish() == b""
    return reader


def ends(whole: bytes) -> list[int]:
    """Where its events end, as an upstream that flushes each of them would cut them."""
    return [found.end() for found in re.finditer(rb"\r?\n\r?\n", whole)]


def learnt(reader: ReplyReader) -> tuple[Any, ...]:
    return reader.usage, reader.finish_reason, reader.response_id, reader.response_model


FORMS = [(EVENTS, True), (ARRAY, False), (PLAIN, False)]


@pytest.mark.parametrize(("whole", "streamed"), FORMS, ids=["events", "array", "plain"])
def test_every_form_tells_its_usage_its_end_and_who_made_it(whole: bytes, streamed: bool) -> None:
    known = (USAGE, "MAX_TOKENS", "r-1", "gemini-x-001")
    assert learnt(read(whole, [], streamed=streamed)) == known
    for place in range(len(whole) + 1):
        assert learnt(read(whole, [place], streamed=streamed)) == known
    assert learnt(read(whole, list(range(len(whole))), streamed=streamed)) == known
    assert learnt(read(whole, ends(whole), streamed=streamed)) == known


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({}, Usage()),
        ({"promptTokenCount": 9}, Usage(9)),
        ({"promptTokenCount": 9, "totalTokenCount": 9}, Usage(9, 0)),
        ({"promptTokenCount": 9, "totalTokenCount": 8}, Usage(9)),
        ({"candidatesTokenCount": 3}, Usage(None, 3)),
        ({"candidatesTokenCount": 3, "thoughtsTokenCount": 5}, Usage(None, 8, 5)),
        ({"thoughtsTokenCount": 5}, Usage(None, 5, 5)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 5, "totalTokenCount": 14}, Usage(9, 5, 5)),
        ({"promptTokenCount": "9", "candidatesTokenCount": -1}, Usage()),
        ({"promptTokenCount": 2**60, "cachedContentTokenCount": True}, Usage()),
    ],
)
def test_thoughts_are_counted_with_the_output_and_tools_with_the_input(
    metadata: dict[str, Any], usage: Usage
) -> None:
    body = orjson.dumps({"usageMetadata": metadata})
    assert read(body, [], streamed=False).usage == usage


@pytest.mark.parametrize("streamed", [True, False])
def test_the_figures_of_a_stream_never_shrink(streamed: bool) -> None:
    later = [piece("a", usageMetadata=METADATA), piece("b", usageMetadata={"promptTokenCount": 2})]
    later.append(piece("c", usageMetadata={"trafficType": "ON_DEMAND"}))
    later.append(piece("c", usageMetadata={"candidatesTokenCount": 4}))
    whole = b"".join(b"data: %b\n\n" % orjson.dumps(one) for one in later)
    whole = whole if streamed else b"".join(as_array(later))
    assert read(whole, [], streamed=streamed).usage == Usage(10, 9, 5, 4)


def test_a_blocked_prompt_says_why_and_has_no_output() -> None:
    body = orjson.dumps(
        {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
        }
    )
    for whole, streamed in [
        (body, False),
        (b"data: " + body + b"\n\n", True),
        (b"[" + body + b"]", False),
    ]:
        reader = read(whole, [], streamed=streamed)
        assert (reader.usage, reader.finish_reason) == (Usage(9, 0), "PROHIBITED_CONTENT")


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"usageMetadata":{"candidatesTokenCount":3}}\n\n',
        b'data: {"usageMetadata":\ndata: {"candidatesTokenCount":3}}\n\n',
        b'data: {"usageMetadata":\rdata: {"candidatesTokenCount":3}}\n\n',
        b'data:{"usageMetadata":{"candidatesTokenCount":3}}\r\r',
        b'event: x\ndata: {"usageMetadata":{"candidatesTokenCount":3}}\n\n',
        b'data: {"usageMetadata":{"candidatesTokenCount":3}}',
    ],
)
def test_usage_is_found_however_its_event_is_written(event: bytes) -> None:
    assert read(event, [], streamed=True).usage == Usage(output_tokens=3)


def test_a_chunk_inside_of_an_event_is_no_event() -> None:
    reader = GEMINI_GENERATE.reply_reader(streamed=True)
    reader.feed(b'data: {"a":\n')
    reader.feed(b'data: {"usageMetadata":{"candidatesTokenCount":99}}\n\n')
    assert reader.usage is None


def test_the_last_candidates_end_counts() -> None:
    ends = [{"finishReason": "STOP"}, {"finishReason": "SAFETY"}, {"finishReason": 1}, {}, 5]
    assert read(orjson.dumps({"candidates": ends}), [], streamed=False).finish_reason == "SAFETY"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"oops",
        b"{}",
        b"[",
        b"[]",
        b"[[]]",
        b"[5,null]",
        b"]]]]{}{}",
        b"[}{]",
        b'["usageMetadata"',
        b'[{"usageMetadata":}]',
        b'[{"usageMetadata":5,"candidates":5,"promptFeedback":[]}]',
        b'[{"candidates":[5,{"finishReason":5}],"modelVersion":5,"responseId":[]}]',
        b'{"usageMetadata":[],"promptFeedback":{"blockReason":5}}',
        b"\x00\xff[{\\",
        b'[{"a":"\\',
    ],
)
def test_garbage_passes_and_teaches_nothing(body: bytes) -> None:
    for streamed in (True, False):
        for whole in (body, b"data: " + body + b"\n\n"):
            for places in ([], list(range(len(whole)))):
                reader = read(whole, places, streamed=streamed)
                assert learnt(reader) == (None, None, None, None)
                assert reader.estimated_output_tokens() >= 0


def test_a_plain_reply_too_large_to_keep_passes_unread() -> None:
    body = orjson.dumps({"x": "x" * MAX_PLAIN_BYTES, "usageMetadata": METADATA})
    reader = read(body, [MAX_PLAIN_BYTES // 2, MAX_PLAIN_BYTES + 5], streamed=False)
    assert reader.usage is None
    assert reader.estimated_output_tokens() > MAX_PLAIN_BYTES // 8


@pytest.mark.parametrize("streamed", [True, False])
def test_a_stream_whose_usage_was_masked_is_estimated_by_its_text(streamed: bool) -> None:
    texts = ["four" * 40] * 10
    masked = [
        {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}]}
        for text in texts
    ]
    whole = b"".join(b"data: %b\r\n\r\n" % orjson.dumps(one) for one in masked)
    whole = whole if streamed else orjson.dumps(masked)
    for places in ([100, 500], ends(whole)):
        reader = read(whole, places, streamed=streamed)
        assert reader.usage is None
        assert 340 <= reader.estimated_output_tokens() <= 440


@pytest.mark.parametrize(("cut", "end"), [(False, "STOP"), (True, "MAX_TOKENS")])
def test_the_sample_models_replies_are_read(cut: bool, end: str) -> None:
    told = ("m", ("a", " b", " c"), 7)
    streamed = pieces(*told, cut=cut, choices=2)
    events = b"".join(b"data: %b\n\n" % orjson.dumps(one) for one in streamed)
    array, plain = b"".join(as_array(streamed)), orjson.dumps(reply(*told, cut=cut, choices=2))
    for whole, is_stream in [(events, True), (array, False), (plain, False)]:
        reader = read(whole, [5], streamed=is_stream)
        assert (reader.usage, reader.finish_reason) == (Usage(7, 6), end)
        assert reader.response_model == "m"
