"""Limits that no request can reach, and tiers that none can choose."""

from __future__ import annotations

from typing import Final

from proxy.policy.analysis.domains import domains
from proxy.policy.analysis.overruled import Flow, covers, flows, lets_pass
from proxy.policy.analysis.told import Told
from proxy.policy.places import Spot
from proxy.policy.yamltree import Path as Place
from proxy.rules.base import RuleKind
from proxy.rules.concurrency import Concurrency
from proxy.rules.rate_limit import RateLimit
from proxy.rules.tiers import Tiered
from proxy.rules.token_budget import TokenBudget

_CHOSEN_BY: Final = {
    "tier": "client.tier",
    "account": "client.account",
    "profile": "client.profile",
    "model": "ask.model",
}


def limits(told: Told) -> None:
    """Each rule's own limits, and what it waits for beside the limits of others."""
    for at, rule in enumerate(told.policy.rules):
        if rule.name in told.dead:
            continue
        spot = told.spot(at)
        for place, tiered in tiers_of(rule):
            _tiers(told, spot, rule, place, tiered)
        if isinstance(rule, TokenBudget):
            _windows(told, spot, rule)
        _floor(told, spot, rule)


def tiers_of(rule: RuleKind) -> list[tuple[Place, Tiered[object]]]:
    """The values of a rule that are chosen by tier, account, profile or model, and where they stand."""
    if isinstance(rule, RateLimit):
        return [(("limit",), rule.limit)]  # type: ignore[list-item]  # whatever its values are
    if isinstance(rule, Concurrency):
        return [(("slots",), rule.slots)]  # type: ignore[list-item]
    if isinstance(rule, TokenBudget):
        one = len(rule.limits) == 1
        return [
            (("limits",) if one else ("limits", at), limit)  # type: ignore[misc]
            for at, limit in enumerate(rule.limits)
        ]
    return []


def _tiers(told: Told, spot: Spot, rule: RuleKind, place: Place, tiered: Tiered[object]) -> None:
    if tiered.by is None or rule.match is None:
        return
    possible = domains(told.policy, rule.match, told.routes, rule.excuse or ())
    left = possible[_CHOSEN_BY[tiered.by]]
    for name in tiered.values:
        gone = name in left.excluded or (left.values is not None and name not in left.values)
        if gone:
            message = f"no request that the rule is about has the {tiered.by} `{name}`"
            told.say("unreachable-limit", spot, (*place, name), message, key=True)


def _windows(told: Told, spot: Spot, rule: TokenBudget) -> None:
    """Windows of a budget that a shorter one never lets fill."""
    found = flows(rule)
    for at, (limit, flow) in enumerate(zip(rule.limits, found, strict=True)):
        for other in found:
            if other is not flow and other.shorter(flow) and other.within(flow):
                text = limit.otherwise.text
                message = f"`{text}` is never reached: a shorter window lets less pass"
                told.say("unreachable-limit", spot, ("limits", at), message)
                break


def _floor(told: Told, spot: Spot, rule: RuleKind) -> None:
    """More requests before anything is judged than some limit lets come in that time."""
    floor, window = getattr(rule, "min_requests", None), getattr(rule, "window", None)
    if not isinstance(floor, int) or not isinstance(window, float) or rule.counts != "admitted":
        return
    for other in told.policy.rules:
        if not isinstance(other, RateLimit) or not lets_pass(other, rule):
            continue
        if not covers(told, other, rule):
            continue
        flow: Flow = flows(other)[0]
        most = flow.most(window)
        if most < floor:
            message = (
                f"`min_requests` is never reached: `{other.name}` lets {most:.0f} pass in that time"
            )
            told.say("unreachable-limit", spot, ("min_requests",), message)
            return
