"""Subjects: one text for one owner, two owners never one text, and nothing of a caller's in a key."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts import Ask, Facts
from proxy.rules.subjects import (
    FROM_BODY,
    MAX_VALUE,
    NO_MODEL,
    SUBJECTS,
    kind_of,
    safe,
    subject_of,
)
from tests.policy.facts import facts

ALPHABET = re.compile(r"[A-Za-z0-9._:/@+%~-]{1,64}").fullmatch
ANYTHING = st.text(st.characters(codec=None), max_size=200)


def owner(per: str, end_user: str | None = None, model: str | None = "large", **client: Any) -> Any:
    return subject_of(tuple(per.split()))(replace(facts(model, **client), end_user=end_user))


def test_whoever_names_no_model_has_one_subject_that_nobody_can_name() -> None:
    asked = facts("large")
    nameless = subject_of(("api_key", "model"))(replace(asked, ask=Ask(None)))
    assert nameless == f"api_key:key_a|{NO_MODEL}"
    assert not ALPHABET(NO_MODEL)
    for named in ("", "(none)", "%28none%29", "none", "\x00", NO_MODEL):
        assert owner("api_key model", model=named) != nameless


@pytest.mark.parametrize(
    ("per", "subject"),
    [
        ("api_key", "api_key:key_a"),
        ("account", "account:acme"),
        ("address", "address:203.0.113.7"),
        ("subnet", "subnet:203.0.113.0/24"),
        ("model", "model:large"),
        ("end_user", "account:acme|end_user:eu_1"),
        ("account model", "account:acme|model:large"),
        ("model account", "model:large|account:acme"),
    ],
)
def test_a_subject_says_its_kind_and_its_value(per: str, subject: str) -> None:
    assert owner(per, end_user="eu_1") == subject


@pytest.mark.parametrize(
    ("per", "kind"),
    [
        ("api_key", "api_key"),
        ("account", "account"),
        ("subnet", "subnet"),
        ("end_user", "end_user"),
        ("account model", "account,model"),
        ("account end_user", "account,end_user"),
        ("end_user model", "end_user,model"),
    ],
)
def test_the_kind_of_a_subject_is_what_the_rule_counts_and_never_who(per: str, kind: str) -> None:
    assert kind_of(owner(per, end_user="eu_1")) == kind


def test_the_kind_of_a_shared_subject_says_that_it_is_shared() -> None:
    assert kind_of(owner("api_key", provisional=True)) == "unproven"
    assert kind_of(owner("account model", provisional=True)) == "unproven,model"
    assert kind_of("overflow:account|model:203.0.113.0/24") == "overflow"


@pytest.mark.parametrize(
    ("per", "absent"),
    [
        ("api_key", {"key_id": None}),
        ("account", {"account": None}),
        ("end_user", {}),
        ("end_user", {"account": None, "end_user": "eu_1"}),
        ("model", {"model": None}),
        ("asn", {}),
        ("country", {}),
        ("client_fingerprint", {}),
        ("ja4", {}),
        ("account model", {"account": None}),
        ("account end_user", {}),
    ],
)
def test_who_is_not_known_is_nobody_and_no_part_of_somebody(
    per: str, absent: dict[str, Any]
) -> None:
    assert owner(per, **absent) is None


@pytest.mark.parametrize("per", ["api_key", "account"])
def test_invented_keys_are_one_subject_an_address(per: str) -> None:
    made_up = {owner(per, key_id=f"key_{n}", account=f"key_{n}", provisional=True) for n in "ab"}
    assert made_up == {"unproven:203.0.113.7"}
    assert owner(per, provisional=True, address="203.0.113.8") not in made_up


def test_end_users_of_two_accounts_are_two() -> None:
    assert owner("end_user", "eu_1") != owner("end_user", "eu_1", account="umbrella")


def test_what_asks_for_the_body_says_so() -> None:
    """Every subject of the identity alone is there before the body has been read."""
    known = replace(
        facts(None, asn=64496, country="CH", network_kind="isp", ja4="t13d"), end_user=None
    )
    absent = {name for name, of in SUBJECTS.items() if of(known) is None}
    assert absent == {*FROM_BODY, "campaign"}
    member = replace(known, campaign="cmp_a")
    assert SUBJECTS["campaign"](member) == "campaign:cmp_a"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("org/model:tag@1+x", "org/model:tag@1+x"),
        ("a|b", "a%7Cb"),
        ("a{b}", "a%7Bb%7D"),
        ("a b\n", "a%20b%0A"),
        ("%41", "%2541"),
        ("é", "%C3%A9"),
        ("x" * 64, "x" * 64),
    ],
)
def test_a_value_is_kept_or_percent_encoded(value: str, text: str) -> None:
    assert safe(value) == text


@pytest.mark.parametrize("value", ["", "x" * 65, "é" * 11, "x" * 1_000_000])
def test_what_is_empty_or_long_is_hashed(value: str) -> None:
    assert re.fullmatch(r"h\.[0-9a-f]{32}", safe(value))
    assert safe(value) != safe(value + "y")


@given(ANYTHING)
def test_no_value_leaves_the_alphabet_or_its_length(value: str) -> None:
    assert ALPHABET(safe(value))
    assert len(safe(value)) <= MAX_VALUE


@given(ANYTHING, ANYTHING)
def test_two_values_are_two_texts(one: str, other: str) -> None:
    assert (safe(one) == safe(other)) == (one == other)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_no_value_reaches_into_the_next_part(a: str, b: str, c: str, d: str) -> None:
    def both(account: str, model: str) -> str | None:
        asked: Facts = facts(model, account=account)
        return subject_of(("account", "model"))(asked)

    assert (both(a, b) == both(c, d)) == ((a, b) == (c, d))
