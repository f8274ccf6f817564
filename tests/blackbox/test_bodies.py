"""What was judged is what goes on, byte for byte; what could be read in two ways goes nowhere."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: roomy, kind: rate_limit, per: api_key, limit: 100000/minute, burst: 10000, action: throttle}
"""
MESSAGES = b'"messages":[{"role":"user","content":"hello"}]'
CHAT = b'{"model":"m",' + MESSAGES + b"}"
PATHS = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": b'{"model":"m","max_tokens":5,' + MESSAGES + b"}",
    "/v1beta/models/m:generateContent": b'{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}',
    "/v1/responses": b'{"model":"m","input":"hello"}',
    "/v1/completions": b'{"model":"m","prompt":"hello"}',
    "/v1/embeddings": b'{"model":"m","input":"hello"}',
}


def inside(extra: bytes, body: bytes = CHAT) -> bytes:
    return body[:-1] + b"," + extra + b"}"


HOSTILE = {
    "a key twice": inside(b'"model":"other"'),
    "a key twice under an escape": inside(b'"mo\\u0064el":"other"'),
    "a key twice deep inside": inside(b'"metadata":{"a":[{"b":1,"b":2}]}'),
    "a key twice under an escape deep inside": inside(b'"metadata":{"a":{"b":1,"\\u0062":2}}'),
    "NaN": inside(b'"temperature":NaN'),
    "Infinity": inside(b'"temperature":Infinity'),
    "minus Infinity": inside(b'"temperature":-Infinity'),
    "an integer of 5,000 digits": inside(b'"seed":' + b"9" * 5000),
    "a number beyond doubles": inside(b'"seed":1e309'),
    "an integer beyond doubles": inside(b'"seed":-' + b"9" * 400),
    "a number with a plus": inside(b'"seed":+1'),
    "a number with a zero before": inside(b'"seed":01'),
    "a number in hex": inside(b'"seed":0x10'),
    "half a surrogate pair": inside(b'"user":"\\ud800"'),
    "half a surrogate pair as a key": inside(b'"\\udc00":1'),
    "a surrogate in UTF-8": inside(b'"user":"\xed\xa0\x80"'),
    "an overlong slash": inside(b'"user":"\xc0\xaf"'),
    "not UTF-8": inside(b'"user":"\xff"'),
    "a byte order mark": b"\xef\xbb\xbf" + CHAT,
    "UTF-16": CHAT.decode().encode("utf-16"),
    "UTF-16 without its mark": CHAT.decode().encode("utf-16-le"),
    "UTF-32": CHAT.decode().encode("utf-32"),
    "something behind": CHAT + b"x",
    "a second value": CHAT + CHAT,
    "a second value on a line of its own": CHAT + b"\n" + CHAT,
    "NUL behind": CHAT + b"\x00",
    "a record separator before": b"\x1e" + CHAT,
    "a comment": inside(b'/* "model":"other" */"a":1'),
    "a line comment": b"// x\n" + CHAT,
    "a comma too many": CHAT[:-1] + b",}",
    "single quotes": CHAT.replace(b'"', b"'"),
    "a key without quotes": CHAT.replace(b'"model"', b"model"),
    "a raw control character": inside(b'"user":"a\nb"'),
    "an escape that is none": inside(b'"user":"\\x41"'),
    "other white space": CHAT.replace(b",", b",\xc2\xa0"),
    "a form feed": CHAT.replace(b",", b",\x0c"),
    "too deep": inside(b'"metadata":' + b"[" * 300 + b"]" * 300),
    "too many values": inside(b'"metadata":[' + b"0," * 120_000 + b"0]"),
    "no object": b"[" + CHAT + b"]",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_what_is_read_in_one_way_goes_on_byte_for_byte(
    excise: Excise, upstream: Recorder, path: str
) -> None:
    plain = PATHS[path]
    odd = b' \r\n\t{ "x_unknown" : "\\u00e9\\ud83d\\ude00 \xc3\xa9" , ' + plain[1:-1] + b" }\n"
    for body in (plain, odd):
        assert call(excise, "POST", path, body)[0] == 200
    assert [sent.body for sent in upstream.requests] == [plain, odd]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_read_in_two_ways_goes_nowhere(
    excise: Excise, upstream: Recorder, path: str, name: str
) -> None:
    plain = PATHS[path]
    body = HOSTILE[name]
    if CHAT in body:
        body = body.replace(CHAT, plain)
    elif body.startswith(CHAT[:-1]):
        # A key that stands there twice must be one that this path has.
        key = (json.loads(plain).keys() & {"model"} and b'"model"') or b'"contents"'
        body = plain[:-1] + body[len(CHAT) - 1 :]
        body = body.replace(b'"model":"other"', key + b':"other"')
        if key == b'"contents"':
            body = body.replace(b'"mo\\u0064el"', b'"cont\\u0065nts"')
    status, _ = call(excise, "POST", path, body)
    assert status == 400
    assert upstream.requests == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", gzip.compress(CHAT)),
        ("x-gzip", gzip.compress(CHAT)),
        ("deflate", zlib.compress(CHAT)),
        ("br", CHAT),
        ("zstd", CHAT),
        ("identity, gzip", gzip.compress(CHAT)),
        ("GZIP", gzip.compress(CHAT)),
        ("unheard-of", CHAT),
    ],
)
def test_a_compressed_body_is_refused_unread(
    excise: Excise, upstream: Recorder, path: str, encoding: str, encoded: bytes
) -> None:
    headers = ("Content-Type: application/json", f"Content-Encoding: {encoding}")
    assert call(excise, "POST", path, encoded, headers=headers)[0] == 400
    assert upstream.requests == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-7",
        "application/x-protobuf",
        "application/xml",
        "application/cbor",
        "application/json, text/plain",
    ],
)
def test_another_content_type_is_refused(
    excise: Excise, upstream: Recorder, path: str, kind: str
) -> None:
    status, _ = call(excise, "POST", path, PATHS[path], headers=(f"Content-Type: {kind}",))
    assert status == 400
    assert upstream.requests == []


def test_no_content_type_is_read_as_json_and_one_given_twice_is_refused(
    excise: Excise, upstream: Recorder
) -> None:
    assert call(excise, "POST", "/v1/chat/completions", CHAT, headers=())[0] == 200
    twice = ("Content-Type: application/json", "Content-Type: application/json")
    assert call(excise, "POST", "/v1/chat/completions", CHAT, headers=twice)[0] == 400
    assert len(upstream.requests) == 1


def test_nothing_of_a_refused_body_is_told_or_kept(excise: Excise) -> None:
    body = inside(b'"sk-in-the-body":1,"sk-in-the-body":2')
    assert b"sk-in-the-body" not in call(excise, "POST", "/v1/chat/completions", body)[1]
    excise.wait_for("request", reason="duplicate_key")
    assert "sk-in-the-body" not in excise.log_text
