"""
What a policy says of accounts and tiers, beside the accounts file.

An account that a trusted gateway names, or a key that stands for itself, is in no file: `account_source` in
the same `match` says so, and then nothing is told.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from proxy.client.accounts import Account
from proxy.nearest import nearest
from proxy.policy.analysis.limits import tiers_of
from proxy.policy.analysis.told import Told
from proxy.policy.places import Spot
from proxy.policy.yamltree import Path as Place
from proxy.rules.match import Match
from proxy.rules.subjects import KEY_ID


def declared(told: Told, accounts: Sequence[Account]) -> None:
    """Names that no account has, and matches that no account meets."""
    known = _Known(told, accounts)
    for at, rule in enumerate(told.policy.rules):
        spot = told.spot(at)
        known.of_match(spot, ("match",), rule.match)
        for place, tiered in tiers_of(rule):
            if tiered.by in {"tier", "account"}:
                for name in tiered.values:
                    known.name(spot, (*place, name), str(tiered.by), name, key=True)
    for at, exemption in enumerate(told.policy.exemptions):
        spot = Spot(told.main.tree, ("exemptions", at))
        if known.of_match(spot, ("match",), exemption.match) and exemption.match is not None:
            known.together(spot, exemption.match)


class _Known:
    def __init__(self, told: Told, accounts: Sequence[Account]) -> None:
        self._told = told
        self._accounts = accounts
        self._names = {
            "account": {one.account for one in accounts},
            "tier": {one.tier for one in accounts if one.tier is not None},
        }

    def name(self, spot: Spot, place: Place, kind: str, name: str, *, key: bool = False) -> bool:
        """Whether an account, or a tier, is declared; told where it is not."""
        known = self._names[kind]
        if name in known or KEY_ID(name):
            return True
        what = "account is called" if kind == "account" else "account has the tier"
        message = f"no declared {what} `{name}`"
        near = nearest(name, known)
        self._told.say(f"unknown-{kind}", spot, place, message, near, key=key)
        return False

    def of_match(self, spot: Spot, place: Place, match: Match | None) -> bool:
        """Whether all names of a match are declared, as far as the file can tell."""
        if match is None or _elsewhere(match):
            return match is None
        sound = True
        for kind in ("account", "tier"):
            for index, name in enumerate(getattr(match, kind) or ()):
                listed = (*spot.place, *place, kind, index)
                at = (*place, kind, index) if listed in spot.tree.values else (*place, kind)
                sound = self.name(spot, at, kind, name) and sound
        if match.not_ is not None:
            self.of_match(spot, (*place, "not"), match.not_)
        return sound

    def together(self, spot: Spot, match: Match) -> None:
        """Told where no account has all that a match asks for."""
        if match.account is None and match.tier is None and match.profile is None:
            return
        if any(KEY_ID(name) for name in match.account or ()):
            return
        left = [one for one in self._accounts if _meets(one, match)]
        if not left:
            message = "no declared account has all of this `match` together"
            self._told.say("undeclared", spot, ("match",), message)
        elif match.network is not None and all(one.networks for one in left):
            asked = [ipaddress.ip_network(text) for text in match.network]
            if not _overlap(asked, (network for one in left for network in one.networks)):
                message = "none of these accounts has declared such a `network`"
                self._told.say("undeclared", spot, ("match", "network"), message)


def _elsewhere(match: Match) -> bool:
    return match.account_source is not None and "file" not in match.account_source


def _meets(account: Account, match: Match) -> bool:
    asked = (
        (match.account, account.account),
        (match.tier, account.tier),
        (match.profile, account.profile),
    )
    return all(wanted is None or has in wanted for wanted, has in asked)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _overlap(asked: Sequence[Network], known: Iterable[Network]) -> bool:
    return any(
        one.version == other.version and one.overlaps(other) for other in known for one in asked
    )
