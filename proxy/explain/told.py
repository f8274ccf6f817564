"""An explanation as plain data: the same of a live request and a what-if, less of an event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from proxy.counters.protocol import (
    SEEN_MAX,
    Count,
    Different,
    Distinct,
    Held,
    Lease,
    Novel,
    Novelty,
    Op,
    Paced,
    Reading,
    ReadScore,
    Reserve,
    Scores,
    Seen,
    Sighting,
    Take,
    Taken,
    Tallied,
    Tally,
    Total,
)
from proxy.decision import Verb
from proxy.explain.evidence import flip_of_event
from proxy.explain.flip import flip
from proxy.explain.near import nearest
from proxy.explain.trace import Trace, Weighed
from proxy.explain.way import judged
from proxy.explain.why import why_not
from proxy.explain.would import Told, findings_of, shadow
from proxy.facts import Facts
from proxy.rules.base import RuleKind
from proxy.rules.tiers import Tiered
from proxy.rules.units import Rate, duration_text

_BOUNDS: Final = ("limit", "limits", "burst", "slots", "window", "tokens")


def of_trace(trace: Trace) -> Told:
    """All that is known of a request whose trace was kept."""
    event = dict(trace.event)
    if isinstance(event.get("timestamp"), float):
        moment = datetime.fromtimestamp(event["timestamp"], UTC)
        event["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said: Told = {"event": event, "rules": rules_of(trace)}
    if (otherwise := flip(trace)) is not None:
        said["flip"] = otherwise
    if trace.decision.verb < Verb.THROTTLE and (near := nearest(trace)):
        said["nearest"] = near
    if (watched := shadow(trace.findings)) is not None:
        said["shadow"] = watched
    return said


def of_event(event: Mapping[str, Any]) -> Told:
    """What an event of a request tells by itself."""
    findings = findings_of(event)
    said: Told = {"event": dict(event)}
    if (otherwise := flip_of_event(event, findings)) is not None:
        said["flip"] = otherwise
    watched = shadow(findings)
    if watched is not None:
        said["shadow"] = watched
    elif event.get("shadow"):
        said["shadow"] = {"unknown": list(event["shadow"])}
    return said


def rules_of(trace: Trace) -> list[Told]:
    """Each rule of the policy: whether it was about the request, what it read, and what it found."""
    addresses = trace.event.get("client.address") == (
        trace.facts.client.address if trace.facts is not None else ""
    )
    told: list[Told] = []
    for rule in trace.policy.rules:
        said: Told = {"rule": rule.name, "kind": rule.kind}
        if rule.mode == "shadow":
            said["mode"] = rule.mode
        asked = [one for one in trace.weighed if one.rule is rule]
        if not asked:
            said |= {"applied": False, "why": why_not(rule, trace, addresses=addresses)}
        else:
            said |= {"applied": True, **_verdict(asked, trace)}
            if rule.links:
                said["ties"] = _ties(asked, addresses=addresses)
        told.append(said)
    return told


def _verdict(asked: list[Weighed], trace: Trace) -> Told:
    rule = asked[0].rule
    found = next((one for one in trace.findings if one.rule == rule.name), None)
    shadowed = found is not None and found.shadow
    one = next(
        (
            one
            for one in asked
            if found is not None
            and (again := judged(one, trace, one.readings, shadow=shadowed)) is not None
            and again.finding == found.finding
        ),
        asked[0],
    )
    said: Told = {"per": "+".join(rule.per)}
    if read := [
        text for op, of in zip(one.ops, one.readings, strict=True) if (text := _read(op, of))
    ]:
        said["read"] = read
    if bounds := _bounds(rule, one.facts):
        said["bounds"] = bounds
    if len(asked) > 1:
        said["asks"] = len(asked)
    if found is None:
        return {**said, "found": None}
    said |= {"found": found.finding.reason, "evidence": dict(found.finding.evidence)}
    said["action"] = found.verb.word
    if found.delay_s:
        said["delay_s"] = round(found.delay_s, 3)
    if rule.score is not None:
        said["score"] = rule.score
    return said


def _ties(asked: list[Weighed], *, addresses: bool) -> list[str]:
    """To what a rule that links has tied the account; `addresses` says whether one may be shown."""
    things = {
        tie.thing: None for one in asked for tie in one.rule.ties(one.facts, one.ops, one.readings)
    }
    of_network = ("address:", "subnet:")
    return [
        thing if addresses or not thing.startswith(of_network) else thing.partition(":")[0]
        for thing in things
    ]


def _bounds(rule: RuleKind, facts: Facts) -> Told:
    """The fields that a rule judges by, as they hold for this request."""
    told: Told = {}
    for name in type(rule).model_fields:
        given = getattr(rule, name)
        bound = name in _BOUNDS or name.startswith(("max_", "min_"))
        if not bound or given is None:
            continue
        if name == "limits" and isinstance(given, tuple):
            told[name] = ", ".join(_limit(one, facts) for one in given)
        elif name == "limits":
            told |= {str(key): value for key, value in dict(given).items()}
        elif name == "window":
            told[name] = duration_text(given)
        else:
            told[name] = _limit(given, facts)
    return told


def _limit(given: Any, facts: Facts) -> Any:
    if isinstance(given, Tiered):
        given = given.of(facts)[1]
    if isinstance(given, Rate):
        return given.text
    return given if isinstance(given, int | float | str) else str(given)


def _levels(subject: str, levels: Mapping[str, float]) -> str:
    if subject.startswith("body:"):
        return f"{len(levels):,} accounts that were refused the same"
    return f"{sum(levels.values()):.1f} gaps of {len(levels):,} lengths of late"


def _read(op: Op, reading: Reading) -> str | None:
    """One reading in words."""
    match op, reading:
        case Take() | Reserve(), Taken():
            noun = "tokens" if isinstance(op, Reserve) else "requests"
            rate = f"{op.amount:,} in {duration_text(op.period)}"
            return f"{reading.remaining:,} of {op.burst:,} {noun} at once left, {rate}"
        case Count(), Total():
            return f"{reading.total:,} in {duration_text(op.window)}"
        case Distinct(), Different():
            most = "at least " if reading.distinct >= op.most else ""
            return f"{most}{reading.distinct:,} different in {duration_text(op.window)}"
        case Novel(), Novelty():
            new = min(round(reading.total), reading.requests)
            span = duration_text(op.window)
            what = "standing alone" if op.key.endswith(":chunks") else "with a new prompt"
            return f"{new:,} of {reading.requests:,} requests {what} in {span}"
        case Tally(), Tallied():
            span = duration_text(op.window)
            shown = " and ".join(f"{one:,}" for one in reading.shown) or "not this one"
            return f"{reading.requests:,} requests in {span}, of which show it: {shown}"
        case Seen(), Sighting():
            # Of a list each one's place stands behind the account.
            accounts = len({who.partition(" ")[0] for who in (*reading.who, op.who)})
            most = "at least " if len(reading.who) >= SEEN_MAX else ""
            return f"{most}{accounts} accounts in {duration_text(op.ttl)}, with this one"
        case ReadScore(), Scores():
            return _levels(op.subject, reading.levels)
        case Lease(), Held() if op.slots:
            return f"{reading.held:,} of {op.slots:,} slots held"
        case _, Paced():
            return (
                f"{sum(reading.hours):,} requests in 24h, gaps of {reading.mean_s:.1f} s on average, "
                f"varying by {reading.variation:.3f} of it"
            )
    return None
