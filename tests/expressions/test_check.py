"""Names, types and bounds of expressions are checked before anything runs, each with its place."""

from __future__ import annotations

from pathlib import Path

import cel
import pytest

from proxy.expressions.declared import DECLARED, GROUPS, reference
from proxy.expressions.program import Program
from proxy.expressions.syntax import MAX_DEPTH, MAX_LENGTH, ExpressionError, canonical

DOCS = Path(__file__).parents[2] / "docs"

SOUND = [
    "client.asn != 64496",
    "has(client.asn) && client.asn in [64496, 64497]",
    "!(client.country in ['NO', \"SE\"])",
    "ask.tools.exists(tool, tool.startsWith('web_'))",
    "ask.tools.exists_one(t, t == 'a') || ask.parameters.all(p, p != 'logprobs')",
    "size(ask.tools.filter(t, t.contains('x'))) > 3",
    "ask.tools.size() == 0",
    "ask.temperature > 1",
    "double(ask.max_output_tokens) / 2.0 < 1e3",
    "ask.max_output_tokens % 2 == 0 ? ask.stream : !ask.stream",
    "client.user_agent.matches(r'^python-requests/[0-9.]+$')",
    "-ask.turns < -0x10",
    "ask.turns / 10 > 0 && ask.turns % 0x10 == 0 && ask.temperature / 0.5 > 0.0",
    "ask.turns / int(ask.temperature) > 0",
    "'it' + '\\'s' == \"it's\"",
    "(((client.provisional)))",
    f"size(ask.tools.map(t, t{' + t' * 8})) > 1",
    "client.tier == 'free'\n  && ask.turns >= 2",
]

MISTAKEN = [
    ("client.asnn == 1", 7, "`client.asnn` is no declared fact", "`client.asn`"),
    ("ask.choice > 3", 4, "`ask.choice` is no declared fact", "`ask.choices`"),
    ("client.max_output_tokens > 3", 7, "is no declared fact", "`ask.max_output_tokens`"),
    ("client.xyzzy == 1", 7, "is no declared fact", None),
    ("clint.asn == 1", 0, "`clint` is no group of facts", "`client`"),
    ("true && country == 'NO'", 8, "`country` is no declared fact", "`client.country`"),
    ("client == 1", 0, "is a group of facts", None),
    ("client.asn.x == 1", 11, "has no fields", None),
    ("client.country == 5", 15, "compares a text with a whole number", None),
    ("client.country < 5", 15, "compares a text", None),
    ("ask.stream > false", 11, "orders numbers and texts", None),
    ("1 < 2 < 3", 6, "compares true or false", None),
    ("client.asn", 0, "must be true or false, and is a whole number", None),
    ("client.asn && true", 0, "must be true or false", None),
    ("ask.turns / 2.0 > 1.0", 10, "convert one", None),
    ("ask.turns > 1 && ask.choices / 0 > 1", 31, "division by zero", None),
    ("ask.turns % 0 == 1", 12, "division by zero", None),
    ("ask.turns / (-0x0) > 1", 13, "division by zero", None),
    ("ask.turns / int(0.0) > 1", 12, "division by zero", None),
    ("ask.temperature / 0.0 > 1.0", 18, "division by zero", None),
    ("client.asn in ['a']", 11, "that is never so", None),
    ("client.asn in []", 11, "an empty list", None),
    ("client.asn in [1, 'a']", 14, "a list holds", None),
    ("client.country.startswith('N')", 15, "no known function", "`startsWith`"),
    ("lower(client.country) == 'no'", 0, "no known function", None),
    ("startsWith(client.country, 'N')", 0, "is written otherwise", None),
    ("has(client) || true", 0, "`has` asks for a fact", None),
    ("has('a')", 0, "`has` asks for a fact", None),
    ("size(client.country) == 2", 5, "must be a list of texts", None),
    ("[1].exists(x, x == 1)", 4, "goes over a declared list", None),
    (f"ask.tools.map(t, t{' + t' * 9}) == []", 51, "joins texts at most 8 times", None),
    ("ask.tools.all(a, ask.tools.exists(b, a == b))", 27, "a loop may not stand in another", None),
    ("ask.tools.all(client, true)", 14, "name of a group", None),
    ("ask.tools.exists(t, t.matches('^a'))", 22, "a loop takes no pattern", None),
    ("client.user_agent.matches(client.tier)", 26, "is written out", None),
    ("client.user_agent.matches('(a')", 26, "no regular expression", None),
    ("client.user_agent.matches(r'\\w+')", 26, "class by a letter", None),
    ("client.user_agent.matches('a{1000}')", 26, "no counted repetition", None),
    ("client.user_agent.matches('(?i)a')", 26, "flag", None),
    (f"client.user_agent.matches('{'a' * 65}')", 26, "at most 64 characters", None),
    ("client.asn == null", 14, "no fact is null", None),
    ("readings.all > 1", 0, "this rule declares none", None),
    ("ask.?model == 'a'", 4, "expected a field's name", None),
    ("client['asn'] == 1", 6, "is not understood here", None),
    ("{'a': 1} == 1", 0, "`{` is not understood", None),
    ("client.asn == 1u", 15, "`u` is not understood here", None),
    ("client.country == 'NO", 18, "a text that does not end", None),
    ("client.asn ==", 13, "ends too early", None),
    ("true true", 5, "is not understood here", None),
    ("!!true", 1, "is enough", None),
    ("9223372036854775808 > 1", 0, "too large", None),
    ("", 0, "ends too early", None),
    ("(" * (MAX_DEPTH + 1) + "true" + ")" * (MAX_DEPTH + 1), MAX_DEPTH, "nested deeper", None),
    ("true" + " " * MAX_LENGTH, MAX_LENGTH, "longer than", None),
]  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
def test_a_sound_expression_is_taken(text: str) -> None:
    Program(text)


@pytest.mark.parametrize(("text", "offset", "message", "suggestion"), MISTAKEN)
def test_a_mistake_is_told_with_its_place(
    text: str, offset: int, message: str, suggestion: str | None
) -> None:
    with pytest.raises(ExpressionError) as raised:
        Program(text)
    error = raised.value
    assert message in error.message
    assert (error.offset, error.suggestion) == (offset, suggestion)


def test_counters_of_the_rule_are_whole_numbers() -> None:
    program = Program("readings.all > 3", {"all": None})
    assert program.readings == ("all",)
    with pytest.raises(ExpressionError, match=r"`readings\.al` is no counter") as raised:
        Program("readings.al > 3", {"all": None})
    assert raised.value.suggestion == "`readings.all`"


def test_what_is_deep_or_long_within_the_bounds_reaches_the_library_whole() -> None:
    Program("(" * (MAX_DEPTH - 1) + "true" + ")" * (MAX_DEPTH - 1))
    Program(" && ".join(["true"] * 125))
    Program("1" + "+1" * 240 + " > 1")


def test_white_space_alone_makes_no_other_expression() -> None:
    assert canonical("a==1&&b") == canonical("a == 1\n && b")
    assert Program("client.asn==1") == Program("client.asn  ==  1")


@pytest.mark.parametrize("text", SOUND)
def test_the_library_names_the_same_variables(text: str) -> None:
    """Our reading of a text and the library's are the same, as far as the library tells."""
    named = set(cel.compile(text).variables())
    ours = {path.partition(".")[0] for path in Program(text).paths}
    assert named & set(GROUPS) == ours


def test_each_fact_is_documented() -> None:
    assert reference() in (DOCS / "policies.md").read_text(encoding="utf-8")
    assert all(fact.meaning for fact in DECLARED.values())
