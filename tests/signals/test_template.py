"""What stays the same of system prompts and of how prompts begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.template import LEAST_PREFIX, PREFIX, SAMPLE, prompt_template, system_template

BOT = 'You help customers of Acme. Today is Monday, 2026-03-02 at 10:22. The user is "Bob" (id {}).'


@pytest.mark.parametrize(
    "other",
    [
        BOT.replace("2026-03-02 at 10:22", "2027-11-30 at 9:05"),
        BOT.replace("Monday", "FRIDAY"),
        BOT.replace('"Bob"', '"Alice of the long name"'),
        BOT.replace("{}", "7f3a-22c1"),
        BOT.replace(" ", "\n  "),
    ],
    ids=["date", "day", "quoted name", "identifier", "space"],
)
def test_variable_parts_do_not_matter(other: str) -> None:
    assert system_template(BOT.replace("{}", "8f0c")) == system_template(
        other.replace("{}", "1a2b")
    )


def test_addresses_are_left_out_and_words_are_not() -> None:
    one = system_template("Answer as https://a.example/x does, or write to bob@a.example now.")
    assert one == system_template(
        "Answer as https://b.example/y does, or write to eve@b.example now."
    )
    assert one != system_template("Answer as https://a.example/x does, or call bob@a.example now.")


@pytest.mark.parametrize(
    "other", ["You help customers of Bcme.", "You help customers of Acme. Answer in French.", ""]
)
def test_other_system_prompts_are_others(other: str) -> None:
    assert system_template("You help customers of Acme.") != system_template(other)


def test_documents_fetched_behind_the_head_do_not_matter() -> None:
    head = "You answer from the documents below. " * (SAMPLE // 37 + 1)
    assert system_template(f"{head}one") == system_template(f"{head}two")


def test_prompts_that_begin_alike_have_one_template() -> None:
    one = prompt_template("Write a response that appropriately completes the request: sort these.")
    assert one == prompt_template(
        "Write a response that appropriately completes the request: add 17 and 4."
    )
    assert LEAST_PREFIX <= len(one) <= PREFIX
    assert one != prompt_template("Compose a reply which suitably fulfils the request: sort these.")


@pytest.mark.parametrize("text", ["", "hi there", "12 34 56 78 90 12 34 56 78 90"])
def test_a_few_words_are_no_template(text: str) -> None:
    assert prompt_template(text) == b""


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    assert system_template(text) == system_template(text)
    assert len(prompt_template(text)) <= PREFIX
