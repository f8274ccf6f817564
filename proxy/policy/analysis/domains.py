"""Which values a fact can have on the requests that a rule is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.expressions.declared import DECLARED
from proxy.facts import ACCOUNT_SOURCES, NETWORK_KINDS, Route
from proxy.policy.analysis.traffic import named_all
from proxy.policy.analysis.truth import LEAST, Domain, Value
from proxy.policy.model import Policy
from proxy.rules.match import Match

_PATHS: Final = {
    "account": "client.account",
    "account_source": "client.account_source",
    "address": "client.address",
    "api_key": "client.key_id",
    "asn": "client.asn",
    "country": "client.country",
    "model": "ask.model",
    "network_kind": "client.network_kind",
    "profile": "client.profile",
    "stream": "ask.stream",
    "tier": "client.tier",
}
"""Facts of a match → of an expression."""
_ALWAYS: Final = frozenset(
    {
        "client.address",
        "client.subnet",
        "client.declared_network",
        "client.provisional",
        "request.bytes",
        "request.answers",
        "route.dialect",
        "route.template",
    }
)
"""Facts that every request has."""
_LEAST: Final = {
    "client.asn": 1,
    "request.answers": 1,
    "request.bytes": 0,
    "ask.turns": 0,
    "ask.logit_bias": 0,
}
"""The least of what is counted here; other numbers callers write, and may write anything."""


def domains(
    policy: Policy, match: Match | None, routes: Sequence[Route], excused: Sequence[str] = ()
) -> dict[str, Domain]:
    """Path of a declared fact → what it can be."""
    found = {path: _open(path, routes) for path in DECLARED}
    for path, shown in (
        ("route.dialect", {route.dialect for route in routes}),
        ("route.template", {route.template for route in routes}),
        ("route.operation", {route.operation for route in routes if route.operation}),
    ):
        found[path] = Domain(frozenset(shown), absent=path == "route.operation")
    found["client.network_kind"] = Domain(frozenset(NETWORK_KINDS), absent=True)
    found["client.profile"] = Domain(excluded=frozenset(excused), absent=True)
    found |= _gated(policy)
    if match is not None:
        _narrow(found, match)
    return found


def _open(path: str, routes: Sequence[Route]) -> Domain:
    if not any(route.kind == "inspected" for route in routes) and path.startswith(("ask.", "sig")):
        return Domain(frozenset(), absent=True)
    values = frozenset({True, False}) if DECLARED[path].type == "bool" else None
    return Domain(values, absent=path not in _ALWAYS, least=_LEAST.get(path, LEAST))


def _gated(policy: Policy) -> dict[str, Domain]:
    """What the gates let through; in shadow mode they stop nobody."""
    enforced = policy.mode == "enforce"
    vouched = enforced and policy.keys.unknown == "block"
    provisional = frozenset({True, False}) if policy.keys.unknown == "provisional" else {False}
    known = not (enforced and policy.keys.missing == "block")
    sources: set[Value] = set(ACCOUNT_SOURCES) - ({"key"} if vouched else set())
    return {
        "client.account": Domain(absent=known),
        "client.account_source": Domain(frozenset(sources), absent=known),
        "client.provisional": Domain(frozenset(provisional)),
    }


def _narrow(found: dict[str, Domain], match: Match) -> None:
    for name in named_all(match) & _PATHS.keys():
        wanted = getattr(match, name)
        values = frozenset(wanted if isinstance(wanted, tuple) else (wanted,))
        found[_PATHS[name]] = found[_PATHS[name]].only(values)
    inner = match.not_
    if inner is None:
        return
    named = named_all(inner)
    for name in named & _PATHS.keys():
        path = _PATHS[name]
        other = getattr(inner, name)
        values = frozenset(other if isinstance(other, tuple) else (other,))
        found[path] = found[path].known() if len(named) > 1 else found[path].known().but(values)


def impossible(match: Match, found: dict[str, Domain]) -> str | None:
    """The fact of a match that can have none of its values any more; `not` where that takes it all."""
    for name in sorted(named_all(match) & _PATHS.keys()):
        if found[_PATHS[name]].empty:
            return name
    inner = match.not_
    if inner is not None:
        named = named_all(inner)
        if "not_" not in named and all(_within(match, inner, name) for name in named):
            return "not"
    return None


def _within(match: Match, inner: Match, name: str) -> bool:
    mine, other = getattr(match, name), getattr(inner, name)
    if mine is None:
        return False
    both = [one if isinstance(one, tuple) else (one,) for one in (mine, other)]
    return set(both[0]) <= set(both[1])
