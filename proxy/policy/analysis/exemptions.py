"""Exemptions that lift nothing."""

from __future__ import annotations

from proxy.policy.analysis.matches import fits, routes_left, truth
from proxy.policy.analysis.told import Told
from proxy.policy.model import Exemption
from proxy.policy.places import Spot
from proxy.policy.yamltree import Path as Place


def exemptions(told: Told, now: float) -> None:
    """Those that have ended, that can never hold, or that are about nothing that their rules see."""
    routes = told.routes
    for at, one in enumerate(told.policy.exemptions):
        spot = Spot(told.main.tree, ("exemptions", at))
        if one.ended(now):
            message = f"exemption `{one.name}` ended on {one.until}; it lifts nothing"
            told.say("expired-exemption", spot, ("until",), message)
            continue
        left = routes_left(told, spot, one.match, routes)
        if left is not None and truth(told, spot, one.when, one.match, left):
            _rules(told, spot, one)


def _rules(told: Told, spot: Spot, exemption: Exemption) -> None:
    rules = {rule.name: rule for rule in told.policy.rules}
    for index, name in enumerate(exemption.rules):
        rule = rules[name]
        listed = (*spot.place, "rules", index) in spot.tree.values
        place: Place = ("rules", index) if listed else ("rules",)
        if name in told.dead:
            told.say("idle-exemption", spot, place, f"`{name}` never fires anyway")
        elif not fits(told, exemption.match, rule.match):
            message = f"`{name}` is about none of the requests that this exemption covers"
            told.say("idle-exemption", spot, place, message)
        elif _excused(exemption, rule.excuse or ()):
            message = f"`{name}` excuses these profiles already"
            told.say("idle-exemption", spot, place, message)


def _excused(exemption: Exemption, excused: tuple[str, ...]) -> bool:
    profiles = exemption.match.profile if exemption.match is not None else None
    return profiles is not None and set(profiles) <= set(excused)
