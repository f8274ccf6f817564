"""Who is believed first, and what is said of what nobody knows."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.networks.info import MALFORMED, Mark
from proxy.networks.layer import Layer, layer_of
from proxy.networks.lookup import Networks
from proxy.networks.mmdb import Database
from proxy.networks.pack import embedded
from tests.networks.mmdb_writer import mmdb

ADDRESS = "8.8.8.8"
BARE = Networks(embedded())


def layer(kind: str, network: str = "8.0.0.0/8", **said: str) -> Layer:
    return layer_of(
        [(ipaddress.ip_network(network), Mark(kind, f"feed {kind}", "2026-01-02", **said))]
    )


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    assert BARE.lookup(text).kind in {"unknown", "private", "hosting"}


def test_what_is_no_address_is_unknown() -> None:
    assert BARE.lookup("8.8.8.8.8") is MALFORMED
    assert BARE.lookup("").kind == "unknown"


RESERVED = [
    "10.1.2.3",
    "127.0.0.1",
    "169.254.1.1",
    "100.64.0.1",
    "192.168.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "203.0.113.9",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("address", RESERVED)
def test_private_and_reserved_space_is_private_whatever_lists_say(address: str) -> None:
    over = Networks(embedded(), lists=layer("vpn", "0.0.0.0/0"), feeds=[("tor", layer("tor"))])
    for networks in (BARE, over):
        info = networks.lookup(address)
        assert (info.kind, info.asn, info.country) == ("private", None, None)


def test_operators_lists_win_over_feeds_and_relays_over_tor_over_vpn_over_providers() -> None:
    feeds = [(kind, layer(kind)) for kind in ("hosting", "vpn", "tor", "relay")]
    kinds = []
    while feeds:
        kinds.append(Networks(embedded(), feeds=feeds).lookup(ADDRESS).kind)
        feeds = feeds[:-1]
    assert kinds == ["relay", "tor", "vpn", "hosting"]
    mine = Networks(embedded(), lists=layer("business"), feeds=[("relay", layer("relay"))])
    assert mine.lookup(ADDRESS).kind == "business"
    by_number = Networks(embedded(), systems={15169: Mark("isp", "list x")}, feeds=feeds)
    assert by_number.lookup(ADDRESS).kind == "isp"
    assert by_number.lookup("1.1.1.1").kind == "hosting"


def test_a_list_of_networks_wins_over_a_list_of_numbers() -> None:
    both = Networks(embedded(), lists=layer("business"), systems={15169: Mark("isp", "list")})
    assert both.lookup(ADDRESS).kind == "business"


def test_an_embedded_relay_is_no_vpn_however_a_feed_sees_it_but_an_operator_may_say_so() -> None:
    relay = "172.224.226.1"
    feeds = [("vpn", layer("vpn", "172.224.0.0/12"))]
    assert Networks(embedded(), feeds=feeds).lookup(relay).kind == "relay"
    lists = layer("vpn", "172.224.226.0/24")
    assert Networks(embedded(), lists=lists).lookup(relay).kind == "vpn"


def test_a_mark_adds_to_what_is_known_and_names_who_said_what() -> None:
    said = layer("business", organization="Acme", country="NO")
    info = Networks(embedded(), lists=said).lookup(ADDRESS)
    assert (info.asn, info.organization, info.country) == (15169, "Acme", "NO")
    assert info.source.startswith("feed business; embedded pack")
    assert info.dated == "2026-01-02"
    plain = Networks(embedded(), lists=layer("business")).lookup(ADDRESS)
    assert (plain.organization, plain.country) == ("Google LLC", "US")


def database(folder: Path, name: str, record: object) -> Database:
    (folder / name).write_bytes(mmdb({"8.0.0.0/8": record, "2001:4860::/32": record}))
    return Database(folder / name)


def test_a_users_database_wins_over_the_pack_and_is_classified_like_it(tmp_path: Path) -> None:
    mine = database(
        tmp_path,
        "asn.mmdb",
        {"autonomous_system_number": 64500, "autonomous_system_organization": "Frob Hosting"},
    )
    networks = Networks(embedded(), databases=[mine])
    for address in (ADDRESS, "2001:4860::1"):
        info = networks.lookup(address)
        assert (info.asn, info.organization, info.kind) == (64500, "Frob Hosting", "hosting")
        assert info.country == "US"
        assert info.source == "asn.mmdb; country approximate"
        assert info.dated == "2026-01-01"
    assert networks.lookup("1.1.1.1").asn == 13335


def test_a_number_without_a_name_keeps_no_name_of_another_system(tmp_path: Path) -> None:
    other = database(tmp_path, "a.mmdb", {"asn": 64500})
    assert Networks(embedded(), databases=[other]).lookup(ADDRESS).organization is None
    same = database(tmp_path, "b.mmdb", {"asn": "AS15169"})
    assert Networks(embedded(), databases=[same]).lookup(ADDRESS).organization == "Google LLC"


def test_each_field_is_told_by_the_first_database_that_has_it(tmp_path: Path) -> None:
    place = database(tmp_path, "c.mmdb", {"country": {"iso_code": "NO"}})
    both = database(tmp_path, "d.mmdb", {"asn": "AS64500", "as_name": "X", "country_code": "SE"})
    info = Networks(embedded(), databases=[place, both]).lookup(ADDRESS)
    assert (info.country, info.asn, info.organization) == ("NO", 64500, "X")
    info = Networks(embedded(), databases=[place]).lookup(ADDRESS)
    assert (info.country, info.asn, info.kind) == ("NO", 15169, "hosting")
    assert info.source.startswith("embedded pack")


def test_a_database_that_tells_kinds_is_believed_after_feeds(tmp_path: Path) -> None:
    flags = database(
        tmp_path, "anonymous.mmdb", {"is_anonymous_vpn": True, "is_hosting_provider": True}
    )
    assert Networks(embedded(), databases=[flags]).lookup(ADDRESS).kind == "vpn"
    over = Networks(embedded(), databases=[flags], feeds=[("tor", layer("tor"))])
    assert over.lookup(ADDRESS).kind == "tor"
