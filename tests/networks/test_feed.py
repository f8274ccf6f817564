"""Feeds as text: what is read, and what is refused whole."""

from __future__ import annotations

import ipaddress
from array import array
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.errors import ConfigurationError
from proxy.networks.container import pack, unpack
from proxy.networks.feed import Feed, load_feed, pack_feed, read_entries
from proxy.networks.table import number_of

TOR = Feed(name="tor", url="https://feeds.example/tor", format="cidr", kind="tor")


def read(text: str, form: str = "cidr") -> list[tuple[str, str | None]]:
    return [(str(network), country) for network, country in read_entries(text, form)]


def test_networks_and_addresses_are_read_sorted_and_once() -> None:
    text = "# exits\n\n9.9.9.0/24 ; nine\r\n8.8.8.8\n2001:db8::/32\n8.8.8.8/32 # again\n"
    assert read(text) == [("8.8.8.8/32", None), ("9.9.9.0/24", None), ("2001:db8::/32", None)]


def test_csv_is_rfc_8805() -> None:
    text = "8.8.8.0/24,US,US-CA,Mountain View,\n9.9.9.9,no,,,\n1.0.0.0/24,,,,\n7.0.0.0/24\n"
    wanted = [
        ("1.0.0.0/24", None),
        ("7.0.0.0/24", None),
        ("8.8.8.0/24", "US"),
        ("9.9.9.9/32", "NO"),
    ]
    assert read(text, "csv") == wanted
    assert read("ip_prefix,country\n8.8.8.0/24,US\n", "csv") == [("8.8.8.0/24", "US")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no network"),
        ("# nothing\n", "no network"),
        ("8.8.8.0/24\n<html>\n", "line 2: not a network"),
        ("8.8.8.8/24\n", "line 1: not a network"),
        ("0.0.0.0/0\n", "too wide"),
        ("8.0.0.0/7\n", "too wide"),
        ("2000::/3\n", "too wide"),
        ("8.8.8.0/24,US\n", "not a network"),
    ],
)
def test_what_is_no_feed_is_refused_whole(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_entries(text, "cidr")


def test_a_kept_feed_tells_kind_country_and_day(tmp_path: Path) -> None:
    file = TOR.file(tmp_path)
    entries = read_entries("8.8.8.0/24,US\n9.9.9.9,NO\n2001:db8::1,\n", "csv")
    file.write_bytes(pack_feed(entries, {"dated": "2026-11-24"}))
    layer = load_feed(TOR, file)

    def said(address: str) -> tuple[str, str | None, str, str | None] | None:
        parsed = number_of(address)
        assert parsed is not None
        mark = layer.find(*parsed)
        return None if mark is None else (mark.kind, mark.country, mark.source, mark.dated)

    assert said("8.8.8.255") == ("tor", "US", "feed tor", "2026-11-24")
    assert said("9.9.9.9") == ("tor", "NO", "feed tor", "2026-11-24")
    assert said("9.9.9.10") is None
    assert said("2001:db8::ffff") == ("tor", None, "feed tor", "2026-11-24")
    assert said("2001:db8:0:1::") is None


def test_a_damaged_kept_feed_is_a_configuration_error(tmp_path: Path) -> None:
    file = TOR.file(tmp_path)
    entries = [(ipaddress.ip_network("8.8.8.0/24"), None)]
    whole = pack_feed(entries, {"dated": "2026-11-24"})
    header, columns = unpack(whole, "x")
    short = pack(header, {**columns, "ipv4.values": array("I", [0, 2, 0])})
    for data in (b"", b"x", whole[:-1], short, pack({}, columns), pack(header, {})):
        file.write_bytes(data)
        with pytest.raises(ConfigurationError):
            load_feed(TOR, file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../up"}, "pattern"),
        ({"url": "file:///etc/passwd"}, "http"),
        ({"url": "http://feeds.example/x"}, "needs a `sha256`"),
        ({"format": "json"}, "cidr"),
        ({"kind": "tro"}, "did you mean `tor`"),
        ({"kind": None}, "`kind` goes with"),
        ({"format": "mmdb"}, "`kind` goes with"),
        ({"sha256": "abc"}, "pattern"),
        ({"sha256": "0" * 64, "sha256_url": "https://x.example/y"}, "exclude each other"),
        ({"colour": "blue"}, "Extra"),
    ],
)
def test_a_feed_that_cannot_be_meant_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Feed.model_validate({**TOR.model_dump(), **change})


def test_plain_http_is_taken_with_a_hash_or_from_this_machine() -> None:
    for change in (
        {"url": "http://x.example/", "sha256": "0" * 64},
        {"url": "http://127.0.0.1:1/"},
    ):
        Feed.model_validate({**TOR.model_dump(), **change})
