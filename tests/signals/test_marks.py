"""Marks: known relays and pipelines are told by how they write, and a table tells its own mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.dialects.openai_chat import OPENAI_CHAT
from proxy.head import Head, RawHeaders
from proxy.policy.yamltree import read_tree
from proxy.signals.marks import MarkTable, read_marks

LIBRARY = Path(__file__).parents[2] / "policies/library/marks"


def table(file: str) -> MarkTable:
    tree = read_tree((LIBRARY / file).read_text(encoding="utf-8"), file)
    made = read_marks(tree.data, tree.mistake)
    assert tree.mistakes == []
    return made


RELAYS = table("relays.yaml")

GO: RawHeaders = (
    (b"Host", b"x"),
    (b"User-Agent", b"Go-http-client/1.1"),
    (b"Content-Length", b"9"),
    (b"Accept", b"application/json"),
    (b"Authorization", b"Bearer k"),
    (b"Content-Type", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
)
SDK: RawHeaders = (
    (b"Host", b"x"),
    (b"Accept-Encoding", b"gzip"),
    (b"Connection", b"keep-alive"),
    (b"Accept", b"application/json"),
    (b"User-Agent", b"OpenAI/Python 2.8"),
    (b"X-Stainless-Lang", b"python"),
)
CLI: RawHeaders = (
    (b"Host", b"x"),
    (b"User-Agent", b"claude-cli/2.0.1 (external, cli)"),
    (b"X-Stainless-Lang", b"js"),
    (b"X-Stainless-Runtime", b"node"),
)


def found(headers: RawHeaders, body: dict[str, Any]) -> tuple[str, ...]:
    raw = json.dumps(body, separators=(",", ":")).encode()
    return RELAYS.find(
        Head("POST", "/", "", headers, ""), OPENAI_CHAT.read(raw, "/v1/chat/completions").ask, raw
    )


def chat(text: str = "Why is the sky blue?", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "model": "m", **fields}


@pytest.mark.parametrize(
    ("headers", "body", "marks"),
    [
        (GO, chat("Output only your specific model name with no additional text."), "both"),
        (GO, chat(), "one-api"),
        (GO, chat("hi", max_tokens=16), "one-api new-api-probe"),
        (SDK, chat("hi", max_tokens=16), ""),
        (SDK, chat(), ""),
        ((*GO, (b"X-Team", b"a")), chat(), ""),
        (CLI, {"max_tokens": 9, "messages": [], "model": "m", "stream": True}, "sub2api"),
        (CLI, {"model": "m", "messages": [], "max_tokens": 9}, ""),
    ],
)
def test_relays_are_told_by_their_hand(
    headers: RawHeaders, body: dict[str, Any], marks: str
) -> None:
    both = {"both": "one-api-probe one-api"}
    assert found(headers, body) == tuple(both.get(marks, marks).split())


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ([{"source": "x", "json": "compact"}], "needs a `name`"),
        ([{"name": "a", "json": "compact"}], "needs a `source`"),
        ([{"name": "a", "source": "x"}], "at least one condition"),
        ([{"name": "a", "source": "x", "jsn": "compact"}], "is no condition"),
        ([{"name": "a", "source": "x", "json": "neat"}], "must be compact"),
        ([{"name": "a", "source": "x", "temperature": True}], "must be a number"),
        ([{"name": "a", "source": "x", "logit_bias": []}], "tokens and their weights"),
        ([{"name": "a", "source": "x", "prompt": "x" * 401}], "at most 400 characters"),
        ([{"name": "a", "source": "x", "headers": [1]}], "a word or a list of words"),
        ([{"name": "a", "source": "x", "top_p": 1}] * 2, "stands here twice"),
        ("none", "must be a list"),
        (["a"], "holds named fields"),
    ],
)
def test_a_table_tells_its_mistakes(marks: Any, words: str) -> None:
    told: list[str] = []
    read_marks({"version": 1, "marks": marks}, lambda _, said, *__, **___: told.append(said))
    assert len(told) == 1
    assert words in told[0]


def test_a_table_of_no_version_is_none() -> None:
    told: list[str] = []
    for data in ([], {"marks": []}, {"version": True, "marks": []}):
        assert read_marks(data, lambda _, said, *__, **___: told.append(said)).marks == ()
    assert told == ["a table of marks begins with `version: 1`"] * 3


def test_every_shipped_mark_says_where_it_is_known_from() -> None:
    for one in (RELAYS, table("pipelines.yaml")):
        assert one.marks
        assert all("/" in source for source in one.sources.values())
