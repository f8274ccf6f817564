"""
Excise's own event log as a record: each request's facts as far as its event holds them.

Events are written when requests end; here they are put in the order in which requests came, within a
bound. What an event does not hold, texts above all, is not made up: the rules that need it are left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from proxy.client.accounts import Accounts
from proxy.client.address import canonical, subnet
from proxy.clock import time_of
from proxy.decision import Verb
from proxy.dialects.routes import find_route
from proxy.facts import Ask, Client, Facts, Reasoning, Route, Signals, Turn, Usage
from proxy.head import Head
from proxy.policy.model import Keys
from proxy.replay.eventline import Event, EventLines
from proxy.replay.records import Record, Response
from proxy.replay.source import Source

LATE_S: Final = 900.0
"""A request is waited for so long after others have ended that came later."""
MAX_WAITING: Final = 100_000
"""Events that wait for their turn at most."""


@dataclass(slots=True)
class LoggedRecord(Record):
    """One request out of the event log."""

    event: Event
    start: float
    """Unix time of the log's first request."""
    late: bool
    """Whether it came too late in the log to be put in its place."""


def read_events(source: Source, lines: EventLines | None = None) -> Iterator[LoggedRecord]:
    """The log's requests in order of arrival; `lines` reads them, and knows afterwards what else was there.
    Raises TrafficMistake."""
    waiting: list[tuple[float, int, Event]] = []
    start: float | None = None
    last = ended = 0.0
    for number, event in lines or EventLines(source):
        at = time_of(event["timestamp"])
        ended = max(ended, at + _number(event, "duration_ms") / 1000)
        heapq.heappush(waiting, (at, number, event))
        while waiting and (waiting[0][0] < ended - LATE_S or len(waiting) > MAX_WAITING):
            start = waiting[0][0] if start is None else start
            last = max(last, waiting[0][0])
            yield _record(*heapq.heappop(waiting), start, last)
    while waiting:
        start = waiting[0][0] if start is None else start
        last = max(last, waiting[0][0])
        yield _record(*heapq.heappop(waiting), start, last)


def _number(event: Event, name: str) -> float:
    found = event.get(name)
    return float(found) if isinstance(found, int | float) else 0.0


def _record(at: float, number: int, event: Event, start: float, last: float) -> LoggedRecord:
    told = event.get("account") or event.get("client.address") or "unknown"
    status = event.get("http.response.status_code")
    response = Response(
        status if isinstance(status, int) else 0,
        int(_number(event, "gen_ai.usage.input_tokens")),
        int(_number(event, "gen_ai.usage.output_tokens")),
        int(_number(event, "gen_ai.usage.reasoning_tokens")),
        max(0.0, _number(event, "duration_ms") / 1000 - _number(event, "delayed_s")),
    )
    head = Head(
        str(event.get("http.request.method", "")), str(event.get("url.path", "")), "", (), ""
    )
    return LoggedRecord(
        number=number,
        t=last - start,
        population=str(event.get("account.profile") or "undeclared"),
        label="ambiguous",
        account=str(told),
        campaign=None,
        declared=None,
        head=head,
        body=b"",
        if_refused=None,
        response=response,
        event=event,
        start=start,
        late=at < last,
    )


def refused(event: Event) -> bool:
    """Whether the request was refused when it was recorded: then nobody knows what it would have got."""
    return event["decision"] in {Verb.THROTTLE.word, Verb.BLOCK.word}


def judged_by_rules(event: Event) -> bool:
    """Whether rules had their say: not of a request that a gate or a limit of the process has refused."""
    return "http.route" in event and not (
        refused(event) and event.get("kind") in {"gate", "limit", "store", None}
    )


