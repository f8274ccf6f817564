"""Reasoning in the text itself is hidden on every surface, however its bytes come."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.degrade.think import without_thinking
from tests.dialects.test_degrade_replies import HIDE, events, parsed, reader
from tests.support import reasoning_model as model

Body = dict[str, Any]
RESPONSES, MESSAGES, COMPLETE = "/v1/responses", "/v1/messages", "/v1/complete"
GEMINI = "/v1beta/models/m:streamGenerateContent"
SECRET = model.SECRET
TEXTS = [
    f"<think>{SECRET}</think>\n\nHello",
    f" \n<thinking>{SECRET}</thinking>Hello <think>x</think>",
    f"<thought>{SECRET}</thought> b",
    f"<think>{SECRET}, never closed",
    "<thing> is no mark",
    "<th",
    "Hello <think>later</think>",
    "Hello",
]


def response(pieces: list[str]) -> list[Body]:
    """The events of one message of one part."""
    text = "".join(pieces)
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [part]}
    whole = {"id": "resp_1", "object": "response", "output": [item], "output_text": text}
    found = [
        {"type": "response.created", "response": {**whole, "output": [], "output_text": ""}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **at, "text": text},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [{**one, "sequence_number": number} for number, one in enumerate(found)]


def block(index: int, pieces: list[str]) -> list[Body]:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return [
        {
            "type": "content_block_start",
            "index": index,
            "content_block": {"type": "text", "text": ""},
        },
        *({"type": "content_block_delta", "index": index, "delta": one} for one in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def message(pieces: list[str]) -> list[Body]:
    return [
        {"type": "message_start", "message": {"content": []}},
        *block(0, pieces),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]


def complete(pieces: list[str]) -> list[Body]:
    found = [{"type": "completion", "completion": one, "stop_reason": None} for one in pieces]
    return [*found, {"type": "completion", "completion": "", "stop_reason": "stop_sequence"}]


def gemini(pieces: list[str], index: int = 0) -> list[Body]:
    def one(parts: list[Body], **more: str) -> Body:
        return {"candidates": [{"index": index, "content": {"parts": parts}, **more}]}

    return [*(one([{"text": piece}]) for piece in pieces), one([], finishReason="STOP")]


def said(path: str, found: list[Body]) -> str:
    """The text that a client puts together."""
    if path == RESPONSES:
        return "".join(one["delta"] for one in found if one["type"].endswith("text.delta"))
    if path == MESSAGES:
        deltas = [one["delta"] for one in found if one["type"] == "content_block_delta"]
        return "".join(delta["text"] for delta in deltas)
    if path == COMPLETE:
        return "".join(one["completion"] for one in found)
    candidates = [candidate for one in found for candidate in one["candidates"]]
    return "".join(part["text"] for one in candidates for part in one["content"]["parts"])


STREAMS: dict[str, Callable[[list[str]], list[Body]]] = {
    RESPONSES: response,
    MESSAGES: message,
    COMPLETE: complete,
    GEMINI: gemini,
}


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def degraded(path: str, found: list[Body], *, ends: bool = True) -> list[Body]:
    one = reader(path, HIDE)
    raw = one.feed(events(found, named="type" in found[0]))
    return parsed(raw + one.finish() if ends else raw)


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_marks_may_be_split_anywhere(path: str, text: str, size: int) -> None:
    got = degraded(path, STREAMS[path](cut(text, size)), ends=False)
    assert said(path, got) == without_thinking(text)
    assert SECRET not in json.dumps(got)


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("text", ["<th", " <", "<think", TEXTS[0], TEXTS[3]])
def test_what_was_held_back_comes_when_a_stream_breaks_off(path: str, text: str) -> None:
    whole = STREAMS[path](cut(text, 2))
    end = next(
        place
        for place, one in enumerate(whole)
        if one.get("type") in {"response.output_text.done", "content_block_stop"}
        or one.get("stop_reason")
        or one.get("candidates", [{}])[0].get("finishReason")
    )
    assert said(path, degraded(path, whole[:end])) == without_thinking(text)


@pytest.mark.parametrize("text", TEXTS)
def test_all_events_of_a_response_tell_the_same_text(text: str) -> None:
    found = degraded(RESPONSES, response(cut(text, 3)))
    got = {one["type"].removeprefix("response."): one for one in found}
    seen = without_thinking(text)
    assert got["output_text.done"]["text"] == seen
    assert got["content_part.done"]["part"]["text"] == seen
    assert got["output_item.done"]["item"]["content"][0]["text"] == seen
    assert got["completed"]["response"]["output"][0]["content"][0]["text"] == seen
    assert got["completed"]["response"]["output_text"] == seen
    numbers = [one["sequence_number"] for one in found]
    assert numbers == sorted(set(numbers))


def test_each_part_of_a_response_begins_for_itself() -> None:
    """Two items at once, each with its own state; the second one's beginning comes with its part."""
    first, second = response([TEXTS[0]]), response(["nk>", SECRET, "</think>", "World"])
    for one in second:
        one["output_index"] = 1
    second[2]["part"] = {**second[2]["part"], "text": "<thi"}
    found = degraded(
        RESPONSES, [first[0], *first[1:3], *second[1:3], first[3], *second[3:7], *first[4:]]
    )
    deltas = [one for one in found if one["type"] == "response.output_text.delta"]
    assert [(one["output_index"], one["delta"]) for one in deltas] == [(0, "Hello"), (1, "World")]
    added = [one for one in found if one["type"] == "response.content_part.added"]
    assert [one["part"]["text"] for one in added] == ["", ""]
    assert SECRET not in json.dumps(found[:-6])


