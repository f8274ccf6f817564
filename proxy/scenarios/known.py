"""What a suite says of addresses, in place of all that is public: of others nothing is known."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

from proxy.client.address import parsed
from proxy.networks.info import UNLOOKED, NetworkInfo
from proxy.networks.lookup import Networks
from proxy.networks.table import Network
from proxy.scenarios.surroundings import NamedNetwork

_SOURCE: Final = "the suite"


class NamedNetworks(Networks):
    """See `Networks`; the narrowest network that is named tells."""

    def __init__(self, named: Iterable[NamedNetwork]) -> None:
        networks = [(ipaddress.ip_network(one.network), one) for one in named]
        self._named: Sequence[tuple[Network, NamedNetwork]] = sorted(
            networks, key=lambda pair: -pair[0].prefixlen
        )
        self.missing = ()

    def lookup(self, address: str) -> NetworkInfo:
        """What the suite says of an address."""
        try:
            at = parsed(address)
        except ValueError:
            return UNLOOKED
        for network, named in self._named:
            if at.version == network.version and at in network:
                part = _part(int(at) - int(network.network_address), network, named.each)
                countries = named.country or (None,)
                return NetworkInfo(
                    None if named.asn is None else named.asn + part,
                    named.organization,
                    named.kind,
                    countries[part % len(countries)],
                    _SOURCE,
                    None,
                )
        return UNLOOKED


def _part(offset: int, network: Network, each: int | None) -> int:
    """Which of a network's parts an address stands in, from 0."""
    return 0 if each is None else offset >> (network.max_prefixlen - each)
