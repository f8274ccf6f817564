"""Whom and what a suite knows of: accounts and networks, as final values."""

from __future__ import annotations

import datetime
import ipaddress
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from proxy.facts import NETWORK_KINDS, PROFILES
from proxy.nearest import nearest
from proxy.rules.fields import Names, wrong
from proxy.scenarios.fields import STRICT


class NamedAccount(BaseModel):
    """An account of the suite: what an accounts file would say of it. Keys are made up."""

    model_config = STRICT

    account: str = Field(pattern=r"^[\x21-\x7e]{1,128}$")
    tier: str | None = Field(default=None, pattern=r"^[\x21-\x7e]{1,128}$")
    profile: str | None = None
    """What it declares itself to be."""
    networks: Names = ()
    """Where its servers stand, as it has declared."""
    since: str | None = None
    """The day that it became a customer on."""
    many: int | None = Field(default=None, ge=1, le=10_000, strict=True)
    """So many of them: `many: 40` of `pool` are `pool-0` to `pool-39`, as `pool-{n%40}` counts."""

    @field_validator("profile")
    @classmethod
    def _check_profile(cls, given: str | None) -> str | None:
        if given is not None and given not in PROFILES:
            raise wrong(f"must be one of {', '.join(PROFILES)}", (), nearest(given, PROFILES))
        return given

    @field_validator("networks")
    @classmethod
    def _check_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for at, text in enumerate(given):
            check_network(text, (at,))
        return given

    @field_validator("since")
    @classmethod
    def _check_since(cls, given: str | None) -> str | None:
        try:
            if given is not None:
                datetime.date.fromisoformat(given)
        except ValueError:
            raise wrong("must be a day such as `2025-06-01`") from None
        return given


def check_network(text: str, path: tuple[str | int, ...] = ()) -> None:
    """Raises a mistake for what is no network."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise wrong("must be a network such as `10.0.0.0/8`", path) from None


class NamedNetwork(BaseModel):
    """What is known of the addresses of a network. Of others nothing is known."""

    model_config = STRICT

    network: str
    kind: Literal[NETWORK_KINDS] = "unknown"  # type: ignore[valid-type]  # words of one owner
    country: Names | None = None
    """Two capital letters; several are those of its parts in turn."""
    asn: int | None = Field(default=None, ge=1, lt=2**32, strict=True)
    organization: str | None = Field(default=None, min_length=1, max_length=128)
    each: int | None = Field(default=None, ge=1, le=64, strict=True)
    """Prefix length of its parts: each is a system of its own, `asn` the first one's number."""

    @model_validator(mode="after")
    def _check(self) -> NamedNetwork:
        check_network(self.network, ("network",))
        given = ipaddress.ip_network(self.network)
        if self.each is not None and not given.prefixlen <= self.each <= given.max_prefixlen:
            raise wrong("must not be shorter than the network's own prefix", ("each",))
        return self
