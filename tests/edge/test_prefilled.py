"""A request that ends within the reasoning of its answer shows none of it, plain and streamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.degrade.think import left_open, without_thinking
from tests.support.inside import excise_inside, post
from tests.support.raw_upstream import LAST_CHUNK, STREAM_HEAD, Call, chunk, plain, raw_upstream

POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: d, kind: expression, per: address, expr: "true", action: {degrade: [hide_reasoning]}}
"""
SAID = ["SECRET ", "steps</th", "ink>\n\nans", "wer"]


def turns(text: str, role: str = "assistant", **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "q"}, {"role": role, "content": text, **more}]


def chat(texts: list[str], *, streamed: bool) -> list[Any]:
    kind = "delta" if streamed else "message"
    return [{"choices": [{"index": 0, kind: {"content": text}}]} for text in texts]


def legacy(texts: list[str], *, streamed: bool) -> list[Any]:
    return [{"choices": [{"index": 0, "text": text}]} for text in texts]


def message(texts: list[str], *, streamed: bool) -> list[Any]:
    if not streamed:
        return [{"type": "message", "content": [{"type": "text", "text": texts[0]}]}]
    begun = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
    said = [{"type": "text_delta", "text": text} for text in texts]
    deltas = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in said]
    return [begun, *deltas, {"type": "content_block_stop", "index": 0}]


def gemini(texts: list[str], *, streamed: bool) -> list[Any]:
    return [{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in texts]


OPEN = "<think>\nFirst, "
CASES = [
    ("/v1/chat/completions", {"messages": turns("<think>\n", prefix=True)}, chat),
    ("/v1/chat/completions", {"messages": turns(OPEN), "continue_final_message": True}, chat),
    ("/v1/completions", {"prompt": f"Q: x\n{OPEN}"}, legacy),
    ("/v1/completions", {"prompt": [f"Q: x\n{OPEN}"]}, legacy),
    ("/v1/messages", {"max_tokens": 99, "messages": turns(OPEN)}, message),
    ("gemini", {}, gemini),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("path", "body", "form"), CASES)
async def test_an_answer_that_begins_within_its_reasoning_shows_none(
    tmp_path: Path, path: str, body: dict[str, Any], form: Any, streamed: bool
) -> None:
    body = {"model": "m", "stream": streamed, **body}
    if path == "gemini":
        path = f"/v1beta/models/m:{'streamG' if streamed else 'g'}enerateContent"
        path += "?alt=sse" if streamed else ""
        said = [("user", "q"), ("model", OPEN)]
        body = {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in said]}

    async def script(call: Call) -> None:
        if streamed:
            found = form(SAID, streamed=True)
            data = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in found)
            await call.send(STREAM_HEAD + chunk(data) + LAST_CHUNK)
        else:
            (found,) = form(["".join(SAID)], streamed=False)
            await call.send(plain(json.dumps(found).encode()))

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY) as excise,
    ):
        status, _, got = await excise.exchange(post(json.dumps(body).encode(), path))
        assert status == 200
        assert b"SECRET" not in got
        assert b"steps" not in got
        assert b"ans" in got
        assert b"wer" in got
        await excise.log.wait_for(degraded=["reasoning"])


@pytest.mark.parametrize(
    ("text", "closing"),
    [
        ("<think>", "</think>"),
        ("<think>\nLet me", "</think>"),
        ("<think>a</think> b <thinking>", "</thinking>"),
        ("<think>a</think> b", None),
        ("What is thought?", None),
    ],
)
def test_where_a_request_ends(text: str, closing: str | None) -> None:
    assert left_open(text) == closing


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("steps</think>\nanswer", "answer"),
        ("steps</thought>answer", "answer"),
        ("a <think>b</think> c", "a <think>b</think> c"),  # it speaks of the mark
        ("answer", "answer"),
    ],
)
def test_a_whole_answer_with_a_closing_mark_alone_has_begun_within_its_reasoning(
    text: str, seen: str
) -> None:
    assert without_thinking(text) == seen


@pytest.mark.parametrize("role", ["user", "system"])
async def test_what_others_say_of_the_mark_hides_nothing(tmp_path: Path, role: str) -> None:
    async def script(call: Call) -> None:
        await call.send(plain(json.dumps(chat(["answer"], streamed=False)[0]).encode()))

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY) as excise,
    ):
        body = {"model": "m", "messages": turns("Begin with <think>", role)}
        _, _, got = await excise.exchange(post(json.dumps(body).encode()))
        assert b"answer" in got
