"""Facts that could have been otherwise: another network, a declared profile, no log probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from proxy.counters.protocol import Op, Reading, Tallied, Tally
from proxy.explain.trace import Weighed
from proxy.facts import PROFILES, Facts

ELSEWHERE: Final[dict[str, Any]] = {
    "network_kind": "business",
    "asn": None,
    "country": None,
    "organization": None,
}
"""An address of which nothing is held against anybody."""

Other = tuple[str, str, Facts, Sequence[Reading]]
"""(what it is about, how it is told, the facts, what the counters would have read)"""


def other_facts(one: Weighed) -> Iterator[Other]:
    """What could have been otherwise about the request itself, as far as readings still tell."""
    facts = one.facts
    applies = one.rule.applies
    if applies is not None and not applies(facts):
        return  # it was about texts that are no longer here
    excused = [name for name in PROFILES if name in (one.rule.excuse or ())]
    for key, text, other in (*_of_client(facts), *_of_ask(facts), *_of_signals(facts)):
        readings = _read_again(one, other)
        if readings is not None:
            yield key, text, other, readings
    if excused and facts.client.profile not in excused:
        # The rule leaves such an account alone whatever it reads: nothing is counted.
        yield (
            "profile",
            f"from an account that has declared itself {' or '.join(excused)}",
            replace(facts, client=replace(facts.client, profile=excused[0])),
            (),
        )


def _of_client(facts: Facts) -> Iterator[tuple[str, str, Facts]]:
    client = facts.client
    if not client.declared_network:
        declared = replace(client, declared_network=True)
        text = "from an address that the account has declared in `networks`"
        yield "declared_network", text, replace(facts, client=declared)
    told = {
        "network_kind": f"from an address whose network is not {client.network_kind}",
        "asn": f"from an address that AS{client.asn} does not announce",
        "country": f"from an address that is not in {client.country}",
    }
    for name, text in told.items():
        if getattr(client, name) is not None:
            other = replace(client, **{name: ELSEWHERE[name]})
            yield name, text, replace(facts, client=other)


def _of_ask(facts: Facts) -> Iterator[tuple[str, str, Facts]]:
    ask = facts.ask
    if ask is None:
        return
    if ask.logprobs or ask.top_logprobs:
        other = replace(ask, logprobs=False, top_logprobs=None)
        yield "logprobs", "without asking for log probabilities", replace(facts, ask=other)
    if ask.prompt_logprobs:
        other = replace(ask, prompt_logprobs=False)
        text = "without asking for the prompt's log probabilities"
        yield "prompt_logprobs", text, replace(facts, ask=other)
    if ask.logit_bias:
        yield "logit_bias", "without a logit_bias", replace(facts, ask=replace(ask, logit_bias=()))


def _of_signals(facts: Facts) -> Iterator[tuple[str, str, Facts]]:
    signals = facts.signals
    if signals.contradictions:
        other = replace(signals, contradictions=())
        text = "from a client that is what it says it is"
        yield "contradictions", text, replace(facts, signals=other)
    if signals.marks:
        text = f"without its marks of {' and '.join(name for name, _ in signals.marks)}"
        yield "marks", text, replace(facts, signals=replace(signals, marks=()))
    if signals.terms:
        text = "with a prompt that holds nothing of the rule's lexicon"
        yield "terms", text, replace(facts, signals=replace(signals, terms=()))


def _read_again(one: Weighed, other: Facts) -> list[Reading] | None:
    """What the rule's counters would have read of other facts; None where that cannot be told."""
    subject = one.rule.subject(other)
    if subject is None or subject != one.rule.subject(one.facts):
        return None
    asked = one.rule.counters(other, subject)
    # Of lean facts a rule may not make again what it made of the whole ones: then it is told by place.
    before = one.rule.counters(one.facts, subject)
    if len(before) != len(one.ops):
        return None
    known = {
        (type(op), op.key): (op, reading) for op, reading in zip(one.ops, one.readings, strict=True)
    }
    readings: list[Reading] = []
    for op in asked:
        if (type(op), op.key) not in known:
            return None
        reading = _of_items(op, *known[type(op), op.key])
        if reading is None:
            return None
        readings.append(reading)
    return readings


def _of_items(op: Op, old: Op, reading: Reading) -> Reading | None:
    """The reading of the same counter, had the request shown no more than `op` says."""
    if not isinstance(op, Tally) or not isinstance(old, Tally) or op.items == old.items:
        return reading
    assert isinstance(reading, Tallied)
    shown = dict(zip((*old.items, *old.asked), reading.shown, strict=True))
    if not {*op.items, *op.asked} <= shown.keys():
        return None
    gone = {one for one in old.items if one not in op.items}
    counts = tuple(shown[one] - (one in gone) for one in (*op.items, *op.asked))
    return replace(reading, shown=counts)
