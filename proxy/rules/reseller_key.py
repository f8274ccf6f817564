"""
reseller_key: one key that many different callers use.

A key that is resold, leaked or pooled is used from many networks, by many kinds of software, with many
system prompts, for many end users, in many languages. Each of these is counted over a window, and each may
have its bound; `min_exceeded` says how many bounds must be passed at once. Keys that are known to be resold
may be listed by id (`excise key-id`).

    - name: resold-key
      kind: reseller_key
      per: api_key
      window: 1d
      max_subnets: 40
      max_system_prompts: 50
      max_client_fingerprints: 4
      min_exceeded: 2
      score: 40

Blind spot: a relay that sends everything from one address, under one identity, with one system prompt shows
one caller. End users are counted only where the caller names them, languages only in longer texts.

False positives: a multi-tenant product looks just like this, and so does a company whose staff share a key
while travelling, or a mobile app that calls the API itself. Ask such customers to declare
`profile: multi_tenant` or `gateway` and `excuse` it. An undeclared one is scored, not blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, field_validator, model_validator

from proxy.counters.protocol import Different, Distinct, Op, Reading
from proxy.decision import Family, Finding, Scalar
from proxy.facts import Facts, Signal
from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration, Names, patterned, wrong
from proxy.rules.items import item
from proxy.rules.subjects import KEY_ID

MAX_BOUND = 127
"""Beyond, counting who is different would cost more than it tells."""

Bound = Annotated[int | None, Field(default=None, ge=1, le=MAX_BOUND, strict=True)]


def _asn(facts: Facts) -> str | None:
    return None if facts.client.asn is None else str(facts.client.asn)


_COUNTED: Final[dict[str, Callable[[Facts], str | None]]] = {
    "subnets": lambda facts: facts.client.subnet,
    "asns": _asn,
    "countries": lambda facts: facts.client.country,
    "client_fingerprints": lambda facts: facts.signals.client,
    "system_prompts": lambda facts: facts.signals.system,
    "end_users": lambda facts: facts.end_user,
    "languages": lambda facts: facts.signals.language,
}
_DERIVED: Final[dict[str, Signal]] = {
    "client_fingerprints": "client",
    "system_prompts": "system",
    "languages": "language",
}


class ResellerKey(RuleKind):
    """How many different callers use one key, told by what they cannot all share."""

    kind: ClassVar[str] = "reseller_key"
    family: ClassVar[Family] = "client"
    schema_also: ClassVar[Mapping[str, Any]] = {
        "anyOf": [{"required": [name]} for name in (*(f"max_{one}" for one in _COUNTED), "key_ids")]
    }

    window: Duration = 86_400.0
    """The time over which they are counted, `1d`."""
    max_subnets: Bound
    """Networks (/24, /56 of IPv6) that one key may be used from."""
    max_asns: Bound
    """Autonomous systems."""
    max_countries: Bound
    """Countries; approximate."""
    max_client_fingerprints: Bound
    """Kinds of client software, by how they write headers and JSON."""
    max_system_prompts: Bound
    """System prompts that differ in more than their variable parts."""
    max_end_users: Bound
    """End users, as the caller names them."""
    max_languages: Bound
    """Languages or scripts of the prompts."""
    min_exceeded: int = Field(default=1, ge=1, le=7, strict=True)
    """How many of these bounds must be passed at once."""
    key_ids: Annotated[Names, patterned("^key_[a-z2-7]{16}$")] | None = None
    """Ids of keys (`key_…`) that are known to be resold: they fire at once."""
    per: Names = ("api_key",)
    """Whose callers are counted."""

    @field_validator("key_ids")
    @classmethod
    def _check_key_ids(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, word in enumerate(value or ()):
            if not KEY_ID(word):
                raise wrong("must be a key id (`key_…`), never the key itself", (at,))
        return value

    @model_validator(mode="after")
    def _check_bounds(self) -> ResellerKey:
        bounds = self._bounds
        if not bounds and not self.key_ids:
            raise wrong("needs at least one bound (`max_subnets`, …) or `key_ids`")
        if bounds and self.min_exceeded > len(bounds):
            raise wrong(f"is more than the {len(bounds)} bounds given", ("min_exceeded",))
        return self

    @cached_property
    def _bounds(self) -> tuple[tuple[str, int, Callable[[Facts], str | None]], ...]:
        given = ((name, getattr(self, f"max_{name}"), of) for name, of in _COUNTED.items())
        return tuple((name, bound, of) for name, bound, of in given if bound is not None)

    @cached_property
    def _sets(self) -> tuple[tuple[str, int, Callable[[Facts], str | None]], ...]:
        """(key, how many are told apart, what is shown) of each set that is kept."""
        return tuple((f"{self.key}:{name}", bound + 1, of) for name, bound, of in self._bounds)

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(self.key_ids or ())

    @cached_property
    def wants(self) -> frozenset[Signal]:
        """The signals of what has a bound."""
        named = {_DERIVED[name] for name, _, _ in self._bounds if name in _DERIVED}
        return super().wants | named

    def looks_at_body(self) -> bool:
        """Where something has a bound that only the body tells."""
        of_body = {"end_users", *_DERIVED}
        return any(name in of_body for name, _, _ in self._bounds)

    def counted_by(self) -> tuple[str, ...]:
        """The window; bounds only judge."""
        return (f"window={self.window:g}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """One set of hashes for each bound, as far as the request tells."""
        window = self.window
        return tuple(
            [
                Distinct(subject, key, window, item(shown), most)
                for key, most, of in self._sets
                if (shown := of(facts)) is not None
            ]
        )

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires where enough bounds are passed, or the key is listed."""
        if facts.client.key_id in self._listed:
            return Finding("key_listed", {})
        counted = iter(readings)
        evidence: dict[str, Scalar] = {}
        exceeded = 0
        for name, bound, of in self._bounds:
            if of(facts) is None:
                continue
            reading = next(counted)
            assert isinstance(reading, Different)
            if reading.distinct > bound:
                exceeded += 1
                evidence[name] = reading.distinct
                evidence[f"max_{name}"] = bound
        if not exceeded or exceeded < self.min_exceeded:
            return None
        return Finding("key_shared_widely", evidence)
