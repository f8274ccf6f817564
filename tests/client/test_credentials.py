"""One key a request, wherever the APIs carry it, judged on raw bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.client.credentials import (
    AMBIGUOUS,
    CREDENTIAL_HEADERS,
    MALFORMED,
    find_key,
    strip_key_parameter,
)
from proxy.edge.headers import DECIDING
from proxy.head import Head


def head(*headers: tuple[bytes, bytes], query: str = "") -> Head:
    return Head("POST", "/v1/x", query, headers, "192.0.2.1")


NAMES = (
    "Key",
    "KEY",
    "api-key",
    "api_key",
    "API_Key",
    "apiKey",
    "api.key",
    "api%5Fkey",
    "x-api-key",
    "subscription-key",
    "Subscription_Key",
    "token",
    "$oauth_token",
    "%24oauth-token",
    "accessToken",
    "key[]",
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (head(), None),
        (head((b"Authorization", b"Bearer sk-1")), b"sk-1"),
        (head((b"authorization", b"bearer  sk-1 ")), b"sk-1"),
        (head((b"X-Api-Key", b"sk-1")), b"sk-1"),
        (head((b"api-key", b"sk-1")), b"sk-1"),
        (head((b"x-goog-api-key", b"sk-1")), b"sk-1"),
        (head(query="a=1&key=sk-1"), b"sk-1"),
        (head(query="k%65y=sk%2D1"), b"sk-1"),
        (head(query="monkey=1&keys=2&page_token=3&pageToken=4"), None),
        (head(query="$key=sk-1"), b"sk-1"),
        (head(query="%24key=sk-1&alt=sse"), b"sk-1"),
        (head(query="access_token=sk-1"), b"sk-1"),
        (head(query="oauth_token=sk-1&key=sk-1"), b"sk-1"),
        (head((b"x-goog-api-key", b"sk-1"), query="key=sk-1"), b"sk-1"),
        (head((b"x-goog-api-key", b"sk-1"), query="key=sk-2"), AMBIGUOUS),
        (head((b"x-goog-api-key", b"sk-1"), query="access_token=sk-2"), AMBIGUOUS),
        (head((b"Authorization", b"Bearer sk-1"), query="%24access_token=sk-2"), AMBIGUOUS),
        (head((b"Authorization", b"Bearer sk-1"), (b"x-api-key", b"sk-1")), b"sk-1"),
        (head((b"Authorization", b"Bearer sk-1"), (b"x-api-key", b"sk-2")), AMBIGUOUS),
        (head((b"x-api-key", b"sk-1"), query="key=sk-2"), AMBIGUOUS),
        (head((b"x-api-key", b"sk-1"), (b"X-API-KEY", b"sk-2")), AMBIGUOUS),
        (head(query="key=a&key=b"), AMBIGUOUS),
        (head((b"Authorization", b"Basic eDp5")), MALFORMED),
        (head((b"Authorization", b"Bearer")), MALFORMED),
        (head((b"Authorization", b"")), MALFORMED),
        (head((b"Authorization", b"Bearer a b")), MALFORMED),
        (head((b"x-api-key", b"sk-\xff")), MALFORMED),
        (head((b"x-api-key", b"x" * 4097)), MALFORMED),
        (head((b"x-api-key", b"x" * 4096)), b"x" * 4096),
        (head(query="key="), MALFORMED),
        (head((b"Ocp-Apim-Subscription-Key", b"sk-1")), b"sk-1"),
        (head((b"ocp-apim-subscription-KEY", b"sk-1"), (b"api-key", b"sk-2")), AMBIGUOUS),
        *((head(query=f"{name}=sk-1"), b"sk-1") for name in NAMES),
        *((head((b"api-key", b"sk-2"), query=f"{name}=sk-1"), AMBIGUOUS) for name in NAMES),
        (head(query="a=1;key=sk-1"), MALFORMED),
        (head(query="key=sk-1;key=sk-2"), MALFORMED),
        (head(query="a=1;b=2"), None),
    ],
)
def test_find_key(given: Head, expected: object) -> None:
    assert find_key(given) == expected


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", ""),
        ("key=a", ""),
        ("a=1&key=s&b=%20", "a=1&b=%20"),
        ("k%65y=s&a=1", "a=1"),
        ("a=1&&b", "a=1&&b"),
        ("alt=sse&$key=a&access_token=b&%24key=c&oauth_token=d", "alt=sse"),
        ("monkey=1", "monkey=1"),
        *((f"a=1&{name}=s&b", "a=1&b") for name in NAMES),
        ("a=1;key=s&b;c=2", "b;c=2"),
    ],
)
def test_the_key_parameter_goes_and_the_rest_stays_byte_for_byte(query: str, left: str) -> None:
    assert strip_key_parameter(query) == left


def test_no_header_with_a_key_can_be_read_or_dropped_in_two_ways() -> None:
    assert {name.lower().encode() for name in CREDENTIAL_HEADERS} <= DECIDING


def test_the_page_lists_every_header_that_a_key_is_read_from() -> None:
    page = (Path(__file__).parents[2] / "docs/accounts.md").read_text(encoding="utf-8")
    section = page.partition("## Where a key is read")[2].partition("\n## ")[0]
    assert {name for name in CREDENTIAL_HEADERS if f"| `{name}` |" in section} == set(
        CREDENTIAL_HEADERS
    )
    assert section.count("\n| `") == len(CREDENTIAL_HEADERS)
