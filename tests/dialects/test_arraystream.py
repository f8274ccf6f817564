"""An array's objects come out whole wherever its chunks are cut, and no input costs more than a bound."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import arraystream
from proxy.dialects.arraystream import MAX_PIECE_BYTES, ArraySplitter

OBJECTS: list[dict[str, Any]] = [
    {"text": "é", "inner": [{"a": [1, {"b": {}}]}]},
    {"text": '"]}[{ \\ "\\" \\\\', "}": "{"},
    {},
    {"last": None},
]
ARRAY = b" [" + b"\n,\r\n".join(orjson.dumps(one) for one in OBJECTS) + b"]\n"


def fed(*chunks: bytes) -> list[bytes]:
    splitter = ArraySplitter()
    return [piece for chunk in chunks for piece in splitter.feed(chunk)]


def test_every_byte_alone_gives_the_same_objects() -> None:
    pieces = fed(*(ARRAY[at : at + 1] for at in range(len(ARRAY))))
    assert [orjson.loads(one) for one in pieces] == OBJECTS


@given(st.lists(st.integers(0, len(ARRAY)), max_size=12))
def test_any_cuts_give_the_same_objects(places: list[int]) -> None:
    cuts = pairwise([0, *sorted(places), len(ARRAY)])
    pieces = fed(*(ARRAY[start:end] for start, end in cuts))
    assert [orjson.loads(one) for one in pieces] == OBJECTS


def test_an_empty_chunk_changes_nothing() -> None:
    assert fed(b'[{"a":"\\', b"", b'""}]') == [rb'{"a":"\""}']


def test_an_object_comes_out_with_its_last_bracket() -> None:
    splitter = ArraySplitter()
    assert splitter.feed(b'[{"a":{}') == []
    assert splitter.feed(b"}") == [b'{"a":{}}']


@given(st.lists(st.binary(max_size=12) | st.text('[]{}"\\a,', max_size=12).map(str.encode)))
def test_nothing_makes_it_fail(chunks: list[bytes]) -> None:
    pieces = fed(*chunks)
    assert sum(map(len, pieces)) <= sum(map(len, chunks))


def test_a_piece_beyond_the_bound_is_let_go_and_the_next_is_read() -> None:
    splitter = ArraySplitter()
    assert splitter.feed(b'[{"a":"') == []
    for _ in range(MAX_PIECE_BYTES // 65536 + 3):
        assert splitter.feed(b"x" * 65536) == []
        assert sum(map(len, splitter._parts)) <= MAX_PIECE_BYTES
    assert splitter.feed(b'"},{"b":1}') == [b'{"b":1}']


def test_a_whole_piece_beyond_the_bound_in_one_chunk_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arraystream, "MAX_PIECE_BYTES", 8)
    assert ArraySplitter().feed(b'[{"a":12},{"a":123},{"a":4}]') == [b'{"a":12}', b'{"a":4}']


def test_many_escapes_cost_no_stack_and_no_second_try() -> None:
    text = b'[{"a":"' + b'\\"' * 500_000
    splitter = ArraySplitter()
    assert splitter.feed(text) == []
    assert len(splitter.feed(b'"}]')) == 1
