"""
The event log's fields: one owner of their names, which are an API. `docs/events.md` is made from here.

One canonical event a request. Names follow the OpenTelemetry semantic conventions where one exists.
Nothing here can carry a key, a prompt, a completion or a query: only facts are taken, never text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from proxy.client.address import canonical, subnet
from proxy.clock import utc
from proxy.decision import RuleFinding, Verb
from proxy.dialects.base import ReplyReader
from proxy.facts import Ask, Client, Signals
from proxy.judgement import Judgement
from proxy.outcome import usage_of
from proxy.passage import Progress
from proxy.policy.suspicion import Standing
from proxy.visit import Visit

Event = dict[str, Any]
Level = Literal["debug", "info", "warning", "error"]
Addresses = Literal["full", "subnet", "hashed"]

MAX_WORD: Final = 128
MAX_LIST: Final = 32
MAX_WEIGHED: Final = 16

FIELDS: Final[dict[str, tuple[str, str]]] = {
    "event": ("text", "`request`, or another event's name"),
    "level": ("text", "info, warning or error"),
    "timestamp": ("time", "RFC 3339, UTC, milliseconds; when the request's head was complete"),
    "request_id": ("text", "ULID; the caller sees it as X-Excise-Request-Id"),
    "client.address": ("text", "address after trusted hops: full, its subnet, or a hash"),
    "client.asn": ("number", "autonomous system that announces the address"),
    "client.organization": (
        "text",
        "who runs that system; left out where addresses are hashed",
    ),
    "client.network_kind": ("text", "what the network is for; `unknown` where that is not known"),
    "client.country": ("text", "ISO 3166-1 alpha-2, approximate"),
    "client.declared_network": (
        "flag",
        "true where the address stands in networks that the account has declared",
    ),
    "client.note": ("list", "oddities, such as `forwarded_header_malformed`"),
    "client.fingerprint": (
        "text",
        "the client's software by its hand: family, JSON style, headers",
    ),
    "client.contradictions": ("list", "where its hand is not what its User-Agent claims"),
    "client.marks": (
        "list",
        "marks of known relays and pipelines that the request bears, as `table:mark`",
    ),
    "client.ja4": ("text", "the TLS fingerprint that a trusted hop has told"),
    "user_agent.original": ("text", "at most 256 bytes"),
    "api_key": ("text", "keyed id of the API key, never the key"),
    "account": ("text", "owner of the key; the key's id where nothing maps it"),
    "account.source": ("text", "file, gateway or key"),
    "account.tier": ("text", "tier out of the accounts file or the gateway's header"),
    "account.profile": ("text", "declared profile"),
    "account.provisional": ("flag", "true until the upstream has accepted the key once"),
    "end_user": ("text", "keyed id of the end user within the account"),
    "http.request.method": ("text", "method"),
    "url.path": ("text", "path as it came, at most 128 characters; never the query"),
    "http.route": ("text", "the known route, or `unknown`"),
    "excise.dialect": ("text", "API dialect"),
    "gen_ai.operation.name": ("text", "chat, …"),
    "gen_ai.request.model": ("text", "model that was asked for, at most 128 characters"),
    "gen_ai.request.max_tokens": ("number", "output limit that was asked for"),
    "gen_ai.request.choice.count": ("number", "completions asked for, where not one"),
    "gen_ai.request.temperature": ("number", "temperature"),
    "gen_ai.request.top_p": ("number", "nucleus"),
    "gen_ai.request.stream": ("flag", "whether a stream was asked for"),
    "request.turns": ("number", "messages in the body"),
    "request.bytes": ("number", "bytes of the body"),
    "request.parameters": (
        "list",
        "top-level keys of the body, in wire order; `?` for what is no parameter's name",
    ),
    "request.sketch": ("list", "marks of the newest prompt, by which near-duplicates are one"),
    "request.chunks": (
        "list",
        "marks of where the conversation began and of what the newest prompt brings",
    ),
    "request.system": ("text", "keyed fingerprint of the system prompt, variable parts masked"),
    "request.template": ("text", "keyed fingerprint of how the newest prompt begins"),
    "request.language": ("text", "of the newest prompt, as far as small words or script tell"),
    "request.terms": (
        "object",
        "of each lexicon that the newest prompt holds something of: categories and their weights",
    ),
    "request.tools": ("number", "tools declared"),
    "request.logprobs": ("flag", "whether log probabilities were asked for"),
    "request.top_logprobs": ("number", "log probabilities that were asked for of each token"),
    "request.biases": ("number", "tokens with a bias, where any"),
    "request.bias_map": (
        "text",
        "keyed fingerprint of the map of biases, by which equal ones are told",
    ),
    "request.prompt_logprobs": (
        "flag",
        "whether log probabilities of the prompt itself were asked for",
    ),
    "request.constrained": ("flag", "whether the server's grammar or choices force the answer"),
    "request.asks": ("number", "prompts or requests in one body, where not one"),
    "request.reasoning": ("text", "reasoning effort or thinking budget that was asked for"),
    "decision": ("text", "allow, log, delay, degrade, throttle or block"),
    "rule": ("text", "rule, gate or limit that decided; null where none did"),
    "kind": ("text", "its kind; `gate` for keys, routes and bodies, `limit` for the process's own"),
    "reason": ("text", "stable word"),
    "evidence": (
        "object",
        "the numbers it was judged by; whose limit, suspicion or ban it was by its kind, `subject`",
    ),
    "findings": (
        "list",
        "names of the enforced rules that fired, where more than one; suspicion as `suspicion:account`",
    ),
    "shadow": ("list", "names of the shadow rules that would have acted, likewise"),
    "weighed": (
        "list",
        (
            "every finding, strongest first, where another one than that which decided was weighed: "
            "rule, kind, reason, action, shadow, evidence, delay_s, ban_s, degrade"
        ),
    ),
    "exempted_by": ("list", "exemptions that spoke"),
    "campaign": ("text", "campaign that the account is a member of"),
    "ties": ("list", "rules that tied the account to something that others share, in shadow too"),
    "allowance": ("text", "why an operator allows this account everything, and until when"),
    "suspicion": (
        "object",
        (
            "levels as the request came, `families` of evidence, `with_shadow` what shadow rules add up "
            "to, `levels` of each rule, `~` before those in shadow"
        ),
    ),
    "expression_errors": (
        "object",
        (
            "rules and exemptions with an expression that could not be evaluated, and why: "
            "`absent asn`, `failed`"
        ),
    ),
    "degrade": ("list", "what the policy takes from this request and its answer"),
    "degraded": (
        "list",
        "what was changed: fields of the request; `reasoning`, `logprobs`, `output`, `pace` of the answer",
    ),
    "would_degrade": ("list", "what shadow rules would have taken"),
    "no_subject": ("list", "rules that found nobody to count"),
    "delayed_s": ("number", "seconds the request was held back"),
    "mode": ("text", "shadow or bypass, where the process or its policy does not enforce"),
    "policy": ("text", "content hash of the policy"),
    "store": ("text", "ok, local, skipped, blocked or unused: how it was counted"),
    "http.response.status_code": ("number", "what the client was answered; null where it had left"),
    "outcome": (
        "text",
        "complete, client_closed, client_stalled, upstream_error, upstream_timeout or drained",
    ),
    "upstream.request_id": ("text", "the upstream's own id"),
    "gen_ai.response.id": ("text", "the id that the reply gives itself, at most 128 characters"),
    "gen_ai.response.model": (
        "text",
        "the model that the reply says has made it, at most 128 characters",
    ),
    "gen_ai.response.finish_reason": ("text", "why the model stopped, in the dialect's word"),
    "gen_ai.usage.input_tokens": ("number", "as the upstream reported; 0 where refused"),
    "gen_ai.usage.output_tokens": ("number", "as reported, else estimated from what passed"),
    "gen_ai.usage.reasoning_tokens": ("number", "as reported"),
    "usage.estimated": ("flag", "true where the upstream reported no usage"),
    "response.bytes": ("number", "bytes of the body sent to the client"),
    "decide_ms": ("number", "from facts to decision, the store's answer included"),
    "store_ms": ("number", "waiting for the store"),
    "upstream_ms": ("number", "until the head of the upstream's reply; null where not asked"),
    "duration_ms": ("number", "until the last byte"),
}
"""Name → type and meaning, of the `request` event."""

_NOTICE: Final = ("subject", "by", "because", "ends")

OTHER_EVENTS: Final[dict[str, tuple[Level, str, tuple[str, ...]]]] = {
    "start": ("info", "the process begins", ("version", "mode", "policy", "store", "upstream")),
    "listening": ("info", "a listener is open", ("listener", "host", "port")),
    "ready": ("info", "requests are served", ()),
    "reloaded": (
        "info",
        "a changed file is in force; requests under way end by what they began with",
        ("what", "digest", "mode"),
    ),
    "reload_refused": (
        "error",
        "a changed file has mistakes; the last good one stays in force",
        ("what", "mistakes"),
    ),
    "feed_missing": (
        "warning",
        "a feed of networks is named in the settings and was never fetched",
        ("feed",),
    ),
    "list_read": ("info", "a list of the store is in force, or another one", ("list", "entries")),
    "list_unread": (
        "warning",
        "a list of the store, or entries of it, cannot be taken in",
        ("list", "count", "reason"),
    ),
    "store_down": ("error", "the store does not answer; `on_store_failure` decides", ("reason",)),
    "store_full": ("error", "the store is out of memory", ("reason",)),
    "store_up": ("info", "the store answers again", ()),
    "store_evicts": (
        "warning",
        "the store may forget counters to make room: its maxmemory-policy is not noeviction",
        ("policy",),
    ),
    "classifier_down": (
        "warning",
        "the classifier has failed three times in a row and is left alone for a while",
        ("reason",),
    ),
    "classifier_up": ("info", "the classifier answers again", ()),
    "classifier_missing": (
        "warning",
        "a rule says `classifier: true`, and no `classifier.url` is set; its lexicon counts alone",
        (),
    ),
    "secret_mismatch": (
        "error",
        "other replicas on the store have another secret; this one is not ready",
        (),
    ),
    "policy_warning": (
        "warning",
        "something in the policy can hardly be meant so: [warnings](check.md)",
        ("file", "line", "column", "code", "message"),
    ),
    "banned": ("warning", "a rule, suspicion or an operator bans a subject", _NOTICE),
    "ban_lifted": ("info", "an operator lifts a ban", _NOTICE),
    "allowed": ("info", "an operator allows an account everything for a while", _NOTICE),
    "allowance_lifted": ("info", "an operator ends that", _NOTICE),
    "common_learnt": (
        "info",
        "a prompt template is common background now: many long-standing customers use it",
        _NOTICE,
    ),
    "common_revoked": ("info", "an operator takes that back", _NOTICE),
    "campaign": (
        "warning",
        "accounts have been found to belong together, or many more of them",
        ("campaign", "members", "suspected", "families", "signals", "since", "merged"),
    ),
    "verdict": (
        "info",
        (
            "an operator says of accounts of a campaign that they belong to nobody (`apart`), not to "
            "the rest (`split`), or do belong (`confirmed`); `subjects` are the first twenty of them"
        ),
        ("verdict", "campaign", "accounts", "subjects", "by", "because", "ends"),
    ),
    "verdict_lifted": ("info", "an operator takes that back", _NOTICE),
    "accepted_keys_full": (
        "warning",
        "upstream accepted more new keys than `limits.accepted_keys` or their network may have",
        (),
    ),
    "settlements_lost": ("warning", "counter corrections were given up", ("count",)),
    "log_dropped": ("warning", "events were dropped, the log could not keep up", ("count",)),
    "stream_open": (
        "info",
        "a stream is still open after 60 s, and each 60 s after",
        ("request_id", "seconds"),
    ),
    "internal_error": ("error", "a fault of ours", ("request_id", "type", "where")),
    "drain_started": ("info", "no new requests are taken", ("active", "grace_s")),
    "drain_finished": ("info", "all requests have ended", ("cut",)),
}
"""Name → level, when, and its own fields."""


_PARAMETER = re.compile(r"[a-z][A-Za-z0-9_]{0,39}").fullmatch


class EventBuilder:
    """Makes request events; how addresses are shown is fixed at start."""

    def __init__(self, addresses: Addresses, item_hash: Callable[[bytes], int]) -> None:
        self._addresses = addresses
        self._hash = item_hash

    def request(self, visit: Visit, progress: Progress, duration_s: float) -> Event:
        """The canonical event of one request that has ended."""
        decision = visit.decision
        verb = decision.verb
        event: Event = {
            "event": "request",
            "level": _level(verb, progress),
            "timestamp": visit.received,
            "request_id": visit.id,
        }
        if visit.client is not None:
            self._add_client(event, visit.client)
        head = visit.head
        event["http.request.method"] = head.method[:16]
        event["url.path"] = head.path[:MAX_WORD]
        route = visit.route
        if route is not None:
            event["http.route"] = route.template
            event["excise.dialect"] = route.dialect
            if route.operation:
                event["gen_ai.operation.name"] = route.operation
        if visit.end_user is not None:
            event["end_user"] = visit.end_user
        event["request.bytes"] = len(visit.body)
        _add_file(event, visit)
        if (ask := visit.ask) is not None:
            _add_ask(event, ask)
            if (biases := visit.told_biases) is not None:
                event["request.biases"] = biases[0]
                event["request.bias_map"] = f"bias_{self._hash(biases[1]):016x}"
            if visit.read is not None and visit.read.more:
                event["request.asks"] = 1 + len(visit.read.more)
            _add_signals(event, visit.signals)
        event["decision"] = verb.word
        event["rule"] = decision.rule
        event["kind"] = decision.kind
        event["reason"] = decision.reason
        if decision.evidence:
            event["evidence"] = dict(decision.evidence)
        if decision.findings:
            _add_findings(event, visit)
        _add_judgement(event, visit)
        _add_answer(event, visit, progress)
        event["decide_ms"] = round(visit.decide_s * 1000, 3)
        upstream_s = progress.upstream_s
        event["upstream_ms"] = None if upstream_s is None else round(upstream_s * 1000, 3)
        event["duration_ms"] = round(duration_s * 1000, 3)
        return event

    def rejected(self, peer: str, request_id: str, now: float, status: int, reason: str) -> Event:
        """The event of bytes that never became a request."""
        event: Event = {
            "event": "request",
            "level": "warning",
            "timestamp": now,
            "request_id": request_id,
            "client.address": self._address(peer, subnet(peer) if canonical(peer) else ""),
            "decision": Verb.BLOCK.word,
            "rule": None,
            "kind": "limit",
            "reason": reason,
            "http.response.status_code": status,
            "outcome": "complete",
        }
        return event

    def subject(self, name: str) -> str:
        """A subject as events show it: its address no fuller than elsewhere."""
        kind, _, value = name.partition(":")
        if kind in {"address", "unproven"}:
            return f"{kind}:{self._address(value, subnet(value))}"
        if kind == "subnet" and self._addresses == "hashed":
            return f"{kind}:{self._address(value, value)}"
        return name

    def _add_client(self, event: Event, client: Client) -> None:
        event["client.address"] = self._address(client.address, client.subnet)
        self._add_network(event, client)
        if client.notes:
            event["client.note"] = list(client.notes)
        if client.ja4 is not None:
            event["client.ja4"] = client.ja4
        if client.user_agent is not None:
            event["user_agent.original"] = client.user_agent
        if client.key_id is not None:
            event["api_key"] = client.key_id
        if client.account is not None:
            event["account"] = client.account
            event["account.source"] = client.account_source
        if client.tier is not None:
            event["account.tier"] = client.tier
        if client.profile is not None:
            event["account.profile"] = client.profile
        if client.provisional:
            event["account.provisional"] = True

    def _add_network(self, event: Event, client: Client) -> None:
        if client.asn is not None:
            event["client.asn"] = client.asn
        # An operator's list may name a single household or office: then a hash would hide nothing.
        if client.organization is not None and self._addresses != "hashed":
            event["client.organization"] = client.organization[:MAX_WORD]
        if client.network_kind is not None:
            event["client.network_kind"] = client.network_kind
        if client.country is not None:
            event["client.country"] = client.country
        if client.declared_network:
            event["client.declared_network"] = True

    def _address(self, address: str, subnet: str) -> str:
        if self._addresses == "full":
            return address
        if self._addresses == "subnet":
            return subnet
        return f"addr_{self._hash(address.encode()):016x}"


def _add_file(event: Event, visit: Visit) -> None:
    if visit.file is not None:
        event["request.bytes"] = visit.file.bytes
        event["request.asks"] = visit.file.asks
    if visit.batch is not None:
        event["request.asks"] = visit.batch.total


def _add_ask(event: Event, ask: Ask) -> None:
    if ask.model is not None:
        event["gen_ai.request.model"] = ask.model[:MAX_WORD]
    if ask.choices != 1:
        event["gen_ai.request.choice.count"] = ask.choices
    for name, told in (
        ("gen_ai.request.max_tokens", ask.max_output_tokens),
        ("gen_ai.request.temperature", ask.temperature),
        ("gen_ai.request.top_p", ask.top_p),
        ("request.top_logprobs", ask.top_logprobs),
    ):
        if told is not None:
            event[name] = told
    event["gen_ai.request.stream"] = ask.stream
    event["request.turns"] = len(ask.turns)
    # A key is the caller's text like any other: only what looks like a parameter's name is shown.
    event["request.parameters"] = [
        name if _PARAMETER(name) else "?" for name in ask.parameters[:MAX_LIST]
    ]
    if ask.tools:
        event["request.tools"] = len(ask.tools)
    if ask.logprobs:
        event["request.logprobs"] = True
    if ask.prompt_logprobs:
        event["request.prompt_logprobs"] = True
    if ask.constrained:
        event["request.constrained"] = True
    if ask.reasoning is not None:
        reasoning = ask.reasoning
        event["request.reasoning"] = str(reasoning.effort or reasoning.budget_tokens)[:32]


def _add_signals(event: Event, signals: Signals) -> None:
    if signals.client is not None:
        event["client.fingerprint"] = signals.client
    if signals.contradictions:
        event["client.contradictions"] = list(signals.contradictions)
    if signals.prompt:
        event["request.sketch"] = list(signals.prompt)
    if signals.chunks:
        event["request.chunks"] = list(signals.chunks)
    if signals.marks:
        marks = [f"{table}:{mark}" for table, found in signals.marks for mark in found]
        event["client.marks"] = marks[:MAX_LIST]
    if signals.system is not None:
        event["request.system"] = signals.system
    if signals.template is not None:
        event["request.template"] = signals.template
    if signals.language is not None:
        event["request.language"] = signals.language
    if signals.terms:
        event["request.terms"] = {name: dict(found) for name, found in signals.terms}


def _add_findings(event: Event, visit: Visit) -> None:
    findings = visit.decision.findings
    # A subject may have reached several thresholds of suspicion: it is named once.
    enforced = list(dict.fromkeys(one.told for one in findings if not one.shadow))
    if len(enforced) > 1:
        event["findings"] = enforced[:MAX_LIST]
    shadow = list(dict.fromkeys(one.told for one in findings if one.shadow))
    if shadow:
        event["shadow"] = shadow[:MAX_LIST]
        if (watched := visit.decision.would_degrade) is not None:
            event["would_degrade"] = list(watched.actions.values())
    if shadow or len(enforced) > 1:
        event["weighed"] = [_weighed(one) for one in findings[:MAX_WEIGHED]]
    if (degradation := visit.degradation) is not None:
        event["degrade"] = list(degradation.actions.values())
        if degraded := visit.all_degraded:
            event["degraded"] = list(degraded[:MAX_LIST])


def _weighed(found: RuleFinding) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rule": found.rule,
        "kind": found.kind,
        "reason": found.finding.reason,
        "action": found.verb.word,
        "evidence": dict(found.finding.evidence),
    }
    if found.shadow:
        told["shadow"] = True
    if found.delay_s:
        told["delay_s"] = round(found.delay_s, 3)
    if found.ban_s:
        told["ban_s"] = found.ban_s
    if found.degradation is not None:
        told["degrade"] = list(found.degradation.actions.values())
    return told


def _add_judgement(event: Event, visit: Visit) -> None:
    judgement = visit.judgement
    if visit.delayed_s:
        event["delayed_s"] = round(visit.delayed_s, 3)
    if visit.watching:
        event["mode"] = "shadow" if visit.mode == "enforce" else visit.mode
    event["policy"] = visit.policy.digest
    if judgement is None:
        event["store"] = "unused"
        return
    event["store"] = judgement.store
    if judgement.store_s:
        event["store_ms"] = round(judgement.store_s * 1000, 3)
    if judgement.allowance is not None:
        allowance = judgement.allowance
        event["allowance"] = f"{allowance.because} (until {utc(allowance.ends)})"
    _add_standing(event, judgement)
    if judgement.exempted_by:
        event["exempted_by"] = list(judgement.exempted_by[:MAX_LIST])
    if judgement.expression_errors:
        errors = list(judgement.expression_errors.items())[:MAX_LIST]
        event["expression_errors"] = dict(errors)
    if judgement.no_subject:
        event["no_subject"] = list(judgement.no_subject[:MAX_LIST])


def _add_standing(event: Event, judgement: Judgement) -> None:
    if judgement.campaign is not None:
        event["campaign"] = judgement.campaign
    if judgement.ties:
        event["ties"] = list(judgement.ties[:MAX_LIST])
    if judgement.standings:
        event["suspicion"] = _suspicion(judgement.standings)


def _suspicion(standings: Sequence[Standing]) -> dict[str, Any]:
    said: dict[str, Any] = {stood.name: round(stood.level, 1) for stood in standings}
    said["families"] = sorted({family for stood in standings for family in stood.families})
    watched = {
        stood.name: round(stood.level_with_shadow, 1)
        for stood in standings
        if stood.level_with_shadow > stood.level
    }
    if watched:
        said["with_shadow"] = watched
    said["levels"] = {
        stood.name: {rule: round(level, 1) for rule, level in stood.levels.items()}
        for stood in standings
    }
    return said


def _add_answer(event: Event, visit: Visit, progress: Progress) -> None:
    event["http.response.status_code"] = progress.status
    event["outcome"] = progress.end
    if progress.upstream_request_id is not None:
        event["upstream.request_id"] = progress.upstream_request_id
    if progress.bytes_out:
        event["response.bytes"] = progress.bytes_out
    reader = visit.reader
    if reader is not None:
        _add_reply(event, reader, visit, progress)
    elif visit.ask is not None:
        event["gen_ai.usage.input_tokens"] = event["gen_ai.usage.output_tokens"] = 0


def _add_reply(event: Event, reader: ReplyReader, visit: Visit, progress: Progress) -> None:
    if reader.response_id is not None:
        event["gen_ai.response.id"] = reader.response_id
    if reader.response_model is not None:
        event["gen_ai.response.model"] = reader.response_model
    if reader.finish_reason is not None:
        event["gen_ai.response.finish_reason"] = reader.finish_reason[:64]
    usage, estimated = usage_of(visit, progress)
    if usage.input_tokens is not None:
        event["gen_ai.usage.input_tokens"] = usage.input_tokens
    if usage.reasoning_tokens is not None:
        event["gen_ai.usage.reasoning_tokens"] = usage.reasoning_tokens
    if estimated:
        event["usage.estimated"] = True
    event["gen_ai.usage.output_tokens"] = usage.output_tokens or 0


def _level(verb: Verb, progress: Progress) -> Level:
    if progress.end in {"upstream_error", "upstream_timeout"}:
        return "error"
    return "warning" if verb.refuses else "info"


def other(name: str, now: float, **fields: Any) -> Event:
    """One of OTHER_EVENTS. Raises KeyError or ValueError for what is not documented there."""
    level, _, known = OTHER_EVENTS[name]
    if fields.keys() - set(known):
        raise ValueError(f"undocumented fields of `{name}`: {sorted(fields.keys() - set(known))}")
    return {"event": name, "level": level, "timestamp": now, **fields}


def reference() -> str:
    """docs/events.md's tables."""
    lines = ["## `request`", "", "| field | type | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in FIELDS.items()]
    lines += ["", "## Other events", "", "| event | level | when | fields |", "|---|---|---|---|"]
    for name, (level, when, fields) in OTHER_EVENTS.items():
        listed = ", ".join(f"`{field}`" for field in fields)
        lines.append(f"| `{name}` | {level} | {when} | {listed} |")
    return "\n".join(lines) + "\n"
