"""datacenter_ip: where servers stand, unless the account says that its servers stand there."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.decision import Finding
from proxy.rules.datacenter_ip import DatacenterIp
from tests.policy.facts import facts

HOSTING = {
    "network_kind": "hosting",
    "asn": 64496,
    "organization": "Example Cloud",
    "country": "NL",
}


def rule(**fields: Any) -> DatacenterIp:
    return DatacenterIp.model_validate({"name": "cloud", "score": 15, **fields})


def found(one: DatacenterIp, **client: Any) -> Finding | None:
    asked = facts(None, **client)
    subject = one.subject(asked)
    assert subject is not None
    assert one.counters(asked, subject) == ()
    return one.judge(asked, ())


def test_it_tells_what_it_found_and_whose_network_it_is() -> None:
    assert found(rule(), **HOSTING) == Finding("network_kind_listed", HOSTING)


@pytest.mark.parametrize(
    "kind", ["isp", "mobile", "relay", "education", "private", "unknown", None]
)
def test_networks_of_people_are_not_found(kind: str | None) -> None:
    assert found(rule(), network_kind=kind, asn=64496, country="NO") is None


@pytest.mark.parametrize("kind", ["hosting", "vpn", "tor"])
def test_servers_vpns_and_tor_are_found(kind: str) -> None:
    assert found(rule(), network_kind=kind) == Finding(
        "network_kind_listed", {"network_kind": kind}
    )


def test_networks_that_the_account_declares_are_excused() -> None:
    assert found(rule(), **HOSTING, declared_network=True) is None
    assert found(rule(countries=["NL"]), **HOSTING, declared_network=True) is None


def test_listed_systems_and_countries_are_found_without_the_default_kinds() -> None:
    listed = rule(asns=[64497, 64498], countries=["NO"])
    assert found(listed, **HOSTING) is None
    by_asn = found(listed, asn=64498, network_kind="isp")
    assert by_asn is not None
    assert by_asn.reason == "asn_listed"
    by_country = found(listed, country="NO")
    assert by_country == Finding("country_listed", {"country": "NO"})


def test_it_is_judged_before_the_body_is_read() -> None:
    assert not rule().needs_body
    assert rule(match={"model": "large"}).needs_body
    assert rule().wants == frozenset()
