"""Bodies that parsers could read differently are refused, with stable reasons and no body text."""

import re
from typing import Any

import jiter
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.jsonbody import (
    MAX_DEPTH,
    MAX_VALUES,
    UnreadableBody,
    _holds_more_than,
    _more_values_than,
    array,
    boolean,
    integer,
    limit,
    mapping,
    number,
    plain_texts,
    read_json,
    refuse_lookalikes,
    string,
)

SECRET = b"sk-secret"


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"  ", "not_json"),
        (b"sk-secret", "not_json"),
        (b'{"sk-secret":', "not_json"),
        (b'{"a":1,}', "not_json"),
        (b"{'sk-secret':1}", "not_json"),
        (b'{"a":NaN}', "not_json"),
        (b'{"a":Infinity}', "not_json"),
        (b'{"a":-Infinity}', "not_json"),
        (b'{"a":01}', "not_json"),
        (b'{"a":1} {"sk-secret":2}', "not_json"),
        (b'{"a":1}\x00', "not_json"),
        (b'{"a":"\x01sk-secret"}', "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        ('{"a":1}'.encode("utf-16"), "not_json"),
        (b'{"a":"sk-secret\xff"}', "not_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8"),
        (b'{"a":"sk-secret\\ud800"}', "not_utf8"),
        (b'{"a":"\\ud800x"}', "not_utf8"),
        (b'{"a":"\\udc00\\ud800"}', "not_utf8"),
        (b'{"sk-secret":1,"sk-secret":2}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"a":[{"sk-secret":1,"sk-secret":2}]}', "duplicate_key"),
        (b'{"a":' + b"9" * 5000 + b"}", "number_out_of_range"),
        (b'{"a":1e309}', "number_out_of_range"),
        (b'{"a":[{"b":-1e309}]}', "number_out_of_range"),
        (b'{"a":' + b"9" * 310 + b"}", "number_out_of_range"),
        (b'{"a":-' + b"9" * 310 + b"}", "number_out_of_range"),
        (b"[1]", "not_an_object"),
        (b'"sk-secret"', "not_an_object"),
        (b"null", "not_an_object"),
        (nested(MAX_DEPTH + 1), "too_deep"),
        (b'{"a":' + b"[" * 90_000, "too_deep"),
        (b'{"a":[' + b"1," * (MAX_VALUES + 1) + b"1]}", "too_many_values"),
        (b'{"a":[' + b'"",' * (MAX_VALUES + 1) + b'""]}', "too_many_values"),
        (b'{"a":[' + b"[]," * (MAX_VALUES + 1) + b"1]}", "too_many_values"),
        (b'{"a":[' + b"[]," * (2 * MAX_VALUES) + b"1]}", "too_many_values"),
    ],
)
def test_a_body_that_is_not_one_unambiguous_object_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read_json(body)
    assert refused.value.reason == reason
    assert SECRET.decode() not in refused.value.message
    assert re.fullmatch(r"The body [a-zA-Z0-9 -]+\.", refused.value.message)
    # jiter's own message may quote the body: no traceback may show it.
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_every_key_stays_in_wire_order_and_every_value_as_written() -> None:
    parsed = read_json(b' {"b":"\\ud83d\\ude00","a":[1,2.5,null,true],"c":' + b"9" * 40 + b"}\n")
    assert list(parsed.items()) == [("b", "😀"), ("a", [1, 2.5, None, True]), ("c", int("9" * 40))]


def test_the_largest_double_is_read() -> None:
    assert read_json(b'{"a":1.7976931348623157e308,"b":-1.7976931348623157e308}')


@pytest.mark.parametrize("depth", [1, 2, 10, 64])
def test_a_lower_depth_bound_holds_exactly(depth: int) -> None:
    assert read_json(nested(depth), max_depth=depth)
    with pytest.raises(UnreadableBody, match="nested too deeply"):
        read_json(nested(depth + 1), max_depth=depth)


def test_a_lower_depth_bound_counts_arrays_and_leaves_wide_bodies_alone() -> None:
    assert read_json(b'{"a":[' + b"[],{}," * 50 + b"[]]}", max_depth=3)
    with pytest.raises(UnreadableBody, match="nested too deeply"):
        read_json(b'{"a":[[[]]]}', max_depth=3)


def test_the_deepest_body_that_is_let_through_can_be_written_again() -> None:
    assert orjson.loads(orjson.dumps(read_json(nested(MAX_DEPTH))))


