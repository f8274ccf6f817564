"""What the headers say of a body decides whether it is read at all."""

from __future__ import annotations

import pytest

from proxy.dialects.carriage import refuse_other_encodings
from proxy.dialects.jsonbody import UnreadableBody
from proxy.head import Head


def types(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"Content-Type", value) for value in values]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        types(b"application/json"),
        types(b"Application/JSON"),
        types(b"application/json; charset=utf-8"),
        types(b'application/json;charset="UTF-8"'),
        types(b"application/json;"),
        types(b"application/vnd.api+json"),
        [(b"content-encoding", b"identity")],
    ],
)
def test_json_in_utf8_is_read(headers: list[tuple[bytes, bytes]]) -> None:
    refuse_other_encodings(Head("POST", "/v1/chat/completions", "", tuple(headers), ""))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (types(b"application/json; charset=utf-7"), "content_type"),
        (types(b"application/json; charset=utf-16"), "content_type"),
        (types(b"application/json; charset=utf-8; charset=utf-7"), "content_type"),
        (types(b"multipart/form-data; boundary=x"), "content_type"),
        (types(b"application/x-www-form-urlencoded"), "content_type"),
        (types(b"text/plain"), "content_type"),
        (types(b""), "content_type"),
        (types(b"application/json", b"application/json"), "content_type"),
        ([(b"Content-Encoding", b"gzip")], "content_encoding"),
        ([(b"CONTENT-ENCODING", b"identity, br")], "content_encoding"),
        ([(b"Content-Encoding", b"")], "content_encoding"),
    ],
)
def test_what_another_reader_would_decode_is_not(
    headers: list[tuple[bytes, bytes]], reason: str
) -> None:
    with pytest.raises(UnreadableBody) as raised:
        refuse_other_encodings(Head("POST", "/v1/chat/completions", "", tuple(headers), ""))
    assert raised.value.reason == reason
