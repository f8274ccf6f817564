"""ProtoJSON: two spellings of each key, numbers and enums in more than one form, one meaning."""

from __future__ import annotations

import pytest

from proxy.dialects.jsonbody import UnreadableBody
from proxy.dialects.protojson import Message, enumeration, integer, number, repeated

MESSAGE = Message("text", "topP", "maxOutputTokens")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, {}),
        ({}, {}),
        ({"topP": 1, "maxOutputTokens": 2}, {"topP": 1, "maxOutputTokens": 2}),
        ({"top_p": 1, "max_output_tokens": 2}, {"topP": 1, "maxOutputTokens": 2}),
        ({"topP": None, "text": "a"}, {"text": "a"}),
        ({"topP": 0, "text": ""}, {"topP": 0, "text": ""}),
        ({"unheardOf": 1, "top_q": 2}, {}),
    ],
)
def test_known_fields_are_found_by_either_spelling(value: object, found: object) -> None:
    assert MESSAGE.read(value, "field") == found


@pytest.mark.parametrize(
    "value",
    [
        {"topP": 1, "top_p": 1},
        {"topP": None, "top_p": None},
        {"topp": 1},
        {"TopP": 1},
        {"TOP_P": 1},
        {"top__p": 1},
        {"_text": 1},
        {"TEXT": 1},
        {"te\u017ft": 1, "max\u017f": 1, "maxOutputToken\u017f": 1},
    ],
)
def test_spellings_that_readers_disagree_on_are_refused(value: object) -> None:
    with pytest.raises(UnreadableBody) as refused:
        MESSAGE.read(value, "field")
    assert refused.value.reason == "ambiguous_key"


@pytest.mark.parametrize("value", [5, "a", [], True])
def test_what_is_no_object_is_refused_by_name(value: object) -> None:
    with pytest.raises(UnreadableBody, match="field must be an object"):
        MESSAGE.read(value, "field")


@pytest.mark.parametrize(
    ("value", "read"), [(5, 5), (5.0, 5), ("5", 5), ("-5", -5), ("5e1", 50), ("9" * 40, 2**53)]
)
def test_an_integer_in_all_its_forms(value: object, read: int) -> None:
    assert integer(value, "field") == read


@pytest.mark.parametrize(("value", "read"), [(5, 5.0), ("0.5", 0.5), ("-5e-1", -0.5), ("0", 0.0)])
def test_a_number_in_all_its_forms(value: object, read: float) -> None:
    assert number(value, "field") == read


@pytest.mark.parametrize(
    "value", [True, None, "", " 5", "5 ", "05", ".5", "5.", "0x5", "5e9999", []]
)
def test_what_is_no_number_is_refused(value: object) -> None:
    for read in (integer, number):
        with pytest.raises(UnreadableBody, match="field must be"):
            read(value, "field")


def test_an_enum_is_its_name_or_its_number() -> None:
    assert (enumeration("HIGH", "field"), enumeration(2, "field")) == ("high", "2")
    with pytest.raises(UnreadableBody):
        enumeration(True, "field")


def test_a_bare_value_is_a_list_of_one() -> None:
    assert (repeated([1, 2]), repeated({"a": 1}), repeated(None)) == ([1, 2], [{"a": 1}], [])
