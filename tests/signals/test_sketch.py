"""Prompt sketches: what says nearly the same is one, what says something else is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.facts import Ask, Turn
from proxy.signals.sketch import MOST_WORDS, prompt_sketch, prompt_text

LONG = (
    "I am planning a walk of five days through the hills behind our town with my two children, who are "
    "eight and eleven years old. Which stages would you suggest, where could we sleep, and what should "
    "each of us carry so that nobody has to carry too much?"
)
OTHER = (
    "Sort the following numbers from the largest down, and say for each whether it is prime, even, a "
    "square or nothing of the kind."
)
WRAPPER = "Below is an instruction. Write a response that completes it."
SHORT = "Where is my parcel, please?"


def alike(one: str, other: str) -> bool:
    return bool(set(prompt_sketch(one)) & set(prompt_sketch(other)))


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize(
    "edit",
    [
        str.upper,
        lambda text: text.replace(" ", " \n\t "),
        lambda text: text.replace(",", ";").replace("?", " ?!"),
        lambda text: f"{text} 12345",
        lambda text: f"  “{text}”…",
        lambda text: text.replace("e", "\uff45"),
    ],
    ids=["case", "space", "punctuation", "number", "quotes", "width"],
)
def test_the_form_of_a_prompt_does_not_matter(text: str, edit: object) -> None:
    assert callable(edit)
    assert alike(text, edit(text))


def edited(at: int, how: str) -> str:
    """The long prompt with one small edit at a word."""
    words = LONG.split()
    word = words[at]
    words[at] = {
        "another": "road",
        "typo": word[:-2] + word[-1:] if len(word) > 3 else f"{word}e",
        "dropped": "",
        "salted": f"{word} qx7zk",
    }[how]
    return " ".join(words)


@pytest.mark.parametrize(
    ("how", "least"), [("another", 0.7), ("typo", 0.75), ("dropped", 0.7), ("salted", 0.5)]
)
def test_most_small_edits_of_a_long_prompt_leave_it_one_prompt(how: str, least: float) -> None:
    places = range(len(LONG.split()))
    matched = sum(alike(LONG, edited(at, how)) for at in places) / len(places)
    assert matched >= least


@pytest.mark.parametrize(
    "other",
    [f"qx7zk {LONG}", f"Hello! {LONG}", f"{LONG} [qx7zk]", f"{LONG} Thanks!"],
    ids=["salt before", "greeting", "salt behind", "thanks"],
)
def test_what_is_put_before_or_behind_does_not_matter(other: str) -> None:
    assert alike(LONG, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG, LONG[::-1]),
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("Explain the tides to a child.", "Explain the tides to an engineer."),
        (
            f"{WRAPPER} {LONG}",
            f"{WRAPPER} {OTHER}",
        ),
        ("我想知道今天天气怎么样？", "我想知道明天有没有雨？"),
    ],
    ids=["reversed", "one word of few", "another reader", "one wrapper", "chinese"],
)
def test_other_prompts_are_others(one: str, other: str) -> None:
    assert not alike(one, other)


@pytest.mark.parametrize("text", ["", " ", "hi", "?!", "1234", "🙂", "\x00", "\ud800"])
def test_hardly_any_words_tell_nothing(text: str) -> None:
    assert prompt_sketch(text) == ()


def test_chinese_is_told_without_spaces() -> None:
    assert alike("我想知道今天天气怎么样？", "我想知道今天，天气怎么样")


def test_what_matters_of_a_very_long_prompt_is_its_head_and_tail() -> None:
    middle = " ".join(f"word{chr(97 + at % 26)}{chr(97 + at // 26 % 26)}" for at in range(20_000))
    assert alike(f"{LONG} {middle} {LONG}", f"{LONG} {middle.upper()} {middle} {LONG}")
    assert not alike(f"{LONG} {middle} {LONG}", f"{SHORT} {middle} the end")
    assert len(middle.split()) > MOST_WORDS


@given(st.text(alphabet=st.characters(), max_size=500))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_it_and_it_stays_the_same(text: str) -> None:
    sketch = prompt_sketch(text)
    assert len(sketch) <= 2
    assert sketch == prompt_sketch(text)


def test_what_is_newly_asked_is_the_users_last_turn() -> None:
    turns = (
        Turn("system", "s"),
        Turn("user", "first"),
        Turn("assistant", "a"),
        Turn("user", "second"),
    )
    assert prompt_text(Ask("m", turns)) == "second"
    assert prompt_text(Ask("m", (*turns, Turn("tool", "result")))) == "second"
    assert prompt_text(Ask("m", (Turn("system", "only"),))) == "only"
    assert prompt_text(Ask("m")) == ""
