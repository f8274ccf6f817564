"""
Which rules can be judged again by what an event holds, and why the others cannot. Pure.

The log holds of a prompt only what the policy in force then had derived: hashes, topics, marks. A rule that
needs more cannot be judged, and is named; nothing is guessed.
"""

from __future__ import annotations

from typing import Final, Literal

from proxy.client.address import canonical
from proxy.policy.model import Policy
from proxy.rules.base import RuleKind
from proxy.rules.expression import ExpressionRule
from proxy.rules.match import Match
from proxy.signals.wants import Wants

Shown = Literal["full", "subnet", "hashed"]
"""How a log shows addresses."""

UNTOLD: Final = frozenset({"ask.tools", "ask.parameters"})
"""Facts of expressions that no event holds whole."""
_ALWAYS: Final = frozenset({"client"})
"""Signals that are derived whatever the policy."""
_NEVER: Final = frozenset({"body", "overlap", "running", "shape"})
"""Signals that no event holds."""


def shown_addresses(address: str) -> Shown:
    """How this address is shown."""
    if canonical(address) is not None:
        return "full"
    return "subnet" if "/" in address else "hashed"


def obstacles(policy: Policy, recorded: Wants | None, addresses: Shown) -> dict[str, str]:
    """Rules that cannot be judged by an event, and why. `recorded` is what was derived when it was written,
    None where the policy that had it derived is not known."""
    found: dict[str, str] = {}
    for rule in policy.rules:
        why = _of_body(rule, recorded) or _of_address(rule, addresses)
        for exemption in policy.exemptions:
            if why is None and rule.name in exemption.rules:
                paths = set() if exemption.when is None else set(exemption.when.paths)
                missing = _missing(_named(exemption.match), paths, (), addresses)
                why = missing and f"{missing}, by which `{exemption.name}` exempts from it"
        if why is not None:
            found[rule.name] = why
    return found


def _of_body(rule: RuleKind, recorded: Wants | None) -> str | None:
    derived = _ALWAYS if recorded is None else (recorded.signals | _ALWAYS) - _NEVER
    needs: list[str] = sorted(rule.wants - derived)
    texts = () if recorded is None else recorded.texts
    tables = () if recorded is None else recorded.requests
    needs += [one.name for one in rule.reads_texts if one not in texts]
    needs += [one.name for one in rule.reads_requests if one not in tables]
    if needs:
        unknown = ", for the policy that wrote it is not known" if recorded is None else ""
        return f"the log does not hold what it needs ({', '.join(needs)}){unknown}"
    if untold := sorted(_paths(rule) & UNTOLD):
        return f"no event holds {', '.join(untold)}"
    return None


def _of_address(rule: RuleKind, addresses: Shown) -> str | None:
    matched = _named(rule.match)
    if rule.kind == "listed":
        matched |= {"address"}
    per = rule.per
    if getattr(rule, "max_subnets", None) is not None:
        per += ("subnet",)
    return _missing(matched, _paths(rule), per, addresses)


def _paths(rule: RuleKind) -> set[str]:
    """The facts that its expressions and counters name."""
    paths = {path for one in rule.expressions for path in one.paths}
    if isinstance(rule, ExpressionRule):
        paths |= {one.distinct for one in rule.readings.values() if one.distinct is not None}
    return paths


def _missing(
    matched: set[str], paths: set[str], per: tuple[str, ...], addresses: Shown
) -> str | None:
    """What of addresses the log does not show."""
    if addresses == "full":
        return None
    whole = not matched.isdisjoint({"address", "network"}) or "client.address" in paths
    if whole or (addresses == "subnet" and "address" in per):
        return "the log shows no addresses of callers"
    if addresses == "hashed" and ("subnet" in per or "client.subnet" in paths):
        return "the log shows no subnets of callers"
    return None


def _named(match: Match | None) -> set[str]:
    """The facts that a match names."""
    if match is None:
        return set()
    inner = _named(match.not_)
    return inner | {name for name in match.model_fields_set if getattr(match, name) is not None}


def without(policy: Policy, names: frozenset[str]) -> Policy:
    """The policy less the rules of these names."""
    if not names:
        return policy
    fields = {name: getattr(policy, name) for name in Policy.model_fields}
    fields["rules"] = tuple(rule for rule in policy.rules if rule.name not in names)
    return Policy.model_construct(**fields)