@pytest.mark.parametrize(
    ("body", "wording"),
    [
        (b'{"a":1,"a":2}', "Detected duplicate key"),
        (nested(MAX_DEPTH + 1), "recursion limit exceeded"),
        (b"9" * 5000, "number out of range"),
        (b'"\xff"', "invalid unicode code point"),
        (b'"\\udc00\\ud800"', "lone leading surrogate"),
        (b'"\\ud800"', "unexpected end of hex escape"),
    ],
)
def test_jiter_still_words_its_errors_as_the_reasons_are_told_apart_by(
    body: bytes, wording: str
) -> None:
    with pytest.raises(ValueError, match=f"^{wording}"):
        jiter.from_json(body, catch_duplicate_keys=True)


@pytest.mark.parametrize("key", ["Messages", "MESSAGES", "me\u017f\u017fages"])
def test_a_key_that_differs_from_a_known_one_by_case_is_refused(key: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        refuse_lookalikes(["model", key], frozenset(["messages", "model"]))
    assert refused.value.reason == "ambiguous_key"
    assert key not in refused.value.message


def test_known_and_foreign_keys_are_no_lookalikes() -> None:
    refuse_lookalikes(["messages", "message", "X"], frozenset(["messages"]))


@pytest.mark.parametrize(
    ("reader", "good", "read"),
    [
        (integer, 16, 16),
        (integer, 16.0, 16),
        (integer, -(10**30), -(2**53)),
        (integer, 1e300, 2**53),
        (limit, 0, 0),
        (limit, -1, None),
        (number, 1, 1.0),
        (number, 0.5, 0.5),
        (boolean, False, False),
        (string, "", ""),
        (array, None, []),
        (array, [1], [1]),
        (mapping, None, {}),
        (mapping, {"a": 1}, {"a": 1}),
    ],
)
def test_a_field_of_its_type_is_read(reader, good, read) -> None:  # type: ignore[no-untyped-def]
    assert reader(good, "f") == read
    assert type(reader(good, "f")) is type(read)


@pytest.mark.parametrize(
    ("reader", "bad", "wanted"),
    [
        (integer, True, "an integer"),
        (integer, 1.5, "an integer"),
        (integer, "1", "an integer"),
        (integer, float("inf"), "an integer"),
        (limit, "1", "an integer"),
        (number, True, "a finite number"),
        (number, "1", "a finite number"),
        (number, float("inf"), "a finite number"),
        (number, 10**400, "a finite number"),
        (boolean, 1, "a boolean"),
        (boolean, "true", "a boolean"),
        (string, 1, "a string"),
        (array, {}, "an array"),
        (mapping, [], "an object"),
    ],
)
def test_a_field_of_another_type_is_named(reader, bad, wanted) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnreadableBody) as refused:
        reader(bad, "a.b[0]")
    assert refused.value.reason == "wrong_type"
    assert refused.value.message == f"a.b[0] must be {wanted}."


@pytest.mark.parametrize(
    "other",
    [
        {"type": "text", "text": 1},
        {"type": "image_url", "text": "a"},
        {"type": "text", "text": "a", "cache_control": {}},
        {"text": "a"},
        "a",
    ],
)
def test_only_blocks_of_plain_text_are_read_the_short_way(other: object) -> None:
    plain = {"type": "text", "text": "a"}
    assert plain_texts([plain, plain]) == ["a", "a"]
    assert plain_texts([plain, other]) is None


TEXTS = st.text('",[{\\\\ab', max_size=9)


@given(
    st.dictionaries(
        TEXTS,
        st.recursive(
            st.integers(0, 9) | TEXTS,
            lambda inner: st.lists(inner, max_size=9) | st.dictionaries(TEXTS, inner, max_size=9),
        ),
    ),
    st.integers(1, 40),
)
def test_values_are_counted_alike_before_and_after_parsing(value: Any, most: int) -> None:
    body = orjson.dumps(value)
    assert _holds_more_than(value, most) is _more_values_than(body, most)


@pytest.mark.parametrize("size", [MAX_VALUES + 9, 6 * MAX_VALUES])
@pytest.mark.parametrize("text", [",", '"[{', "\\"])
def test_punctuation_in_a_long_prompt_is_no_value(text: str, size: int) -> None:
    body = orjson.dumps({"messages": [{"content": text * size}]})
    assert read_json(body) == {"messages": [{"content": text * size}]}
