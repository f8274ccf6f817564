"""
What an event alone tells of how a request could have been decided otherwise.

An event holds a finding's evidence: the numbers and most of the bounds that it was judged by, and not what
counters read. What is said here is worked out of those numbers, and where they do not suffice it says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from proxy.decision import Evidence, RuleFinding, Verb
from proxy.explain.flip import UNJUDGED, gate_wants
from proxy.explain.would import Told, told
from proxy.policy import suspicion
from proxy.policy.decide import decide

COUNTED: Final = {
    "max_share": (
        ("shaped", "requests of such a shape"),
        ("eliciting", "requests that ask for reasoning"),
    ),
    "max_contradicted": (("contradicted", "requests that contradict their client"),),
    "max_distinct_ratio": (("distinct", "distinct prompts"),),
}
"""Bound of a share of `requests` → which number it is a bound of, and how that is called."""
SHARES: Final = {
    "max_share": ("share", "requests that show it"),
    "max_unconnected": ("unconnected", "requests that stand alone"),
}
"""The same where the evidence holds the share alone, rounded."""
PLACES: Final = ("network_kind", "asn", "country")


def flip_of_event(event: Mapping[str, Any], findings: Sequence[RuleFinding]) -> Told | None:
    """What would have had the request pass as it came, as far as its event tells; None where it did."""
    verb = next((one for one in Verb if one.word == event.get("decision")), Verb.ALLOW)
    if verb < Verb.DELAY:
        return None
    target = Verb.THROTTLE if verb.refuses else Verb.DELAY
    acting = [found for found in findings if not found.shadow]
    deciding = [found for found in acting if found.verb >= target]
    if not deciding or event.get("kind") in {"limit", "store"}:
        return {"needs": [], "cannot": _of_process(event)}
    needs = [
        {"rule": found.told, "reason": found.finding.reason, "ways": _ways(found, event)}
        for found in deciding
    ]
    said: Told = {"needs": needs, "from": "event"}
    unknown = [str(need["rule"]) for need in needs if not need["ways"]]
    if unknown:
        said["cannot"] = (
            f"the event does not hold what {', '.join(unknown)} would have needed; ask the running process "
            "soon after, or send the request again with --request"
        )
    else:
        changes = [text for need in needs for text in need["ways"][0]]
        left = [found for found in acting if found not in deciding]
        said["changes"] = list(dict.fromkeys(changes))
        said |= (
            {"unjudged": True}
            if any(found.kind in UNJUDGED for found in deciding)
            else {"then": told(decide(left))}
        )
    return said


def _of_process(event: Mapping[str, Any]) -> str:
    if event.get("kind") == "store":
        return "the store was gone, and a rule blocks without it"
    if event.get("reason") == "delay_lanes_full":
        return "as many requests were held back already as the process has room for"
    return f"no rule has decided it, but the process itself: {event.get('reason')}"


def _ways(found: RuleFinding, event: Mapping[str, Any]) -> list[list[str]]:
    evidence = found.finding.evidence
    if found.kind == "ban":
        return [[f"after {evidence.get('until')}, when the ban ends, or once it is lifted"]]
    if found.kind == "gate":
        return [[gate_wants(found)]]
    if found.kind == suspicion.KIND:
        at = evidence.get("at")
        if isinstance(at, int | float):
            below = f"with a suspicion below {at - suspicion.NEARLY:g} and not {evidence.get('suspicion')}"
            return [[below]]
        return []
    # Of several asks in one body those behind a refused one were not judged: later may not be enough.
    waits = [] if "request.asks" in event else _later(found)
    ways = [[text] for text in (*waits, *_places(found))]
    counted = [text for text in (*_shares(evidence), *_counts(evidence)) if text]
    # Several bounds that are passed at once: whether one of them would do, only the rule knows.
    return [*ways, counted] if counted else ways


def _later(found: RuleFinding) -> list[str]:
    wait = found.finding.retry_after_s or found.finding.wait_s
    return [f"{wait:g} s later"] if wait else []


def _places(found: RuleFinding) -> list[str]:
    """`datacenter_ip` says by its reason which of an address's facts is listed."""
    name, evidence = found.finding.reason.removesuffix("_listed"), found.finding.evidence
    if found.kind != "datacenter_ip" or name not in PLACES or name not in evidence:
        return []
    return [f"from an address whose {name} is not {evidence[name]}"]


def _shares(evidence: Evidence) -> list[str]:
    requests = _number(evidence, "requests")
    if requests is None:
        return []
    told: list[str] = []
    for bound, names in COUNTED.items():
        most = _number(evidence, bound)
        for name, noun in names:
            value = _number(evidence, name)
            if most is not None and value is not None:
                fewer = value - math.floor(most * requests + 1e-9)
                told.append(f"{max(1, fewer):g} {noun} fewer among {requests:g}")
    for bound, (name, noun) in SHARES.items():
        most, share = _number(evidence, bound), _number(evidence, name)
        if most is not None and share is not None:
            fewer = round(share * requests) - math.floor(most * requests + 1e-9)
            told.append(f"about {max(1, fewer):g} {noun} fewer among {requests:g}")
    return told


def _counts(evidence: Evidence) -> list[str]:
    """`bias_maps: 61, max_bias_maps: 60`, whatever the rule calls them."""
    told: list[str] = []
    for name, most in evidence.items():
        if not name.startswith("max_") or not isinstance(most, int):
            continue
        value = evidence.get(name.removeprefix("max_"))
        if isinstance(value, int) and value > most:
            told.append(f"{value - most:,} {name.removeprefix('max_').replace('_', ' ')} fewer")
    slots, held = _number(evidence, "slots"), _number(evidence, "held")
    if slots is not None and held is not None and held >= slots:
        told.append(f"{held - slots + 1:g} fewer at the same time")
    return told


def _number(evidence: Evidence, name: str) -> float | None:
    value = evidence.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
