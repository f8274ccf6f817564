"""
`match:` — which requests a rule or an exemption is about.

AND across keys, OR within a list. A fact that is absent never matches, under `not` neither: what is
not known is not evidence. `not` holds where all of its facts are known and its own match fails.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from proxy.facts import (
    ACCOUNT_SOURCES,
    DIALECTS,
    NETWORK_KINDS,
    OPERATIONS,
    PROFILES,
    Facts,
)
from proxy.nearest import nearest
from proxy.rules.fields import ASN_SCHEMA, Names, patterned, wrong
from proxy.surface import rows

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Fact = str | bool | None
Test = Callable[[Facts], bool | None]
"""True, False, or None where the fact is absent."""


@lru_cache(maxsize=8192)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


def _asn(facts: Facts) -> str | None:
    return None if facts.client.asn is None else str(facts.client.asn)


_OF_CLIENT: Final[dict[str, Callable[[Facts], Fact]]] = {
    "account": lambda facts: facts.client.account,
    "account_source": lambda facts: facts.client.account_source,
    "address": lambda facts: facts.client.address,
    "api_key": lambda facts: facts.client.key_id,
    "asn": _asn,
    "country": lambda facts: facts.client.country,
    "dialect": lambda facts: facts.route.dialect,
    "network_kind": lambda facts: facts.client.network_kind,
    "operation": lambda facts: facts.route.operation or None,
    "profile": lambda facts: facts.client.profile,
    "route": lambda facts: facts.route.template,
    "tier": lambda facts: facts.client.tier,
}
_OF_BODY: Final[dict[str, Callable[[Facts], Fact]]] = {
    "model": lambda facts: facts.ask.model if facts.ask is not None else None,
    "stream": lambda facts: facts.ask.stream if facts.ask is not None else None,
}
MATCHED: Final = {**_OF_CLIENT, **_OF_BODY, "network": _OF_CLIENT["address"]}
"""What each key of a `match` but `not` looks at, for whoever has to say why one does not hold."""


Asns = Annotated[tuple[int, ...], WithJsonSchema(ASN_SCHEMA)]
"""One AS number or a list of them."""

COUNTRY: Final = "[A-Z]{2}"
_COUNTRY = re.compile(COUNTRY).fullmatch
Countries = Annotated[Names, patterned(f"^{COUNTRY}$")]
"""One country of ISO 3166-1 or a list of them."""

CLOSED: Final[dict[str, frozenset[str]]] = {
    "account_source": frozenset(ACCOUNT_SOURCES),
    "dialect": frozenset(DIALECTS),
    "network_kind": frozenset(NETWORK_KINDS),
    "operation": frozenset(OPERATIONS),
    "profile": frozenset(PROFILES),
}
"""Facts that have one of a few words: any other one is a slip of the pen, and would never match."""

ROUTES: Final = frozenset({row.template for row in rows()} | {"unknown"})
"""Paths of the table of routes, and the word for all others."""


class Match(BaseModel):
    """Which requests. Each key is one value or a list of values."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )

    account: Names | None = None
    account_source: Names | None = None
    address: Names | None = None
    api_key: Names | None = None
    asn: Asns | None = None
    country: Countries | None = None
    """Two capital letters of ISO 3166-1, quoted where YAML could read them otherwise: `"NO"`."""
    dialect: Names | None = None
    model: Names | None = None
    network: Names | None = None
    """CIDR networks that the client's address lies in."""
    network_kind: Names | None = None
    """What the client's network is for."""
    operation: Names | None = None
    profile: Names | None = None
    route: Names | None = None
    """A path of the table that `excise routes` prints, or `unknown`."""
    stream: bool | None = Field(default=None, strict=True)
    tier: Names | None = None
    not_: Match | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _names_something(self) -> Match:
        if not self.model_fields_set:
            raise wrong("must name at least one fact; leave it out to match everything")
        return self

    @field_validator(*CLOSED)
    @classmethod
    def _check_words(
        cls, value: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        known = CLOSED[str(info.field_name)]
        for at, word in enumerate(value or ()):
            if word not in known:
                message = f"must be one of {', '.join(sorted(known))}"
                raise wrong(message, (at,), nearest(word, known))
        return value

    @field_validator("route")
    @classmethod
    def _check_route(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, text in enumerate(value or ()):
            if text not in ROUTES:
                message = "must be a path of the table that `excise routes` prints, or `unknown`"
                raise wrong(message, (at,), nearest(text, ROUTES))
        return value

    @field_validator("asn", mode="before")
    @classmethod
    def _read_asn(cls, value: object) -> tuple[int, ...]:
        numbers = value if isinstance(value, list) else [value]
        if not numbers:
            raise wrong("must name at least one")
        for at, number in enumerate(numbers):
            if type(number) is not int or not 0 < number < 2**32:
                path = (at,) if isinstance(value, list) else ()
                raise wrong("must be an AS number such as 64496", path)
        return tuple(numbers)

    @field_validator("country")
    @classmethod
    def _check_country(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, text in enumerate(value or ()):
            if not _COUNTRY(text):
                near = f"`{text.upper()}`" if _COUNTRY(text.upper()) else None
                raise wrong("must be two capital letters of ISO 3166-1", (at,), near)
        return value

    @field_validator("network")
    @classmethod
    def _check_network(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, text in enumerate(value or ()):
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise wrong("must be a network such as `10.0.0.0/8`", (at,)) from None
        return value

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, text in enumerate(value or ()):
            try:
                ipaddress.ip_address(text)
            except ValueError:
                raise wrong("must be an IP address", (at,)) from None
        return value

    @property
    def needs_body(self) -> bool:
        """Whether it looks at anything beyond the identity."""
        of_body = self.model is not None or self.stream is not None
        return of_body or (self.not_ is not None and self.not_.needs_body)

    def canonical(self) -> str:
        """One text for one meaning, for hashing what changes counting."""
        given = sorted(
            (name, _sorted(getattr(self, name))) for name in self.model_fields_set - {"not_"}
        )
        inner = self.not_.canonical() if self.not_ is not None else ""
        return f"{given}!{inner}"

    def compiled(self) -> Callable[[Facts], bool]:
        """One function of the facts; to be made once, at load."""
        test = _all_of(self._tests())
        return lambda facts: test(facts) is True

    def _tests(self) -> list[Test]:
        tests: list[Test] = []
        for name, of in (*_OF_CLIENT.items(), *_OF_BODY.items()):
            wanted: Any = getattr(self, name)
            if wanted is None:
                continue
            values = wanted if isinstance(wanted, tuple) else (wanted,)
            if name == "asn":
                values = tuple(map(str, values))
            elif name == "address":
                values = tuple(str(ipaddress.ip_address(text)) for text in values)
            tests.append(_one_of(of, frozenset(values)))
        if self.network is not None:
            tests.append(_within(tuple(ipaddress.ip_network(text) for text in self.network)))
        if self.not_ is not None:
            inner = _all_of(self.not_._tests())  # noqa: SLF001 - its own class
            tests.append(_negated(inner))
        return tests


def _sorted(given: Any) -> Any:
    """Values in one order, for their order means nothing."""
    return tuple(sorted(set(given))) if isinstance(given, tuple) else given


def _one_of(of: Callable[[Facts], Fact], wanted: frozenset[Fact]) -> Test:
    def test(facts: Facts) -> bool | None:
        fact = of(facts)
        return None if fact is None else fact in wanted

    return test


def _within(networks: tuple[Network, ...]) -> Test:
    def test(facts: Facts) -> bool:
        address = _address(facts.client.address)
        return any(address in network for network in networks)

    return test


def _negated(inner: Test) -> Test:
    def test(facts: Facts) -> bool | None:
        found = inner(facts)
        return None if found is None else not found

    return test


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(facts: Facts) -> bool | None:
        outcome: bool | None = True
        for one in tests:
            found = one(facts)
            if found is None:
                return None
            outcome = outcome and found
        return outcome

    return test
