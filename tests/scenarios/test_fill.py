"""Placeholders: what is drawn anew, what comes again, and what is text."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from proxy.scenarios.fill import Filler, check
from proxy.scenarios.words import WORDS


def filled(text: str, n: int, seed: bytes = b"s") -> str:
    return Filler(seed, n).text(text)


def test_a_request_knows_its_number() -> None:
    assert [filled("{n}/{n%3}", n) for n in (1, 2, 3, 4)] == ["1/1", "2/2", "3/0", "4/1"]


def test_words_are_the_same_in_each_run_and_others_in_each_request() -> None:
    assert len(WORDS) == len(set(WORDS)) == 256
    assert filled("{words:12}", 1) == filled("{words:12}", 1)
    drawn = {filled("{words:12}", n) for n in range(500)}
    assert len(drawn) == 500
    assert all(len(one.split()) == 12 for one in drawn)
    assert filled("{words:12}", 1) != filled("{words:12}", 1, b"another burst")
    one, other = filled("{word} {word}", 1).split()
    assert one != other


def test_words_come_again_where_they_are_counted_round() -> None:
    assert filled("{words:9%20}", 3) == filled("{words:9%20}", 23)
    assert len({filled("{words:9%20}", n) for n in range(200)}) == 20


def test_long_texts_do_not_repeat_themselves() -> None:
    words = filled("{words:300}", 1).split()
    assert words[:64] != words[64:128]


def test_what_is_no_placeholder_is_text() -> None:
    for text in ('{"a": {"b": 1}}', "{}", "{ n }", "a } b {", "{N}"):
        check(text)
        assert filled(text, 7) == text
    assert filled("{{n}} {{words:3}} {n}", 7) == "{n} {words:3} 7"


def test_several_texts_take_turns_and_names_of_fields_are_filled() -> None:
    assert [Filler(b"", n).one(("a", "b{n}")) for n in (1, 2, 3)] == ["a", "b2", "a"]
    given = {"bias": {"{n}": 5, "x": ["{n}", True, None, 1.5]}}
    assert Filler(b"", 9).data(given) == {"bias": {"9": 5, "x": ["9", True, None, 1.5]}}


@pytest.mark.parametrize(
    "text", ["{words}", "{words:0}", "{words:99999}", "{word:3}", "{n%0}", "{n%x}", "{nn}"]
)
def test_a_placeholder_that_is_none_is_a_mistake(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        check(text)
