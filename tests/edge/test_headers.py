"""Which headers go on, and which bytes are refused because two readers could differ."""

from __future__ import annotations

import pytest

from proxy.edge.headers import for_client, for_upstream, malformed
from proxy.head import RawHeaders


def upstream(raw: RawHeaders, drop: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in for_upstream(raw, drop)]


def test_end_to_end_headers_keep_order_case_and_copies() -> None:
    raw = (
        (b"X-B", b"1"),
        (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        (b"x-a", b"2"),
        (b"X-B", b"3"),
    )
    assert upstream(raw) == [(name.decode(), value.decode()) for name, value in raw]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "keep-alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "HTTP2-Settings",
        "Host",
        "Content-Length",
        "Expect",
    ],
)
def test_what_concerns_one_hop_stays_behind(name: str) -> None:
    raw = ((name.encode(), b"x"), (b"Accept", b"*/*"))
    assert upstream(raw) == [("Accept", "*/*")]


@pytest.mark.parametrize(
    "name", ["X-Original-URL", "x-rewrite-url", "X-Original-Uri", "X-OVERRIDE-URL"]
)
def test_another_path_than_the_one_judged_stays_behind(name: str) -> None:
    raw = ((name.encode(), b"/v1/files"), (b"X-Original-Host", b"api.example"))
    assert upstream(raw) == [("X-Original-Host", "api.example")]


def test_headers_that_connection_names_stay_behind_on_both_legs() -> None:
    raw = ((b"Connection", b"close, X-Hop"), (b"connection", b"x-other"), (b"X-HOP", b"1"))
    raw += ((b"X-Other", b"2"), (b"X-Kept", b"3"))
    assert upstream(raw) == [("X-Kept", "3")]
    assert for_client(raw) == [(b"X-Kept", b"3")]


def test_named_headers_are_dropped_whatever_their_case() -> None:
    assert upstream(((b"X-API-Key", b"secret"), (b"A", b"b")), ("x-api-key",)) == [("A", "b")]


def test_a_header_of_ours_takes_the_place_of_all_of_its_name() -> None:
    raw = ((b"A", b"1"), (b"accept-encoding", b"gzip"), (b"B", b"2"), (b"Accept-Encoding", b"br"))
    assert for_upstream(raw, (), (("Accept-Encoding", "identity"), ("X-New", "3"))) == [
        (b"A", b"1"),
        (b"Accept-Encoding", b"identity"),
        (b"B", b"2"),
        (b"X-New", b"3"),
    ]


def test_the_reply_keeps_its_length_and_loses_a_forged_request_id() -> None:
    raw = ((b"Content-Length", b"5"), (b"X-Excise-Request-Id", b"forged"))
    assert for_client(raw) == [(b"Content-Length", b"5")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Authorization", b"Bearer sk-al\xfftered"),
        (b"Authorization", "Bearer sk-\u00e4".encode()),
        (b"X-Api-Key", b"a\x00b"),
        (b"Content-Encoding", b"g\xffzip"),
        (b"X-Free", b"\xff\xfe"),
        (b"X-Free", b"a\x01b"),
        (b"X-Free", b"a\x7fb"),
    ],
)
def test_bytes_that_readers_map_differently_are_refused(name: bytes, value: bytes) -> None:
    assert malformed(((b"Host", b"x"), (name, value))) is not None


def test_valid_utf8_in_a_header_nobody_decides_by_passes() -> None:
    assert malformed(((b"X-Title", "Grüße 你好".encode()), (b"Authorization", b"Bearer k"))) is None
