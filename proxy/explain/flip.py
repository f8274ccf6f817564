"""
The smallest change in the facts that would have had a request decided otherwise.

Nothing is guessed: a change counts only once the rule itself, asked again with the changed facts or
readings, no longer finds what it found, and the decision, made again of what is left, is another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from proxy.counters.protocol import Reading
from proxy.decision import Decision, RuleFinding, Verb
from proxy.explain.levers import fewer
from proxy.explain.others import other_facts
from proxy.explain.rates import later, together_later, wait_of
from proxy.explain.suspected import of_suspicion
from proxy.explain.trace import MOST_COUNTED, Trace, Weighed
from proxy.explain.way import Holds, Steps, Way, fewest, judged, let_back, turned
from proxy.explain.would import told
from proxy.policy import suspicion
from proxy.policy.decide import decide

UNJUDGED: Final = frozenset({"ban", "gate"})
"""Kinds of findings after which a request is judged no further."""


def flip(trace: Trace) -> dict[str, Any] | None:
    """What would have had a request pass as it came; None where it did."""
    decision = trace.decision
    if decision.verb < Verb.DELAY:
        return None
    target = Verb.THROTTLE if decision.verb.refuses else Verb.DELAY
    acting = [found for found in decision.findings if not found.shadow]
    deciding = [found for found in acting if found.verb >= target]
    if not deciding:
        return {"cannot": _no_finding(trace), "needs": []}

    def in_the_way(found: RuleFinding | None) -> bool:
        return found is not None and found.verb >= target

    ways = [(found, list(ways_of(trace, found, in_the_way))) for found in deciding]
    chosen = _chosen([of for _, of in ways])
    needs = [
        {
            "rule": found.told,
            "reason": found.finding.reason,
            "ways": [list(way.changes) for way in of],
        }
        for found, of in ways
    ]
    # Of suspicion several thresholds may have been reached, and the same makes all of them good.
    said: dict[str, Any] = {"needs": [one for at, one in enumerate(needs) if one not in needs[:at]]}
    if chosen is not None:
        left = [found for found in acting if found not in deciding]
        left += [way.left for way in chosen if way.left is not None]
        after = decide(left)
        assert after.verb < target
        said["changes"] = _together(chosen)
        if any(found.kind in UNJUDGED for found in deciding):
            # Nobody has asked the rules: what they would have said is not known.
            return said | {"unjudged": True}
        said["then"] = told(after)
    else:
        missing = [found.told for found, of in ways if not of]
        said["cannot"] = f"not known of {', '.join(missing)}: {_why_unknown(trace, missing)}"
    said["without"] = without(trace.findings)
    return said


def without(findings: Sequence[RuleFinding]) -> list[dict[str, Any]]:
    """The decision had each rule that acted not been in force."""
    acting = [found for found in findings if not found.shadow]
    names = dict.fromkeys(found.told for found in acting if found.verb >= Verb.DELAY)
    return [
        {"rule": name, **told_other(decide([one for one in acting if one.told != name]))}
        for name in names
    ]


def told_other(decision: Decision) -> dict[str, Any]:
    """A decision that would have been, under `then`."""
    return {"then": told(decision)}


def ways_of(trace: Trace, found: RuleFinding, in_the_way: Holds) -> Iterator[Way]:
    """The ways in which one finding would not have been, the smallest first."""
    if found.kind == "ban":
        until = found.finding.evidence.get("until")
        yield Way((f"after {until}, when the ban ends, or once it is lifted",), None)
        return
    if found.kind == suspicion.KIND:
        yield from of_suspicion(trace, found, in_the_way)
        return
    if found.kind == "gate":
        yield Way((gate_wants(found),), None)
        return
    asks = [one for one in trace.weighed if one.rule.name == found.rule]
    again = [judged(one, trace, one.readings, shadow=found.shadow) for one in asks]
    # What was kept must say what was found then; of a rule that looked into a list it does not.
    if not any(one is not None and one.finding == found.finding for one in again):
        return
    if len(asks) == 1 and not _several(trace):
        yield from _of_rule(asks[0], trace, found, in_the_way)
    elif len(asks) >= (_several(trace) or 1):
        yield from _of_all(asks, trace, found, in_the_way)


def _several(trace: Trace) -> int:
    """How many asks its body holds, where not one; those after a refused one were not judged."""
    asks = trace.event.get("request.asks")
    return asks if isinstance(asks, int) else 0


def _of_all(
    asks: Sequence[Weighed], trace: Trace, found: RuleFinding, in_the_way: Holds
) -> Iterator[Way]:
    """Several asks in one body: other facts, or later, where that serves all of them."""
    yield from _elsewhere(asks, trace, found, in_the_way)
    if len(trace.counted) >= MOST_COUNTED or any(len(one.ops) != len(asks[0].ops) for one in asks):
        return
    seconds = max((wait_of(reading) for one in asks for reading in one.readings), default=0.0)
    columns = [
        together_later([(one.ops[at], one.readings[at]) for one in asks], seconds)
        for at in range(len(asks[0].ops))
    ]
    moved = [column for column in columns if column is not None]
    if not seconds or len(moved) != len(columns):
        return
    rests = [
        judged(one, trace, readings, shadow=found.shadow)
        for one, readings in zip(asks, zip(*moved, strict=True), strict=True)
    ]
    if not any(map(in_the_way, rests)):
        rest = max(rests, key=lambda one: -1.0 if one is None else one.delay_s)
        yield Way((f"{_seconds(seconds)} later",), rest, "later", seconds)


def _elsewhere(
    asks: Sequence[Weighed], trace: Trace, found: RuleFinding, in_the_way: Holds
) -> Iterator[Way]:
    """Facts that could have been otherwise, where that serves all asks."""
    passed: list[dict[str, tuple[str, RuleFinding | None]]] = []
    for one in asks:
        rests = {
            key: (text, judged(one, trace, readings, shadow=found.shadow, facts=facts))
            for key, text, facts, readings in other_facts(one)
        }
        passed.append({key: rest for key, rest in rests.items() if not in_the_way(rest[1])})
    for key, (text, rest) in passed[0].items():
        if all(key in others for others in passed):
            yield Way((text,), rest, key)


def _later(one: Weighed, trace: Trace, found: RuleFinding, seconds: float) -> RuleFinding | None:
    """What a rule would have found so much later, of what only time makes good."""
    moved = [
        later(op, reading, seconds) or reading
        for op, reading in zip(one.ops, one.readings, strict=True)
    ]
    return judged(one, trace, moved, shadow=found.shadow)


def _of_rule(one: Weighed, trace: Trace, found: RuleFinding, in_the_way: Holds) -> Iterator[Way]:
    def left(readings: Sequence[Reading]) -> RuleFinding | None:
        return judged(one, trace, readings, shadow=found.shadow)

    seconds = max(map(wait_of, one.readings), default=0.0)
    if seconds:
        rest = _later(one, trace, found, seconds)
        if not in_the_way(rest):
            yield Way((f"{_seconds(seconds)} later",), rest, "later", seconds)
    yield from _elsewhere([one], trace, found, in_the_way)

    def passes(steps: Steps) -> bool:
        return not in_the_way(left(turned(one, steps)))

    levers = list(fewer(one.rule, one.ops, one.readings))
    alone = [steps for lever in levers if (steps := fewest(lever, passes))]
    # Where none is enough alone: all that were counted first, fewer requests last.
    for steps in alone or [let_back([(lever, lever.most) for lever in levers[::-1]], passes)]:
        if steps:
            texts = tuple(lever.text(count) for lever, count in steps)
            yield Way(texts, left(turned(one, steps)))


# Words


def _chosen(ways: Sequence[Sequence[Way]]) -> list[Way] | None:
    """One way for each finding: the same one for all where there is such, else each one's first."""
    if not all(ways):
        return None
    keys = dict.fromkeys(way.shared for way in ways[0] if way.shared is not None)
    for key in keys:
        of = [next((way for way in each if way.shared == key), None) for each in ways]
        same = [way for way in of if way is not None]
        if len(same) == len(ways):
            return same
    return [each[0] for each in ways]


