"""What a test sends: when, by whom, in whose hand, and in which dialect."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.client.credentials import find_key
from proxy.dialects.routes import dialect, find_route
from proxy.replay.records import Record
from proxy.scenarios.traffic import Traffic
from tests.scenarios.suites import loaded


def records(folder: Path, steps: str, more: str = "") -> list[Record]:
    suite = loaded(
        folder,
        f"policy: policy.yaml\n{more}\ntests: [{{name: a, expect: {{status: 200}}, steps: [{steps}]}}]",
    )
    traffic = Traffic(suite.suite.tests[0], suite.accounts, suite.suite.defaults)
    return list(traffic.records())


def body(record: Record) -> Any:
    return json.loads(record.body)


def test_each_request_takes_its_time_and_steps_follow_each_other(tmp_path: Path) -> None:
    steps = "{send: {key: a}, times: 3, every: 2s}, {wait: 1h}, {send: {key: b}}"
    sent = records(tmp_path, f"{steps}, {{send: {{key: c}}, every: 0, times: 2}}")
    assert [record.t for record in sent] == [0, 2, 4, 3606, 3607, 3607]
    assert [record.number for record in sent] == [0, 1, 2, 3, 4, 5]


def test_drawn_gaps_keep_to_their_ends_and_are_the_same_in_each_run(tmp_path: Path) -> None:
    step = "{send: {key: a}, times: 200, every: [2s, 10s]}"
    sent = [record.t for record in records(tmp_path, step)]
    gaps = [after - before for before, after in itertools.pairwise(sent)]
    assert 2 <= min(gaps) < 3
    assert 9 < max(gaps) <= 10
    assert sent == [record.t for record in records(tmp_path, step)]


def test_bursts_that_begin_together_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    bursts = "[{send: {key: a}, times: 3, every: 4s}, {send: {key: b}, times: 4, every: 3s}]"
    sent = records(tmp_path, f"{{together: {bursts}}}, {{send: {{key: c}}}}")
    keys = [(record.t, find_key(record.head)) for record in sent]
    assert keys == [
        (0, b"a"), (0, b"b"), (3, b"b"), (4, b"a"), (6, b"b"), (8, b"a"), (9, b"b"), (12, b"c"),
    ]  # fmt: skip


def test_a_conversation_goes_on_with_what_its_own_caller_said(tmp_path: Path) -> None:
    sent = records(tmp_path, '{send: {key: [a, b], conversation: 3, prompt: "say {n}"}, times: 8}')
    said = [
        [turn["content"] for turn in body(record)["messages"] if turn["role"] == "user"]
        for record in sent
    ]
    assert said == [
        ["say 1"], ["say 2"], ["say 1", "say 3"], ["say 2", "say 4"],
        ["say 1", "say 3", "say 5"], ["say 2", "say 4", "say 6"], ["say 7"], ["say 8"],
    ]  # fmt: skip
    roles = [turn["role"] for turn in body(sent[4])["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("to", "header"),
    [
        ("/v1/chat/completions", b"Authorization"),
        ("/v1/responses", b"Authorization"),
        ("/v1/messages", b"x-api-key"),
        ("/v1beta/models/m:generateContent", b"x-goog-api-key"),
    ],
)
def test_shorthands_are_read_as_what_they_say_in_each_dialect(
    to: str, header: bytes, tmp_path: Path
) -> None:
    gemini = "generateContent" in to
    more = "" if gemini else ", end_user: u-1, stream: true"
    send = f"to: {to}, key: sk-a, model: m-1, system: Be short., prompt: Why so"
    more += ", max_tokens: 9, conversation: 2"
    first, second = records(tmp_path, f"{{send: {{{send}{more}}}, times: 2}}")
    route = find_route("POST", to)
    for record, turns in ((first, 1), (second, 3)):
        ask = dialect(route.dialect).read(record.body, to).ask
        said = [turn for turn in ask.turns if turn.role in {"user", "assistant"}]
        assert len(said) == turns
        assert said[-1].text == "Why so"
        assert ask.system == "Be short."
        assert ask.max_output_tokens == 9
        assert gemini or ask.model == "m-1"
        assert gemini or (ask.end_user == "u-1" and ask.stream)
    assert find_key(first.head) == b"sk-a"
    assert header in [name for name, _ in first.head.headers]


def test_a_body_as_text_is_sent_as_it_stands(tmp_path: Path) -> None:
    (sent,) = records(tmp_path, """{send: {key: a, body: '{"n": 1, "n": {n}}'}}""")
    assert sent.body == b'{"n": 1, "n": 1}'


def test_fields_of_a_body_join_those_of_the_shorthands_and_of_the_defaults(tmp_path: Path) -> None:
    defaults = "defaults: {key: sk-d, model: m-d, body: {temperature: 1.0, top_p: 0.5}}"
    (sent,) = records(
        tmp_path,
        "{send: {account: acme, prompt: hi, body: {top_p: 0.9}}}",
        f"{defaults}\naccounts: [{{account: acme}}]",
    )
    assert body(sent) == {
        "model": "m-d",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 1.0,
        "top_p": 0.9,
    }
    assert sent.declared is not None
    assert sent.declared.account == "acme"
    assert find_key(sent.head) == b"sk-of-acme"


def test_programs_write_in_their_own_hand_and_headers_stand_in_their_place(tmp_path: Path) -> None:
    headers = "{User-Agent: me/1, x-extra: 'y{n}'}"
    send = f"{{key: a, prompt: hi, client: [go, curl], headers: {headers}}}"
    go, curl = records(tmp_path, f"{{send: {send}, times: 2}}")
    assert [name for name, _ in go.head.headers][:2] == [b"Host", b"User-Agent"]
    assert dict(go.head.headers)[b"User-Agent"] == b"me/1"
    assert go.head.headers[-1] == (b"x-extra", b"y1")
    assert b'"model":"model-large"' in go.body
    assert b'"model": "model-large"' in curl.body
    length = dict(go.head.headers)[b"Content-Length"]
    assert int(length) == len(go.body)


def test_a_request_without_a_body_says_nothing_of_one(tmp_path: Path) -> None:
    (sent,) = records(tmp_path, "{send: {to: /v1/models, method: GET, key: a}}")
    assert sent.body == b""
    names = {name.lower() for name, _ in sent.head.headers}
    assert not names & {b"content-length", b"content-type"}
    assert b"authorization" in names
