"""
The client's address: configured, not guessed. Pure.

Nobody is trusted by default, loopback included. Where a hop is trusted, the rightmost address that is
not itself a trusted hop is the client's; what is malformed counts as nothing and is noted.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from proxy.head import Head

Source = Literal["peer", "x-forwarded-for", "forwarded"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS = 32
MAX_HOP = 128
"""Characters of one hop; longer is malformed, and is kept in no cache."""
FORWARDED_MALFORMED = "forwarded_header_malformed"
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"\\]*"|[^";,\s]+)\s*(?:;|$)', re.IGNORECASE)


@lru_cache(maxsize=65_536)
def canonical(text: str) -> str | None:
    """Canonical text of an IP address, IPv4-mapped IPv6 as IPv4; None for anything else."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
    return str(address)


@lru_cache(maxsize=16_384)
def parsed(address: str) -> Address:
    """A canonical address, to compare with networks. Raises ValueError for anything else."""
    return ipaddress.ip_address(address)


@lru_cache(maxsize=65_536)
def subnet(address: str, v4_bits: int = 24, v6_bits: int = 56) -> str:
    """The network of a canonical address: a /24, or a /56 of IPv6, unless configured otherwise."""
    bits = v6_bits if ":" in address else v4_bits
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


class AddressResolver:
    """Finds the client's address behind the hops that are trusted."""

    def __init__(self, source: Source = "peer", trusted: Sequence[Network] = ()) -> None:
        self._source: Source = source
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(maxsize=8192)(self._within_trusted)

    def resolve(self, head: Head) -> tuple[str, str | None]:
        """(address, note). An empty peer, of a connection just lost, becomes 0.0.0.0."""
        peer = canonical(head.peer.partition("%")[0]) or "0.0.0.0"  # noqa: S104 - not a bind
        if self._source == "peer" or not self._is_trusted(peer):
            return peer, None
        values = head.values(self._source.encode())
        if not values:
            return peer, None
        joined = b",".join(values).decode("ascii", "replace")
        client = peer
        hops = joined.split(",")
        for hop in reversed(hops[-MAX_HOPS:]):
            address = self._hop(hop.strip())
            if address is None:
                return peer, FORWARDED_MALFORMED
            client = address
            if not self._is_trusted(address):
                break
        return client, None

    def trusts(self, head: Head) -> bool:
        """Whether the peer is a hop whose headers are believed."""
        peer = canonical(head.peer.partition("%")[0])
        return peer is not None and self._is_trusted(peer)

    def _hop(self, text: str) -> str | None:
        if len(text) > MAX_HOP:
            return None
        if self._source == "forwarded":
            match = _FOR.search(text)
            if match is None:
                return None
            text = match[1].strip('"')
        return canonical(_without_port(text))

    def _within_trusted(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._trusted)


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    if text.count(":") == 1:
        return text.partition(":")[0]
    return text