def _together(chosen: Sequence[Way]) -> list[str]:
    waits = [way.seconds for way in chosen if way.seconds is not None]
    texts = [text for way in chosen if way.seconds is None for text in way.changes]
    if waits:
        texts.insert(0, f"{_seconds(max(waits))} later")
    return list(dict.fromkeys(texts))


def _seconds(seconds: float) -> str:
    """Never less than it takes: rounded up to the millisecond."""
    return f"{-(-seconds * 1000 // 1) / 1000:g} s"


def gate_wants(found: RuleFinding) -> str:
    """What would have satisfied a gate."""
    where = {
        "keys": "with a key that the policy's `keys` lets in",
        "unknown_routes": "on a route that is served, or with the route in `also_serve`",
        "uninspectable": "with a body that can be read in one way only",
    }
    return where.get(found.rule, f"without the gate {found.rule}")


def _no_finding(trace: Trace) -> str:
    event = trace.event
    if event.get("kind") == "store":
        rule = event.get("rule")
        return f"the store was gone, and `on_store_failure: block` of {rule} refuses without it"
    if event.get("reason") == "delay_lanes_full":
        return "as many requests were held back already as the process has room for"
    return f"no rule has refused it, but the process itself: {event.get('reason')}"


def _why_unknown(trace: Trace, missing: Sequence[str]) -> str:
    if not trace.weighed:
        return "what its counters read was not kept"
    listed = [one.rule.kind for one in trace.weighed if one.rule.name in missing]
    if asks := _several(trace):
        return f"its body asks {asks:,} times, and no one change serves all of them, or not all were judged"
    if "listed" in listed:
        return "it stands on a list; without that entry it would not have been found"
    return "no smaller change than another request makes a difference"
