"""How an OpenAI stream is asked for its usage: one key changes, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai_chat import OPENAI_CHAT


def ask_usage(body: bytes) -> bytes | None:
    return OPENAI_CHAT.ask_usage(body, OPENAI_CHAT.read(body).parsed)


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        (b"", False),
        (b',"stream_options":null', False),
        (b',"stream_options":{}', False),
        (b',"stream_options":{"include_usage":false}', False),
        (b',"stream_options":{"include_usage":null}', False),
        (b',"stream_options":{"include_usage":true}', True),
    ],
)
def test_usage_is_asked_for_just_where_the_stream_would_not_report_it(
    options: bytes, asks: bool
) -> None:
    body = b'{"messages":[],"stream":true%b}' % options
    assert OPENAI_CHAT.read(body).ask.asks_usage is asks
    changed = ask_usage(body)
    if asks:
        assert changed is None
    else:
        assert changed is not None
        assert OPENAI_CHAT.read(changed).ask.asks_usage


@pytest.mark.parametrize("stream", [b"", b',"stream":false', b',"stream":null'])
def test_a_plain_reply_reports_its_usage_unasked(stream: bytes) -> None:
    body = b'{"messages":[]%b}' % stream
    assert OPENAI_CHAT.read(body).ask.asks_usage
    assert ask_usage(body) is None


def test_an_absent_key_is_spliced_in_and_all_other_bytes_stay() -> None:
    body = b' {"messages" : [ ],\n "stream":true, "x":1e-999, "s":"}" } \n'
    assert ask_usage(body) == (
        b' {"messages" : [ ],\n "stream":true, "x":1e-999, "s":"}" '
        b',"stream_options":{"include_usage":true}} \n'
    )


def test_other_stream_options_and_the_order_of_keys_survive() -> None:
    body = b'{"stream_options":{"chunk":1,"include_usage":false},"stream":true,"messages":[]}'
    assert ask_usage(body) == (
        b'{"stream_options":{"chunk":1,"include_usage":true},"stream":true,"messages":[]}'
    )


@pytest.mark.parametrize(
    "number",
    [b"123456789012345678901234567890", b"0.1234567890123456789", b"1e-999"],
)
def test_a_body_is_left_alone_where_writing_it_anew_would_change_a_number(number: bytes) -> None:
    assert ask_usage(b'{"messages":[],"stream":true,"stream_options":{},"x":%b}' % number) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text("abcxyz_"), JSON, max_size=4),
    st.none() | st.just({}) | st.dictionaries(st.text("abc"), JSON, max_size=3),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_asking_for_usage_changes_one_key_and_nothing_else(
    extra: dict[str, Any], options: dict[str, Any] | None, present: bool, indent: int | None
) -> None:
    fields = {**extra, "messages": [], "stream": True}
    if present:
        fields = {"stream_options": options, **fields}
    changed = ask_usage(json.dumps(fields, indent=indent, ensure_ascii=bool(indent)).encode())
    assert changed is not None
    expected = {**fields, "stream_options": {**(options or {}), "include_usage": True}}
    if not present:
        expected = {**fields, "stream_options": {"include_usage": True}}
    # Written out, so that order, int and float, and the sign of zero count.
    assert json.dumps(json.loads(changed)) == json.dumps(expected)