def test_a_held_beginning_comes_before_the_end_whichever_event_tells_of_it() -> None:
    """Some servers end a text with its item, or with the response alone."""
    found = response(["<th"])
    for kept in ((4, 5, 6, 7), (5, 6, 7), (6, 7), (7,)):
        some = [*found[:4], *(found[place] for place in kept)]
        got = degraded(RESPONSES, some, ends=False)
        assert said(RESPONSES, got) == "<th"
        assert got[3]["type"] == "response.output_text.delta"
        assert (got[3]["item_id"], got[3]["sequence_number"]) == ("msg_1", 3)


@pytest.mark.parametrize("text", [*TEXTS, f"<think>{SECRET}</think>{'Hello ' * 20}"])
@pytest.mark.parametrize("size", [1, 4])
def test_a_resumed_response_shows_nothing_of_its_reasoning(text: str, size: int) -> None:
    """`starting_after` may name any event. What comes is an end of the text that may be seen."""
    whole = response(cut(text, size))
    seen = without_thinking(text)
    for after in range(1, len(whole) - 5):
        one = reader("/v1/responses/resp_1", HIDE, method="GET")
        got = parsed(one.feed(events(whole[after:], named=True)) + one.finish())
        assert SECRET not in json.dumps(got)
        assert seen.endswith(said(RESPONSES, got))
        if after <= 2 or text == seen:
            left = cut(text, size)[max(0, after - 3) :]
            assert said(RESPONSES, got) == (seen if after <= 2 else "".join(left))


def test_blocks_are_numbered_anew_without_those_of_reasoning_alone() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    found = [
        {"type": "message_start", "message": {"content": []}},
        *block(0, ["<think>", SECRET]),
        *block(1, ["<think>x</think>", "Hello"]),
        {"type": "content_block_start", "index": 2, "content_block": tool},
        {"type": "content_block_stop", "index": 2},
        *block(3, ["<th"]),
        *block(4, []),
    ]
    got = degraded(MESSAGES, found)
    told = [(one["type"][14:], one["index"]) for one in got[1:]]
    text = ["start", "delta", "stop"]
    assert [kind for kind, _ in told] == [*text, "start", "stop", *text, "start", "stop"]
    assert [index for _, index in told] == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert said(MESSAGES, got) == "Hello<th"


def test_a_citation_may_come_before_the_first_word() -> None:
    start, delta, stop = block(0, ["Hello"])
    cited = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "citations_delta", "citation": {}},
    }
    assert degraded(MESSAGES, [start, cited, delta, stop]) == [start, cited, delta, stop]


def test_each_candidate_begins_for_itself() -> None:
    one, other = gemini(cut(TEXTS[0], 4)), gemini(cut("World", 1), index=1)
    mixed = [piece for pair in zip(one, other, strict=False) for piece in pair]
    mixed += one[len(other) :] + other[len(one) :]
    got = degraded(GEMINI, mixed)
    for index, wanted in ((0, "Hello"), (1, "World")):
        own = [piece for piece in got if piece["candidates"][0]["index"] == index]
        assert said(GEMINI, own) == wanted
        assert own[-1]["candidates"][0]["finishReason"] == "STOP"


def test_a_held_beginning_ends_an_array_that_breaks_off() -> None:
    one = reader("/v1beta/models/m:streamGenerateContent", HIDE, streamed=False)
    got = one.feed(json.dumps(gemini(["<th"])[:1]).encode()[:-1]) + one.finish()
    assert said(GEMINI, json.loads(got)) == "<th"


INLINE: Body = {"model": "inline"}
PLAIN = {
    "/v1/chat/completions": model.chat(INLINE),
    "/v1/completions": model.completion(INLINE),
    RESPONSES: model.response(INLINE),
    MESSAGES: model.message(INLINE),
    COMPLETE: model.complete(INLINE),
    "/v1beta/models/m:generateContent": model.gemini_whole("inline"),
}


@pytest.mark.parametrize(("path", "body"), list(PLAIN.items()))
def test_a_plain_answer(path: str, body: Body) -> None:
    one = reader(path, HIDE, streamed=False, stream=False)
    got = one.feed(json.dumps(body).encode()) + one.finish()
    assert SECRET.encode() not in got
    assert b"think>" not in got
    assert got.count(model.TEXT.encode()) == 1
    assert "reasoning" in one.touched


@pytest.mark.parametrize(
    ("path", "line"),
    [
        *(
            ("/v1/files/f/content", {"response": {"body": PLAIN[path]}})
            for path in ("/v1/chat/completions", "/v1/completions", RESPONSES)
        ),
        ("/v1/messages/batches/b/results", {"result": {"message": PLAIN[MESSAGES]}}),
        ("/v1beta/files/f:download", {"response": model.gemini_whole("inline")}),
    ],
)
def test_a_stored_answer(path: str, line: Body) -> None:
    """Results of batches, in lines."""
    one = reader(path, HIDE, streamed=False, method="GET")
    got = one.feed(json.dumps(line).encode()) + one.finish()
    assert SECRET.encode() not in got
    assert model.TEXT.encode() in got


def test_items_that_are_read_later() -> None:
    items = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": TEXTS[0]}]},
        {"type": "message", "role": "assistant", "content": TEXTS[0]},
        response([TEXTS[0]])[6]["item"],
    ]
    one = reader("/v1/conversations/conv_1/items", HIDE, streamed=False, method="GET")
    got = json.loads(one.feed(json.dumps({"data": items}).encode()) + one.finish())["data"]
    assert got[0] == items[0]  # the caller's own words
    assert got[1]["content"] == got[2]["content"][0]["text"] == "Hello"
