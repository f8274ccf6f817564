"""
What could have been otherwise: each lever lowers (or raises) one thing that a rule's counter has read.

A lever says how a reading would have read, and in which words that is told. Whether it would have been
enough is asked of the rule itself (`flip.py`), never worked out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from proxy.counters.protocol import (
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
    Reserve,
    Take,
    Taken,
    Tallied,
    Tally,
    Total,
)
from proxy.explain.rates import FAR, Lever, spent, take_more, words
from proxy.rules.base import RuleKind
from proxy.rules.units import duration_text

_SHOWS: Final = {
    "client_fingerprint": "requests that show it",
    "logit_probing": "requests that probe",
    "machine_pace": "requests that came too early",
    "prompt_diversity": "prompts that were new to the account",
    "prompt_template": "requests of this template",
    "reasoning_elicitation": "requests that ask for reasoning",
    "request_shape": "requests of such a shape",
    "sensitive_topics": "requests about this topic",
}


def fewer(rule: RuleKind, ops: Sequence[Op], readings: Sequence[Reading]) -> Iterator[Lever]:
    """What a finding may have been for want of: each lever takes from what was counted."""
    for at, (op, reading) in enumerate(zip(ops, readings, strict=False)):
        match op, reading:
            case Take() | Reserve(), Taken():
                if not reading.admitted or reading.wait_s:
                    yield from spent(at, op, reading)
            case Count(), Total():
                span = duration_text(op.window)
                yield Lever(at, reading.total, _total, words(f"counted in {span}"))
            case Distinct(), Different():
                # Counted no further than what the rule asks for: so told is what would be left.
                had, what = reading.distinct, _different(op)
                yield Lever(at, had, _distinct, partial(_at_most, had, what))
            case Novel(), Novelty():
                yield from _novel(at, op, reading)
            case Tally(), Tallied():
                yield from _tallied(at, rule, op, reading)
            case Lease(), Held() if op.slots:
                told = words("at the same time", "request")
                yield Lever(at, reading.held, _hold_fewer(op.slots), told)
            case _, Paced():
                yield from _paced(at, reading)


def more(ops: Sequence[Op], readings: Sequence[Reading]) -> Iterator[Lever]:
    """What would have made a finding: each lever adds requests like this one to what was counted."""
    for at, (op, reading) in enumerate(zip(ops, readings, strict=False)):
        match op, reading:
            case Take() | Reserve(), Taken(admitted=True):
                noun = "token" if isinstance(op, Reserve) else "request"
                yield Lever(at, FAR, take_more(op), words("at once", noun, "more"))
            case Count(), Total():
                told = words(f"counted in {duration_text(op.window)}", "", "more")
                yield Lever(at, FAR, _add_total, told)
            case Distinct(), Different():
                yield Lever(at, op.most, _add_distinct, words(_different(op), "", "more"))
            case Novel(), Novelty() if reading.weight:
                told = words(f"like this one in {duration_text(op.window)}", "request", "more")
                yield Lever(at, FAR, _add_new, told)
            case Tally(), Tallied() if op.items:
                told = words(f"like this one in {duration_text(op.window)}", "request", "more")
                yield Lever(at, FAR, _add_shown(len(op.items)), told)
            case Lease(), Held(granted=True) if op.slots:
                told = words("at the same time", "request", "more")
                yield Lever(at, op.slots, _hold_more(op.slots), told)


# Counts


def _at_most(had: int, what: str, steps: int) -> str:
    return f"with no more than {had - steps:,} {what}"


def _total(given: Reading, steps: int) -> Reading:
    assert isinstance(given, Total)
    return replace(given, total=given.total - steps)


def _add_total(given: Reading, steps: int) -> Reading:
    return _total(given, -steps)


def _distinct(given: Reading, steps: int) -> Reading:
    assert isinstance(given, Different)
    return replace(given, distinct=given.distinct - steps)


def _add_distinct(given: Reading, steps: int) -> Reading:
    return _distinct(given, -steps)


def _different(op: Distinct) -> str:
    name = op.key.rpartition(":")[2].replace("_", " ")
    # A rule's own hash stands where it counts one thing only.
    shown = f"different {name}" if name.replace(" ", "").isalpha() else "different ones"
    return f"{shown} in {duration_text(op.window)}"


def _novel(at: int, op: Novel, reading: Novelty) -> Iterator[Lever]:
    span = duration_text(op.window)
    alone = "requests that stand alone" if op.key.endswith(":chunks") else "distinct prompts"
    new = min(round(reading.total), reading.requests)

    def repeated(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Novelty)
        return replace(given, total=new - steps)

    def without(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Novelty)
        total = max(0.0, given.total - steps)
        return replace(given, total=total, requests=given.requests - steps)

    yield Lever(
        at,
        new,
        repeated,
        lambda steps: f"{steps:,} {alone} fewer among the {reading.requests:,} requests of {span}",
    )
    yield Lever(at, reading.requests, without, words(f"in {span}", "request"))


def _add_new(given: Reading, steps: int) -> Reading:
    assert isinstance(given, Novelty)
    return replace(given, total=given.total + steps, requests=given.requests + steps)


def _tallied(at: int, rule: RuleKind, op: Tally, reading: Tallied) -> Iterator[Lever]:
    span = duration_text(op.window)
    noun = _SHOWS.get(rule.kind, "requests that show it")

    def less(which: int) -> Callable[[Reading, int], Reading]:
        def turned(given: Reading, steps: int) -> Reading:
            assert isinstance(given, Tallied)
            shown = list(given.shown)
            shown[which] -= steps
            return replace(given, shown=tuple(shown))

        return turned

    def without(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Tallied)
        return replace(
            given,
            requests=given.requests - steps,
            shown=tuple(max(0, one - steps) for one in given.shown),
        )

    for which, shown in enumerate(reading.shown):
        yield Lever(at, shown, less(which), words(f"{noun} fewer in {span}", "", ""))
    if op.requests:
        yield Lever(at, reading.requests, without, words(f"in {span}", "request"))


def _add_shown(items: int) -> Callable[[Reading, int], Reading]:
    def turned(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Tallied)
        shown = [one + steps if at < items else one for at, one in enumerate(given.shown)]
        return replace(given, requests=given.requests + steps, shown=tuple(shown))

    return turned


def _hold_fewer(slots: int) -> Callable[[Reading, int], Reading]:
    def turned(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Held)
        others = given.held - steps
        return Held(True, others + 1) if others < slots else Held(False, others)

    return turned


def _hold_more(slots: int) -> Callable[[Reading, int], Reading]:
    def turned(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Held)
        held = given.held + steps
        return Held(held <= slots, min(held, slots))

    return turned


def _paced(at: int, reading: Paced) -> Iterator[Lever]:
    def varied(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Paced)
        return replace(given, variation=given.variation + steps / 1000)

    def rested(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Paced)
        quietest = sorted((n, hour) for hour, n in enumerate(given.hours) if n)[:steps]
        left = {hour for _, hour in quietest}
        hours = tuple(0 if hour in left else n for hour, n in enumerate(given.hours))
        return replace(given, hours=hours)

    yield Lever(
        at,
        10_000,
        varied,
        lambda steps: (
            f"with gaps that vary by {reading.variation + steps / 1000:.3f} of their mean and not "
            f"{reading.variation:.3f}"
        ),
    )
    busy = sum(1 for count in reading.hours if count)
    yield Lever(at, busy, rested, lambda steps: f"with no request in {steps} of the {busy} hours")
