"""What requests there can be: the routes that a policy serves, and what a request on one shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from proxy.facts import DIALECTS, Ask, Client, Facts, Reasoning, Route, Signals, Turn
from proxy.policy.model import Policy
from proxy.rules.base import RuleKind
from proxy.rules.match import Match
from proxy.rules.subjects import FROM_BODY
from proxy.surface import rows

NAMES_END_USERS: Final = frozenset(
    {
        "anthropic_batches",
        "anthropic_complete",
        "anthropic_messages",
        "openai_batches",
        "openai_chat",
        "openai_completions",
        "openai_files",
        "openai_inputs",
        "openai_responses",
    }
)
"""Dialects whose bodies may say for which end user is asked. Gemini's know none."""

_OF_ROUTE: Final = ("dialect", "operation", "route")
_OF_ASK: Final = ("model", "stream")


@cache
def known() -> tuple[Route, ...]:
    """Every route of the table, and what stands in none."""
    found: dict[Route, None] = {}
    for row in rows():
        refused = row.kind == "refused"
        operation, name = ("", row.word) if refused else (row.word, "")
        found[Route(row.kind, row.dialect, operation, row.template, name)] = None
    found |= {Route("unknown", one, "", "unknown"): None for one in ("", *DIALECTS)}
    return tuple(found)


def served(policy: Policy) -> tuple[Route, ...]:
    """The routes whose requests come to be judged; in shadow mode no gate stands before the rules."""
    if policy.mode == "shadow":
        return known()
    return tuple(
        route
        for route in known()
        if route.kind in {"inspected", "metered", "passed"}
        or (route.kind == "refused" and route.name in policy.also_serve)
        or (route.kind == "unknown" and policy.unknown_routes == "allow")
    )


def holding(match: Match, routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that a match may hold on, each sort looked at once."""
    by_path = match.route is not None or (match.not_ is not None and match.not_.route is not None)
    known: dict[tuple[str, ...], bool] = {}
    found: list[Route] = []
    for route in routes:
        sort = (route.kind, route.dialect, route.operation, route.template if by_path else "")
        if sort not in known:
            known[sort] = holds_on(match, route)
        if known[sort]:
            found.append(route)
    return tuple(found)


def holds_on(match: Match | None, route: Route) -> bool:
    """Whether a match may hold for some request on a route."""
    if match is None:
        return True
    if any(getattr(match, name) is not None for name in _OF_ASK) and route.kind != "inspected":
        return False
    for name in _OF_ROUTE:
        wanted = getattr(match, name)
        if wanted is not None and _fact(route, name) not in wanted:
            return False
    return match.not_ is None or _fails_on(match.not_, route)


def _fails_on(inner: Match, route: Route) -> bool:
    """Whether what stands under `not` may fail, with all of its facts known."""
    of_ask = any(getattr(inner, name) is not None for name in _OF_ASK)
    if of_ask and route.kind != "inspected":
        return False
    named = [name for name in _OF_ROUTE if getattr(inner, name) is not None]
    if any(_fact(route, name) is None for name in named):
        return False
    if named_all(inner) - set(named):
        return True
    return any(_fact(route, name) not in getattr(inner, name) for name in named)


def named_all(match: Match) -> set[str]:
    """The facts that a match names."""
    return {name for name in type(match).model_fields if getattr(match, name) is not None}


def _fact(route: Route, name: str) -> str | None:
    if name == "route":
        return route.template
    return route.dialect if name == "dialect" else route.operation or None


def has_subject(route: Route, name: str) -> bool:
    """Whether a request on a route may have a subject."""
    if name in FROM_BODY and route.kind != "inspected":
        return False
    return name != "end_user" or route.dialect in NAMES_END_USERS


def counts_on(rule: RuleKind, route: Route) -> bool:
    """Whether a rule counts a request on a route that shows all that one can, or says next to nothing."""
    shown = rich(route)
    return any(rule.counters(one, "account:sample") for one in (shown, _short(shown)))


def _short(facts: Facts) -> Facts:
    return facts if facts.ask is None else replace(facts, ask=Ask("sample", (Turn("user", "hi"),)))


def rich(route: Route) -> Facts:
    """A request on a route that shows all that one can."""
    inspected = route.kind == "inspected"
    more: dict[str, Any] = {"ask": _ASK, "signals": _SIGNALS} if inspected else {}
    return Facts(_CLIENT, route, end_user="eu_sample", request_bytes=_BYTES, id="sample", **more)


_BYTES: Final = 1 << 20
_CLIENT: Final = Client(
    "192.0.2.1",
    "192.0.2.0/24",
    key_id="key_aaaaaaaaaaaaaaaa",
    account="sample",
    account_source="file",
    asn=64496,
    network_kind="hosting",
    country="NO",
)
_ASK: Final = Ask(
    "sample",
    (Turn("user", "one"), Turn("assistant", "two"), Turn("user", "three")),
    system="four",
    stream=True,
    max_output_tokens=1,
    choices=2,
    temperature=1.0,
    top_p=1.0,
    logprobs=True,
    top_logprobs=1,
    logit_bias=(("1", 1.0),),
    reasoning=Reasoning("high", 1),
    tools=("five",),
    end_user="six",
    parameters=("model",),
    prompt_logprobs=True,
    constrained=True,
)
_SIGNALS: Final = Signals(
    prompt=(1,),
    system="sys_0000000000000000",
    template="tpl_0000000000000000",
    language="en",
    client="sample",
    contradictions=("sample",),
    chunks=(1,),
    overlap="sample",
    shape="shp_0000000000000000",
    body="sample",
    running=("sample", 1),
)