def client_of(event: Event, keys: Keys, accounts: Accounts) -> Client:
    """Who asked, by what is known of keys now, or else was known when the event was written."""
    get = event.get
    address = str(get("client.address", ""))
    provisional = get("account.provisional") is True
    client = Client(
        address=address,
        subnet=subnet(address) if canonical(address) is not None else address,
        key_id=get("api_key"),
        account=get("account"),
        account_source=get("account.source"),
        tier=get("account.tier"),
        profile=get("account.profile"),
        unproven=provisional,
        provisional=provisional and keys.unknown == "provisional",
        user_agent=get("user_agent.original"),
        ja4=get("client.ja4"),
        asn=get("client.asn"),
        organization=get("client.organization"),
        network_kind=get("client.network_kind"),
        country=get("client.country"),
        declared_network=get("client.declared_network") is True,
        notes=tuple(get("client.note") or ()),
    )
    known = accounts.of_key(client.key_id) if client.key_id is not None else None
    if known is None or client.account_source == "gateway":
        return client
    return replace(
        client,
        account=known.account,
        account_source="file",
        tier=known.tier,
        profile=known.profile,
        unproven=False,
        provisional=False,
        since=known.since,
        declared_network=canonical(address) is not None and known.declares(address),
    )


def route_of(event: Event) -> Route:
    """Where it went."""
    return find_route(str(event.get("http.request.method")), str(event.get("url.path")))


def ask_of(event: Event) -> Ask | None:
    """What it asked for, but for the texts; None where the body was not read."""
    get = event.get
    if "request.turns" not in event:
        return None
    said = get("request.reasoning")
    reasoning = None
    if isinstance(said, str):
        number = said.lstrip("-").isdigit()
        reasoning = Reasoning(None if number else said, int(said) if number else None)
    mapped, biases = str(get("request.bias_map")), int(_number(event, "request.biases"))
    return Ask(
        model=get("gen_ai.request.model"),
        turns=(_UNSAID,) * int(_number(event, "request.turns")),
        stream=get("gen_ai.request.stream") is True,
        max_output_tokens=get("gen_ai.request.max_tokens"),
        choices=get("gen_ai.request.choice.count") or 1,
        temperature=get("gen_ai.request.temperature"),
        top_p=get("gen_ai.request.top_p"),
        logprobs=get("request.logprobs") is True,
        top_logprobs=get("request.top_logprobs"),
        # Which tokens is not told; which map it was is.
        logit_bias=tuple([(f"{mapped}.{number}", 0.0) for number in range(biases)]),
        reasoning=reasoning,
        tools=("",) * int(_number(event, "request.tools")),
        parameters=tuple(get("request.parameters") or ()),
        prompt_logprobs=get("request.prompt_logprobs") is True,
        constrained=get("request.constrained") is True,
        let_go_bytes=int(_number(event, "request.bytes")),
    )


_UNSAID: Final = Turn("", "")


def signals_of(event: Event) -> Signals:
    """What was derived of it."""
    get = event.get
    marks: dict[str, tuple[str, ...]] = {}
    for one in get("client.marks") or ():
        table, _, mark = str(one).partition(":")
        marks[table] = (*marks.get(table, ()), mark)
    terms = get("request.terms") or {}
    return Signals(
        prompt=tuple(get("request.sketch") or ()),
        system=get("request.system"),
        template=get("request.template"),
        language=get("request.language"),
        client=get("client.fingerprint"),
        contradictions=tuple(get("client.contradictions") or ()),
        chunks=tuple(get("request.chunks") or ()),
        terms=tuple((name, tuple(found.items())) for name, found in terms.items()),
        marks=tuple(marks.items()),
    )


def facts_of(event: Event, client: Client, route: Route, now: float, *, common: bool) -> Facts:
    """All of it; `common` says whether its template is common background."""
    ask = ask_of(event)
    return Facts(
        client,
        route,
        ask,
        event.get("end_user"),
        int(_number(event, "request.bytes")),
        signals_of(event),
        1 if ask is None else ask.choices,
        str(event["request_id"]),
        now=now,
        common_template=common,
    )


def usage_of(event: Event) -> Usage:
    """Tokens as they were counted when it was recorded; None where nothing told."""
    names = ("input_tokens", "output_tokens", "reasoning_tokens")
    return Usage(*(event.get(f"gen_ai.usage.{name}") for name in names))
