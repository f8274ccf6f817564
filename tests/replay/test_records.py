"""Reading traffic: packed or plain, and every mistake told with its line and its field."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.replay import source as sources
from proxy.replay.records import read_records
from proxy.replay.source import Source, TrafficMistake
from tests.replay.traffic import line, records

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def test_what_was_sent_is_what_is_read(tmp_path: Path) -> None:
    (record,) = records(
        tmp_path,
        [
            line(
                1.5,
                "grüße",
                path="/v1/chat/completions?a=b",
                campaign="c1",
                declared={"account": "acme", "profile": "rag", "networks": ["10.0.0.0/8"]},
                response={"reasoning_tokens": 7, "duration": 2},
            )
        ],
    )
    assert (record.number, record.t, record.label, record.campaign) == (0, 1.5, "benign", "c1")
    assert (record.head.path, record.head.query) == ("/v1/chat/completions", "a=b")
    assert record.head.values(b"authorization") == [b"Bearer sk-one"]
    assert record.body.startswith(b'{"model":"m","messages":[{"role":"user","content":"gr')
    assert record.response.reasoning_tokens == 7
    assert record.declared is not None
    assert record.declared.declares("10.1.2.3")


def test_a_body_that_is_text_is_sent_as_it_is(tmp_path: Path) -> None:
    (record,) = records(tmp_path, [line(0, body='{"a": 1, "a": 2}')])
    assert record.body == b'{"a": 1, "a": 2}'


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_how_a_file_is_packed_is_told_by_its_bytes(tmp_path: Path, pack: Any) -> None:
    file = tmp_path / "traffic.dat"
    text = "".join(json.dumps(line(t)) + "\n" for t in range(3))
    file.write_bytes(pack(text.encode()))
    with Source(file) as source:
        assert [record.t for record in read_records(source)] == [0, 1, 2]
        assert source.size == source.read_bytes == file.stat().st_size


def test_several_packed_pieces_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    file = tmp_path / "traffic.jsonl.zst"
    pieces = [zstd.compress(json.dumps(line(t)).encode() + b"\n") for t in range(3)]
    file.write_bytes(b"".join(pieces))
    with Source(file) as source:
        assert [record.t for record in read_records(source)] == [0, 1, 2]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_packed_file_that_ends_too_early_is_told(tmp_path: Path, pack: Any) -> None:
    file = tmp_path / "traffic.jsonl"
    text = "".join(json.dumps(line(t, f"{t} " * 50)) + "\n" for t in range(300))
    packed = pack(text.encode())
    file.write_bytes(packed[: len(packed) // 2])
    with (
        Source(file) as source,
        pytest.raises(TrafficMistake, match=r"traffic.jsonl:\d+: the file"),
    ):
        list(read_records(source))


def test_standard_input_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BufferedReader(io.BytesIO(gzip.compress(json.dumps(line(4)).encode())))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    with Source(None) as source:
        assert [record.t for record in read_records(source)] == [4]
        assert source.size is None


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrafficMistake, match=r"nothing\.jsonl: cannot be read: No such file"):
        Source(tmp_path / "nothing.jsonl")


def test_a_line_without_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_LINE_BYTES", 1 << 20)
    file = tmp_path / "traffic.jsonl"
    file.write_bytes(b" " * (3 << 20))
    with Source(file) as source, pytest.raises(TrafficMistake, match=":1: longer than 1 MiB"):
        list(source.lines())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": -1}, "`t` must be seconds since the start"),
        ({"t": "1"}, "`t` must be seconds since the start"),
        ({"t": None}, "`t` must be seconds since the start"),
        ({"population": 5}, "`population` must be text of at most 256 characters"),
        ({"account": ""}, "`account` must be text of at most 256 characters"),
        ({"label": None}, "`label` must be one of benign, harvest, ambiguous"),
        ({"label": ["benign"]}, "`label` must be one of benign, harvest, ambiguous"),
        ({"label": "good"}, "`label` must be one of benign, harvest, ambiguous"),
        ({"campaign": 5}, "`campaign` must be text of at most 256 characters"),
        ({"address": None}, "`address` must be an IP address"),
        ({"address": "203.0.113.7:80"}, "`address` must be an IP address"),
        ({"address": "203.0.113.0/24"}, "`address` must be an IP address"),
        ({"address": "fe80::1%eth0"}, "`address` must be an IP address"),
        ({"address": "somewhere"}, "`address` must be an IP address"),
        ({"method": 1}, "`method` must be a word such as `POST`"),
        ({"method": "GET /"}, "`method` must be a word such as `POST`"),
        ({"method": ""}, "`method` must be a word such as `POST`"),
        ({"path": "v1/models"}, "`path` must begin with a slash"),
        ({"headers": {"a": "b"}}, "`headers` must be a list of [name, value]"),
        ({"headers": [["a"]]}, "`headers` must be a list of [name, value]"),
        ({"headers": [["a", 1]]}, "`headers` must be a list of [name, value]"),
        ({"headers": {"ab": 1}}, "`headers` must be a list of [name, value]"),
        ({"headers": ["ab"]}, "`headers` must be a list of [name, value]"),
        ({"headers": [["a b", "c"]]}, "`headers[0]` has a name that no header can have: 'a b'"),
        ({"headers": [["a", "b"], ["", "c"]]}, "`headers[1]` has a name that no header can have: ''"),
        ({"headers": [["a:", "c"]]}, "`headers[0]` has a name that no header can have: 'a:'"),
        ({"headers": [["ä", "c"]]}, "`headers[0]` has a name that no header can have: 'ä'"),
        ({"headers": [["a", "b"], ["c", "d\r\ne: f"]]}, "`headers[1]` has a value that no header can have"),
        ({"headers": [["a", "\0"]]}, "`headers[0]` has a value that no header can have"),
        ({"body": 5}, "`body` must be an object or a string"),
        ({"if_refused": 1}, "`if_refused` must be the number of an earlier line, from 0"),
        ({"if_refused": -1}, "`if_refused` must be the number of an earlier line, from 0"),
        ({"if_refused": True}, "`if_refused` must be the number of an earlier line, from 0"),
        ({"response": {"status": 99}}, "`response.status` must be an HTTP status"),
        ({"response": {"duration": -1}}, "`response.duration` must be seconds"),
        ({"response": {"output_tokens": 1.5}}, "`response.output_tokens` must be a number of tokens"),
        ({"declared": 1}, "`declared` must be an object"),
        ({"declared": {"account": "a", "profile": "x"}}, "`declared.profile` must be one of"),
        ({"declared": {"account": "a", "networks": ["x"]}}, "`declared.networks` cannot be read"),
        ({"declared": {"account": "a", "since": "June"}}, "`declared.since` cannot be read"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line_and_field(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrafficMistake) as raised:
        records(tmp_path, [line(0), line(1) | change])
    assert f"traffic.jsonl:2: {message}" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"t": 1,', ":1: is no JSON"), ("[]", ":1: must be an object"), ("5", "must be an object")],
)
def test_what_is_no_object_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "traffic.jsonl"
    file.write_text(text, encoding="utf-8")
    with Source(file) as source, pytest.raises(TrafficMistake, match=message):
        list(read_records(source))


def test_a_response_is_part_of_every_line(tmp_path: Path) -> None:
    one = line(0)
    del one["response"]
    with pytest.raises(TrafficMistake, match=":1: `response` must be an object"):
        records(tmp_path, [one])


def test_lines_that_go_back_in_time_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrafficMistake, match=r":3: `t` goes back, from 5 to 4\.9"):
        records(tmp_path, [line(0), line(5), line(4.9)])


def test_empty_lines_count_and_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "traffic.jsonl"
    file.write_text(f"{json.dumps(line(0))}\n\n{json.dumps(line(1))}\n\n", encoding="utf-8")
    with Source(file) as source:
        assert [record.number for record in read_records(source)] == [0, 2]


def test_what_headers_can_hold_is_read(tmp_path: Path) -> None:
    headers = [["x-Y_z!#$%&'*+.^`|~9", "a\tb: größe"], ["Empty", ""]]
    (record,) = records(tmp_path, [line(0, headers=headers)])
    assert record.head.headers == tuple((name.encode(), text.encode()) for name, text in headers)
    (record,) = records(tmp_path, [line(0, headers=[], address="::ffff:192.0.2.1")])
    assert (record.head.headers, record.head.peer) == ((), "::ffff:192.0.2.1")
