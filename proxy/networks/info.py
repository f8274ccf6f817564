"""What a lookup tells of an address."""

from __future__ import annotations

from typing import Final

from proxy.value import value


@value
class NetworkInfo:
    """Whose network an address stands in."""

    asn: int | None
    """Number of the autonomous system that announces it."""
    organization: str | None
    """Who runs that system, or who an operator's list says it is."""
    kind: str
    """One of `proxy.facts.NETWORK_KINDS`."""
    country: str | None
    """ISO 3166-1 alpha-2, always approximate: where the network is registered."""
    source: str
    """What told the kind, then what told the rest; data that wants attribution is named."""
    dated: str | None
    """Day (ISO 8601) that what told the kind is of."""


@value
class Mark:
    """What a list or a feed says of a network."""

    kind: str
    source: str
    dated: str | None = None
    organization: str | None = None
    country: str | None = None


MALFORMED: Final = NetworkInfo(None, None, "unknown", None, "not an IP address", None)
PRIVATE: Final = NetworkInfo(
    None, None, "private", None, "IANA special-purpose address registries", None
)
UNLOOKED: Final = NetworkInfo(None, None, "unknown", None, "not looked up", None)
