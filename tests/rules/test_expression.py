"""expression: facts and counters together, in CEL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Count, Total
from proxy.counters.redis import RedisStore
from proxy.decision import Verb
from proxy.facts import Ask, Facts
from proxy.policy.load import PolicyError, parse
from proxy.rules.base import RuleKind
from tests.counters.stores import PATIENT_S, T0, StillClock
from tests.policy.facts import facts
from tests.redis_servers import RedisServer
from tests.rules.judged import judged


def rule(fields: str) -> RuleKind:
    text = f"version: 1\nrules:\n  - {{name: r, kind: expression, per: account, {fields}}}\n"
    (found,) = parse(text, "p.yaml").rules
    return found


def asking(model: str = "large", **ask: Any) -> Facts:
    return replace(facts(tier="trial"), ask=Ask(model, **ask))


PROBES = """
version: 1
rules:
  - name: trial-probes
    kind: expression
    per: account
    match: {tier: [free, trial]}
    readings:
      all: {window: 1h}
      probing: {window: 1h, when: ask.logprobs && ask.max_output_tokens < 4}
    expr: readings.all >= 20 && double(readings.probing) / double(readings.all) > 0.5
    family: client
    score: 20
"""


async def test_a_share_of_probes_is_found_once_there_are_enough() -> None:
    (probes,) = parse(PROBES, "p.yaml").rules
    probe = asking(logprobs=True, max_output_tokens=1)
    found = await judged(probes, [(float(at), probe) for at in range(30)])
    assert found[:19] == [None] * 19
    finding = found[19]
    assert finding is not None
    assert finding.reason == "expression_true"
    assert finding.evidence == {"all": 20, "probing": 20}


async def test_a_product_that_asks_for_logprobs_now_and_then_is_not() -> None:
    (probes,) = parse(PROBES, "p.yaml").rules
    chat, check = asking(max_output_tokens=900), asking(logprobs=True, max_output_tokens=1)
    requests = [(float(at), check if at % 3 == 0 else chat) for at in range(90)]
    assert await judged(probes, requests) == [None] * 90


async def test_different_values_are_counted() -> None:
    sweep = rule(
        "readings: {models: {window: 1d, distinct: ask.model}}, expr: readings.models > 3, score: 5"
    )
    requests = [(float(at), asking(f"m{at}")) for at in range(5)]
    found = await judged(sweep, [*requests, (6.0, replace(facts(), ask=Ask(None)))])
    assert [one is not None for one in found] == [False, False, False, True, True, False]
    assert await judged(sweep, [(float(at), asking()) for at in range(5)]) == [None] * 5


def test_evidence_tells_numbers_and_no_callers_text() -> None:
    found = rule(
        'expr: \'client.asn == 1 && client.user_agent != "" && ask.model != "" '
        '&& client.address != ""\', score: 5'
    )
    finding = found.judge(facts(asn=1, user_agent="secret"), ())
    assert finding is not None
    assert finding.evidence == {"client.asn": 1}


def test_it_waits_for_the_body_only_where_it_names_something_of_it() -> None:
    assert not rule("expr: client.asn == 1, score: 5").needs_body
    assert rule("expr: ask.stream, score: 5").needs_body
    counter = "readings: {n: {window: 1h, when: ask.stream}}, expr: readings.n > 1, score: 5"
    assert rule(counter).needs_body
    assert rule("expr: signals.language == 'fr', score: 5").wants == {"language"}


def test_only_counters_change_what_is_counted() -> None:
    base = "readings: {n: {window: 1h}}, score: 5"
    one = rule(f"{base}, expr: readings.n > 1")
    assert one.key == rule(f"{base}, expr: readings.n > 2").key
    assert one.key != rule("readings: {n: {window: 2h}}, score: 5, expr: readings.n > 1").key
    assert one.key != rule(f"{base}, expr: readings.n > 1, when: client.asn == 1").key


def test_the_family_is_the_rules_own_and_a_block_needs_a_reason() -> None:
    assert rule("expr: ask.stream, family: network, score: 5").family == "network"
    with pytest.raises(PolicyError, match="one family's evidence alone may not block"):
        rule("expr: ask.stream, action: block")
    excused = rule("expr: ask.stream, action: block, acknowledge_single_family: tests")
    assert excused.does.verb is Verb.BLOCK
    with pytest.raises(PolicyError, match="`family` must be one of"):
        rule("expr: ask.stream, family: listed, action: block")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("score: 5", "`expr` is required"),
        ("expr: 5, score: 5", "`expr` must be an expression"),
        ("expr: readings.m > 1, readings: {n: {window: 1h}}, score: 5", "is no counter of this rule"),
        ("expr: ask.stream, readings: {N: {window: 1h}}, score: 5", "characters or a form"),
        ("expr: ask.stream, readings: {n: {window: 1h, distinct: ask.modl}}, score: 5", "ask.model"),
        ("expr: ask.stream, readings: {n: {window: 1h, distinct: ask.tools}}, score: 5", "not a list"),
        (
            'expr: "true", score: 5, readings: {n: {window: 1h, distinct: ask.model, when: "true"}}',
            "takes no `when`",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told(fields: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        rule(fields)


async def test_a_count_of_nothing_only_reads_in_both_stores(shared_redis: RedisServer) -> None:
    redis = RedisStore(shared_redis.url, timeout=PATIENT_S)
    for store in (MemoryStore(clock=StillClock()), redis):
        totals = []
        for weight in (0, 1, 0, 2, 0):
            (read,) = await store.apply([Count("nothing", "c", 60.0, weight)], T0)
            assert isinstance(read, Total)
            totals.append(read.total)
        assert totals == [0, 1, 1, 3, 3]
        await store.close()
