"""Expressions at work: absent facts are never true, and no caller's value breaks an evaluation."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import cel
import pytest

from proxy.expressions.declared import DECLARED, MAX_ITEMS, MAX_TEXT
from proxy.expressions.program import Evaluation, Program, Sight
from proxy.facts import Ask, Facts, Reasoning, Signals
from tests.policy.facts import facts


def evaluated(text: str, of: Facts) -> tuple[bool, dict[str, str]]:
    program = Program(text)
    evaluation = Evaluation(Sight((program,)), of)
    return evaluation.holds(program, "rule"), evaluation.failures


@pytest.mark.parametrize(
    ("text", "client", "holds", "failures"),
    [
        ("client.asn != 64496", {"asn": 64497}, True, {}),
        ("client.asn != 64496", {"asn": 64496}, False, {}),
        ("client.asn != 64496", {}, False, {"rule": "absent asn"}),
        ("!(client.asn == 64496)", {}, False, {"rule": "absent asn"}),
        ("has(client.asn) && client.asn != 64496", {}, False, {}),
        ("!has(client.asn) || client.asn != 64496", {}, True, {}),
        ("ask.turns / (ask.turns - ask.turns) == 1", {}, False, {"rule": "failed"}),
        ("ask.turns + 9223372036854775807 + 9223372036854775807 > 1", {}, False, {"rule": "failed"}),
        ("client.account.matches('^ac.e$')", {}, True, {}),
        ("client.tier in ['free', 'trial']", {"tier": "trial"}, True, {}),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_never_true(
    text: str, client: dict[str, Any], holds: bool, failures: dict[str, str]
) -> None:
    assert evaluated(text, facts(**client)) == (holds, failures)


def test_a_callers_lists_and_texts_are_seen_up_to_a_bound() -> None:
    long = "a" * (MAX_TEXT + 1)
    of = replace(facts(), ask=Ask(long, tools=(*["a"] * MAX_ITEMS, "behind")))
    assert evaluated(f"size(ask.tools) == {MAX_ITEMS}", of) == (True, {})
    assert evaluated("ask.tools.exists(t, t == 'behind')", of) == (False, {})
    assert evaluated(f"ask.model == '{long[:MAX_TEXT]}'", of) == (True, {})


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)(.*)(.*)(.*)b"])
def test_a_regular_expression_takes_time_in_proportion_to_its_text(pattern: str) -> None:
    text = f"client.account.matches('{pattern}')"
    assert Program(text).text == text  # a policy may say so
    engine = cel.compile(f"text.matches('{pattern}')")  # facts are shorter than what is tried here

    def took(length: int) -> float:
        given, spent = {"text": "a" * length + "!"}, []
        for _ in range(7):
            before = time.process_time()
            assert engine.execute(given) is False
            spent.append(time.process_time() - before)
        return min(spent)

    # An engine that tries one way after another takes twice as long for each letter more.
    assert took(400_000) < 3 * took(200_000) + 0.001


def test_without_a_body_its_facts_are_absent() -> None:
    assert evaluated("ask.stream || true", facts(None)) == (True, {})
    assert evaluated("ask.stream", facts(None)) == (False, {"rule": "absent stream"})


def test_one_context_serves_all_expressions_and_is_built_when_asked() -> None:
    programs = [Program("client.asn == 1"), Program("ask.turns == 0 && readings.a == 2", {"a": 0})]
    evaluation = Evaluation(Sight(programs), facts(asn=1))
    assert evaluation._context is None
    assert evaluation.holds(programs[0], "one")
    built = evaluation._context
    assert evaluation.holds(programs[1], "two", {"a": 2})
    assert not evaluation.holds(programs[1], "two", {"a": 3})
    assert evaluation._context is built
    assert evaluation.failures == {}


def test_every_fact_has_the_type_that_it_declares() -> None:
    """With everything there, as a request would show it."""
    rich = full()
    types = {"text": str, "int": int, "double": float, "bool": bool, "list": list}
    for path, fact in DECLARED.items():
        assert type(fact.of(rich)) is types[fact.type], path
        evaluated(f"has({path})", rich)


def test_no_value_that_a_caller_sends_breaks_an_evaluation() -> None:
    hostile = "\ud800\x00" + "é" * 10_000
    ask = Ask(
        hostile,
        max_output_tokens=10**30,
        choices=-(10**30),
        temperature=float("inf"),
        top_p=float("nan"),
        top_logprobs=2**63,
        tools=(hostile,) * 1000,
        parameters=("", *(hostile,) * 1000),
        reasoning=Reasoning(hostile, 10**30),
    )
    fields = dict.fromkeys(("account", "organization", "tier", "user_agent", "country"), hostile)
    of = replace(facts(**fields), ask=ask, answers=10**30, end_user=hostile)
    for path, fact in DECLARED.items():
        program = Program(f"has({path})")
        evaluation = Evaluation(Sight((program,)), of)
        evaluation.holds(program, "rule")
        assert evaluation.failures == {}, path
        assert fact.type != "list" or len(fact.of(of) or ()) <= 64  # type: ignore[arg-type]


def full() -> Facts:
    """Facts with nothing absent."""
    client = {
        "asn": 1, "organization": "o", "network_kind": "isp", "country": "NO", "tier": "free",
        "profile": "rag", "user_agent": "u", "ja4": "j",
    }  # fmt: skip
    ask = Ask(
        "m", max_output_tokens=1, temperature=1, top_p=1, top_logprobs=1,
        tools=("t",), parameters=("model",), reasoning=Reasoning("low", 5),
    )  # fmt: skip
    signals = Signals((1,), "sys_", "tpl_", "en", "c", ("x",))
    return replace(facts(**client), ask=ask, signals=signals, end_user="eu_1")


def test_facts_keep_everything_when_they_get_what_they_are_judged_with() -> None:
    before = full()
    evaluation = Evaluation(Sight(()), before)
    after = before.judged_with(evaluation, {}, "cmp_aaaaaaaaaaaaaaaa")
    campaign = "cmp_aaaaaaaaaaaaaaaa"
    assert after == replace(before, evaluation=evaluation, lists={}, campaign=campaign)
