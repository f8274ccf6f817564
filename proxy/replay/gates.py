"""
The gates of a policy, judged again by what an event holds: route, key, and what gates found then. Pure.

Whether a body can be read is told where the policy in force then had it looked at; where it let such bodies
pass, nothing in the log tells them apart from those that were never read, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from proxy.client.identity import MISSING, UNKNOWN
from proxy.decision import Decision, Finding, RuleFinding, Verb
from proxy.explain.would import findings_of
from proxy.facts import Client, Route
from proxy.pipeline import REFUSED_ROUTE, UNKNOWN_ROUTE
from proxy.policy.model import Policy
from proxy.replay.eventline import Event

GATE: Final = "gate"
_RE_JUDGED: Final = frozenset({MISSING.reason, UNKNOWN.reason})
"""What of `keys` depends on the policy; the rest is about the request, whatever the policy."""


def served(route: Route, policy: Policy) -> Route:
    """The route as the policy serves it."""
    if route.kind == "refused" and route.name in policy.also_serve:
        return replace(route, kind="metered")
    return route


def gates(
    event: Event, client: Client, route: Route, policy: Policy, *, watching: bool
) -> tuple[RuleFinding, ...]:
    """What the policy's gates find: all of it where they only watch, else the first, which refuses."""
    found = tuple(
        RuleFinding(name, GATE, "listed", watching, Verb.BLOCK, Finding(reason, evidence))
        for name, reason, evidence in _found(event, client, route, policy)
    )
    return found if watching else found[:1]


def unread(event: Event, route: Route) -> bool:
    """Whether nobody knows if the body could have been read."""
    return (
        route.kind == "inspected"
        and route.dialect != "openai_files"
        and "request.turns" not in event
        and not any(one.rule == "uninspectable" for one in _recorded(event))
    )


def refusal(found: RuleFinding) -> Decision:
    """What a gate in force makes of a request."""
    reason, evidence = found.finding.reason, found.finding.evidence
    return Decision(Verb.BLOCK, found.rule, GATE, reason, evidence, findings=(found,))


def _found(
    event: Event, client: Client, route: Route, policy: Policy
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if route.kind == "refused":
        yield "unknown_routes", REFUSED_ROUTE.reason, {"route": route.name}
    elif route.kind == "unknown" and policy.unknown_routes == "block":
        yield "unknown_routes", UNKNOWN_ROUTE.reason, {}
    recorded = _recorded(event)
    flaws = [one.finding.reason for one in recorded if one.rule == "keys"]
    flaw = next((one for one in flaws if one not in _RE_JUDGED), None) or _flaw(client, policy)
    if flaw is not None:
        yield "keys", flaw, {}
    if policy.uninspectable == "block":
        for one in recorded:
            if one.rule == "uninspectable":
                yield "uninspectable", one.finding.reason, dict(one.finding.evidence)


def _flaw(client: Client, policy: Policy) -> str | None:
    """What of a key does not do by this policy."""
    if client.key_id is None:
        missing = policy.keys.missing == "block" and client.account_source != "gateway"
        return MISSING.reason if missing else None
    unknown = policy.keys.unknown == "block" and client.account_source == "key"
    return UNKNOWN.reason if unknown else None


def _recorded(event: Event) -> list[RuleFinding]:
    """What the gates of the policy in force then had found."""
    return [one for one in findings_of(event) if one.kind == GATE]
