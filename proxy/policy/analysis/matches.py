"""Rules that can never fire: by their match, their expression, their subject, or what they look at."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from proxy.counters.protocol import DISTINCT_MAX
from proxy.expressions.program import Program
from proxy.facts import Route
from proxy.policy.analysis.domains import domains, impossible
from proxy.policy.analysis.told import Told
from proxy.policy.analysis.traffic import counts_on, has_subject, holding, known
from proxy.policy.analysis.truth import Domain, outcomes
from proxy.policy.places import Spot
from proxy.policy.yamltree import Path as Place
from proxy.rules.base import RuleKind
from proxy.rules.expression import ExpressionRule
from proxy.rules.match import Match

_FEW: Final = 3


def matches(told: Told) -> None:
    """What is wrong with each rule by itself."""
    routes = told.routes
    for at, rule in enumerate(told.policy.rules):
        spot = told.spot(at)
        excused = rule.excuse or ()
        left = routes_left(told, spot, rule.match, routes, excused)
        fires = left is not None and _sees(told, spot, rule, left, routes)
        fires = fires and truth(told, spot, rule.when, rule.match, left or (), excused)
        if fires and isinstance(rule, ExpressionRule):
            fires = _expression(told, spot, rule, left or ())
        if not fires:
            told.dead.add(rule.name)


def routes_left(
    told: Told,
    spot: Spot,
    match: Match | None,
    routes: Sequence[Route],
    excused: Sequence[str] = (),
) -> tuple[Route, ...] | None:
    """The routes that a match can hold on; None, and told, where it can never hold."""
    if match is None:
        return tuple(routes)
    found = domains(told.policy, match, routes, excused)
    name = impossible(match, found)
    if name is not None:
        _told_impossible(told, spot, match, name, excused)
        return None
    if _outside(match):
        told.say("never-matches", spot, ("match", "address"), "no `address` lies in a `network`")
        return None
    left = holding(match, routes)
    if left:
        return left
    elsewhere = holding(match, known())
    if not elsewhere:
        message = "no known route has all that this `match` asks for together"
        told.say("never-matches", spot, ("match",), message)
    else:
        message = f"the routes of this `match` are not served: {_why(elsewhere)}"
        told.say("no-served-route", spot, ("match",), message)
    return None


def _told_impossible(
    told: Told, spot: Spot, match: Match, name: str, excused: Sequence[str]
) -> None:
    place: Place = ("match", name)
    if name == "not":
        told.say("never-matches", spot, place, "`not` takes all that the `match` leaves")
    elif name == "account_source" and match.account_source == ("key",):
        message = "`keys: (unknown: block)` refuses these keys before any rule is judged"
        told.say("gate-first", spot, place, message.replace("(", "{").replace(")", "}"))
    elif name == "profile" and set(match.profile or ()) <= set(excused):
        told.say("never-matches", spot, place, "`excuse` leaves alone all that `profile` names")
    else:
        told.say("never-matches", spot, place, f"no request has such a `{name}`: `not` takes it")


def _outside(match: Match) -> bool:
    if match.address is None or match.network is None:
        return False
    return not any(_within(one, match.network) for one in match.address)


def _within(address: str, networks: Sequence[str]) -> bool:
    at = ip_address(address)
    return any(at in ip_network(one) for one in networks)


def _apart(some: Sequence[str] | None, others: Sequence[str] | None) -> bool:
    if some is None or others is None:
        return False
    pairs = [(ip_network(one), ip_network(other)) for one in some for other in others]
    return not any(one.version == other.version and one.overlaps(other) for one, other in pairs)


def _why(routes: Sequence[Route]) -> str:
    names = sorted({route.name for route in routes if route.kind == "refused" and route.name})
    if names:
        return f"`also_serve` can name {', '.join(f'`{one}`' for one in names[:_FEW])}"
    return "`unknown_routes: block` refuses them"


def _sees(
    told: Told, spot: Spot, rule: RuleKind, left: Sequence[Route], routes: Sequence[Route]
) -> bool:
    """Whether a rule finds its subject, and something to count, on a route that is left."""
    for index, name in enumerate(rule.per):
        if not any(has_subject(route, name) for route in left):
            place = _item(spot, "per", index)
            message = f"no request that the rule is about has the subject `{name}`: {_shown(left)}"
            told.say("no-subject", spot, place, message)
            return False
    if any(counts_on(rule, route) for route in _each(left)):
        return True
    if rule.match is None or not any(counts_on(rule, route) for route in _each(routes)):
        return True  # a kind that looks up and counts nothing
    message = f"`{rule.kind}` finds nothing to count there: {_shown(left)}"
    told.say("nothing-to-see", spot, ("match",), message)
    return False


def _item(spot: Spot, name: str, index: int) -> Place:
    """The place of one of a list, or of the word that stands for a list of one."""
    return (name, index) if (*spot.place, name, index) in spot.tree.values else (name,)


def _each(routes: Sequence[Route]) -> list[Route]:
    """One of each sort."""
    return list({(one.kind, one.dialect, one.operation): one for one in routes}.values())


def _shown(routes: Sequence[Route]) -> str:
    sorts = sorted({f"{one.dialect or 'shared'} {one.operation or one.kind}" for one in routes})
    more = f" and {len(sorts) - _FEW} more" if len(sorts) > _FEW else ""
    return ", ".join(sorts[:_FEW]) + more


def truth(
    told: Told,
    spot: Spot,
    when: Program | None,
    match: Match | None,
    routes: Sequence[Route],
    excused: Sequence[str] = (),
) -> bool:
    """Whether an expression beside a match can be true; told where it is nothing else, too."""
    if when is None:
        return True
    found = outcomes(when.text, domains(told.policy, match, routes, excused))
    return _told_truth(told, spot, ("when",), found)


def _told_truth(told: Told, spot: Spot, place: Place, found: frozenset[bool]) -> bool:
    name = place[-1]
    if found == {False}:
        told.say("never-true", spot, place, f"`{name}` is never true of the requests that are left")
    elif found == {True}:
        told.say("always-true", spot, place, f"`{name}` is true of every request that is left")
    return True in found


def _expression(told: Told, spot: Spot, rule: ExpressionRule, routes: Sequence[Route]) -> bool:
    possible = domains(told.policy, rule.match, routes, rule.excuse or ())
    for name, one in rule.readings.items():
        most = DISTINCT_MAX if one.distinct is not None else None
        absent = one.distinct is not None
        possible[f"readings.{name}"] = Domain(absent=absent, least=0, most=most)
        if one.when is not None:
            found = outcomes(one.when.text, possible)
            _told_truth(told, spot, ("readings", name, "when"), found)
    return _told_truth(told, spot, ("expr",), outcomes(rule.expr.text, possible))


def fits(told: Told, one: Match | None, other: Match | None) -> bool:
    """Whether some request can be meant by both matches."""
    if one is None or other is None:
        return True
    for name in ("account", "account_source", "api_key", "asn", "country", "dialect", "model",
                 "network_kind", "operation", "profile", "route", "tier"):  # fmt: skip
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine is not None and theirs is not None and not set(mine) & set(theirs):
            return False
    streams = {one.stream, other.stream} - {None}
    if len(streams) > 1 or _apart(one.network, other.network):
        return False
    return bool(holding(other, holding(one, told.routes)))
