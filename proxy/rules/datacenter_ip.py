"""
datacenter_ip: the address stands where servers stand, or where people hide.

A request's address is looked up in tables that Excise carries with it (no call leaves the machine): hosting
providers, VPN exits, Tor, private relays, or listed networks and countries. Networks that the accounts file
declares for the account are excused.

    - name: from-datacenter
      kind: datacenter_ip
      kinds: [hosting, vpn, tor]
      match: {tier: [free, trial]}
      excuse: [gateway, batch]
      score: 15

Blind spot: campaigns rent residential addresses; then nothing shows here. What no table knows is
`unknown`, never suspicious. See `excise networks lookup`.

False positives: most customers of an API call it from a cloud: aim the rule at tiers that people use by
hand, or score a little and let another family decide. Companies send their people through VPNs. Countries
are approximate: registries know where a network is registered, not where its users are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Final

from pydantic import WithJsonSchema, field_validator

from proxy.counters.protocol import Op, Reading
from proxy.decision import Family, Finding, Scalar
from proxy.facts import NETWORK_KINDS, Facts
from proxy.nearest import nearest
from proxy.rules.base import RuleKind
from proxy.rules.fields import ASN_SCHEMA, Names, Numbers, one_of, wrong
from proxy.rules.match import COUNTRY, Countries

DEFAULT_KINDS: Final = ("hosting", "tor", "vpn")
Kinds = Annotated[
    Names, WithJsonSchema(one_of(kind for kind in NETWORK_KINDS if kind != "unknown"))
]
_COUNTRY = re.compile(COUNTRY).fullmatch


class DatacenterIp(RuleKind):
    """Addresses of hosting providers, VPNs, Tor, or of listed networks and countries."""

    kind: ClassVar[str] = "datacenter_ip"
    family: ClassVar[Family] = "network"

    kinds: Kinds | None = None
    """Kinds of network that fire; hosting, tor and vpn where no kinds, asns or countries are given."""
    asns: Annotated[Numbers, WithJsonSchema(ASN_SCHEMA)] | None = None
    """Autonomous systems that fire, by number."""
    countries: Countries | None = None
    """Countries that fire, as two capital letters in quotes: `"NO"`. Approximate."""
    per: Names = ("address",)
    """Whom a `block: {for: …}` bans."""

    @field_validator("kinds")
    @classmethod
    def _check_kinds(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, word in enumerate(value or ()):
            if word not in NETWORK_KINDS:
                message = f"must be one of {', '.join(NETWORK_KINDS)}"
                raise wrong(message, (at,), nearest(word, NETWORK_KINDS))
            if word == "unknown":
                raise wrong("`unknown` is no evidence of anything", (at,))
        return value

    @field_validator("asns")
    @classmethod
    def _check_asns(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        for at, number in enumerate(value or ()):
            if not 0 < number < 2**32:
                raise wrong("must be an AS number such as 64496", (at,))
        return value

    @field_validator("countries")
    @classmethod
    def _check_countries(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, word in enumerate(value or ()):
            if not _COUNTRY(word):
                raise wrong('must be two capital letters such as `"NO"`', (at,))
        return value

    @cached_property
    def _kinds(self) -> frozenset[str]:
        listed = self.kinds or self.asns or self.countries
        return frozenset(self.kinds or (() if listed else DEFAULT_KINDS))

    @cached_property
    def _asns(self) -> frozenset[int]:
        return frozenset(self.asns or ())

    @cached_property
    def _countries(self) -> frozenset[str]:
        return frozenset(self.countries or ())

    def looks_at_body(self) -> bool:
        """Never: such a request is judged before its body is read."""
        return False

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """None: it looks an address up and counts nothing."""
        return ()

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on every request from such an address, unless the account declares its network."""
        client = facts.client
        if client.declared_network:
            return None
        if client.network_kind in self._kinds:
            reason = "network_kind_listed"
        elif client.asn in self._asns:
            reason = "asn_listed"
        elif client.country in self._countries:
            reason = "country_listed"
        else:
            return None
        told: dict[str, Scalar | None] = {
            "network_kind": client.network_kind,
            "asn": client.asn,
            "organization": client.organization,
            "country": client.country,
        }
        return Finding(reason, {name: one for name, one in told.items() if one is not None})
