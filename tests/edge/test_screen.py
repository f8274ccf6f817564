"""Heads that two HTTP readers could understand differently never reach the policy."""

from __future__ import annotations

import pytest

from proxy.edge.screen import screen
from proxy.head import Head

HOST = (b"Host", b"api.example.com")


def head(method: str = "POST", path: str = "/v1/x", query: str = "", headers=(HOST,)) -> Head:  # type: ignore[no-untyped-def]
    return Head(method, path, query, tuple(headers), "192.0.2.1")


@pytest.mark.parametrize("version", [(1, 0), (1, 1)])
def test_a_sound_head_passes(version: tuple[int, int]) -> None:
    assert screen(head(), version) is None


@pytest.mark.parametrize(
    ("given", "version", "status"),
    [
        (head(), (0, 9), 505),
        (head(), (2, 0), 505),
        (head("TRACE"), (1, 1), 405),
        (head("CONNECT", "api.example.com:443"), (1, 1), 405),
        (head("post"), (1, 1), 405),
        (head(path="http://other.example/v1/x"), (1, 1), 400),
        (head(path="*"), (1, 1), 400),
        (head(path="/v1/é"), (1, 1), 400),
        (head(path="/v1/#x"), (1, 1), 400),
        (head(query="a=é"), (1, 1), 400),
        (head("GET", query="$httpMethod=POST"), (1, 1), 400),
        (head(query="alt=sse&%24ct=application/x-protobuf"), (1, 1), 400),
        (head("GET", headers=(HOST, (b"X-HTTP-Method-Override", b"POST"))), (1, 1), 400),
        (head("GET", headers=(HOST, (b"X-HTTP-Method", b"POST"))), (1, 1), 400),
        (head("GET", headers=(HOST, (b"X-Method-Override", b"POST"))), (1, 1), 400),
        (head("GET", headers=(HOST, (b"X_Team", b"a"))), (1, 1), 400),
        (head("GET", headers=(HOST, (b"Content-Length", b"10"))), (1, 1), 400),
        (head("DELETE", headers=(HOST, (b"transfer-encoding", b"chunked"))), (1, 1), 400),
        (head(headers=()), (1, 1), 400),
        (head(headers=(HOST, HOST)), (1, 1), 400),
        (head(headers=(HOST, (b"Authorization", b"\xff"))), (1, 1), 400),
    ],
)
def test_an_ambiguous_head_is_refused_and_its_connection_closed(
    given: Head, version: tuple[int, int], status: int
) -> None:
    refusal = screen(given, version)
    assert refusal is not None
    assert (refusal.status, refusal.close) == (status, True)


@pytest.mark.parametrize("length", [b"0", b"000", b" 0 "])
def test_a_body_of_no_bytes_is_none(length: bytes) -> None:
    # aiohttp's client, under google-genai's, says so in a DELETE.
    assert screen(head("DELETE", headers=(HOST, (b"Content-Length", length))), (1, 1)) is None


def test_http_1_0_needs_no_host() -> None:
    assert screen(head(headers=()), (1, 0)) is None
