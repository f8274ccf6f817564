"""What a suite says of addresses."""

from __future__ import annotations

from proxy.scenarios.known import NamedNetworks
from proxy.scenarios.surroundings import NamedNetwork

NETWORKS = NamedNetworks(
    [
        NamedNetwork(network="203.0.113.0/24", kind="hosting", organization="Rent"),
        NamedNetwork(network="203.0.113.64/26", kind="vpn"),
        NamedNetwork.model_validate(
            {"network": "100.64.0.0/16", "each": 24, "asn": 64512, "country": ["DE", "FR"]}
        ),
        NamedNetwork(network="2001:db8::/32", kind="mobile"),
    ]
)


def test_the_narrowest_network_tells_and_of_others_nothing_is_known() -> None:
    assert NETWORKS.lookup("203.0.113.7").kind == "hosting"
    assert NETWORKS.lookup("203.0.113.7").organization == "Rent"
    assert NETWORKS.lookup("203.0.113.70").kind == "vpn"
    assert NETWORKS.lookup("2001:db8::1").kind == "mobile"
    assert NETWORKS.lookup("8.8.8.8").kind == "unknown"
    assert NETWORKS.lookup("no address").kind == "unknown"


def test_parts_of_a_network_are_systems_of_their_own_in_countries_in_turn() -> None:
    found = [NETWORKS.lookup(f"100.64.{part}.9") for part in (0, 1, 2, 255)]
    assert [one.asn for one in found] == [64512, 64513, 64514, 64767]
    assert [one.country for one in found] == ["DE", "FR", "DE", "FR"]
