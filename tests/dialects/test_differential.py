"""A body that is read here is read alike by every parser that an upstream may have; or it is refused."""

from __future__ import annotations

import base64
import json
import math
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from typing import Any

import jiter
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.dialects.jsonbody import UnreadableBody, read_json

NODE = shutil.which("node")
Tree = Any

SEEDS: tuple[bytes, ...] = (
    b'{"a":1}',
    b' {"a" : [1, -0, 1.5e3, 1E-400, true, false, null, "", {}, []]}\r\n\t',
    b'{"a":9007199254740993,"b":18446744073709551617,"c":-0.0,"d":0.1}',
    b'{"a":' + b"9" * 400 + b"}",
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":1e308,"b":1e309}',
    b'{"a":-1e309}',
    b'{"a":1e-400}',
    b'{"a":"\\u0061\\/\\b\\f\\n\\r\\t\\\\\\""}',
    b'{"a":"\\ud83d\\ude00","b":"\xf0\x9f\x98\x80"}',
    b'{"a":"\\ud83d"}',
    b'{"a":"\\ude00\\ud83d"}',
    b'{"a":"\\uD83D\\u0041"}',
    b'{"a":"\\u0000"}',
    b'{"\\u0000":1,"":2}',
    b'{"__proto__":1,"constructor":{},"toString":[]}',
    b'{"__proto__":{"a":1},"a":2}',
    b'{"a":1,"a":1}',
    b'{"a":1,"\\u0061":2}',
    b'{"a":{"b":1,"\\u0062":1}}',
    b'[{"a":1,"a":2}]',
    b'{"1":1,"0":2}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":nan}',
    b'{"a":True}',
    b'{"a":01}',
    b'{"a":-01}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":+1}',
    b'{"a":1e}',
    b'{"a":0x1}',
    b'{"a":1_0}',
    b"{'a':1}",
    b"{a:1}",
    b'{"a":1,}',
    b'{"a":[1,]}',
    b'{"a":1}{"b":2}',
    b'{"a":1}\n{"b":2}',
    b'{"a":1} x',
    b'{"a":1}\x00',
    b'\x00{"a":1}',
    b'\xef\xbb\xbf{"a":1}',
    b'\xff\xfe{\x00"\x00a\x00"\x00:\x001\x00}\x00',
    b'{\x00"\x00a\x00"\x00:\x001\x00}\x00',
    b'{"a":"\xff"}',
    b'{"a":"\xc0\xaf"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf4\x90\x80\x80"}',
    b'{"a":"\xe2\x80\xa8\xe2\x80\xa9"}',
    b'{"a":"\x7f"}',
    b'{"a":"\x1f"}',
    b'{"a":"\n"}',
    b'{"a":"\\x41"}',
    b'{"a":"\\u00e"}',
    b'{"a":"\\U0001f600"}',
    b'{"a":"\\\'"}',
    b'{"a"\xc2\xa0:1}',
    b'{"a"\x0b:1}',
    b'{"a":/**/1}',
    b'{"a":1}//',
    b'{"a":undefined}',
    b"",
    b" ",
    b"null",
    b"[]",
    b'"a"',
    b"{",
    b'{"a"',
    b'{"a":',
    b'{"a":"',
    b'{"a":"\\',
    b'{"a":' * 150 + b"1" + b"}" * 150,
    b'{"a":' * 250 + b"1" + b"}" * 250,
)


def tree(value: object) -> Tree:
    """A value in a form in which all parsers' readings compare: numbers as doubles, keys as pairs."""
    if isinstance(value, dict):
        return {"o": sorted(([key, tree(inner)] for key, inner in value.items()), key=str)}
    if isinstance(value, list):
        return [tree(inner) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return {"v": value}
    assert isinstance(value, int | float)
    return {"n": struct.pack(">d", as_double(value)).hex()}


def as_double(value: float) -> float:
    try:
        return float(value) + 0.0  # an integer has no minus zero
    except OverflowError:
        return math.inf if value > 0 else -math.inf


PARSERS: dict[str, Callable[[bytes], object]] = {
    "json": json.loads,
    "orjson": orjson.loads,
    "jiter": jiter.from_json,
}


def assert_all_agree(body: bytes) -> bool:
    """Whether the body is read here; if so, each parser has read the same."""
    try:
        read = tree(read_json(body))
    except UnreadableBody:
        return False
    for name, parse in PARSERS.items():
        assert tree(parse(body)) == read, name
    return True


@pytest.mark.parametrize("body", SEEDS, ids=range(len(SEEDS)))
def test_known_differences_are_refused_or_read_alike(body: bytes) -> None:
    assert_all_agree(body)


def test_the_seeds_hold_both_sorts() -> None:
    read = sum(assert_all_agree(body) for body in SEEDS)
    assert 12 <= read <= len(SEEDS) - 45


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
EDITS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 2),
        st.sampled_from([b'"', b"\\", b"{", b"}", b",", b":", b"\\u0061", b"\\ud800", b"0", b"e9"])
        | st.binary(min_size=1, max_size=2),
    ),
    max_size=3,
)


def edited(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, gone, new in edits:
        at = place % (len(body) + 1)
        body = body[:at] + new + body[at + gone :]
    return body


@given(value=JSON_VALUES, ascii_only=st.booleans(), edits=EDITS)
@example(value=0, ascii_only=True, edits=[])
@settings(max_examples=400)
def test_edited_bodies_are_refused_or_read_alike(
    value: object, ascii_only: bool, edits: list[tuple[int, int, bytes]]
) -> None:
    body = json.dumps({"a": value}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert_all_agree(edited(body, edits))


IN_NODE = """
const double = n => { const b = Buffer.alloc(8); b.writeDoubleBE(n + 0); return b.toString('hex') }
const tree = v => {
  if (Array.isArray(v)) return v.map(tree)
  if (v !== null && typeof v === 'object') return {o: Object.keys(v).map(k => [k, tree(v[k])])}
  return typeof v === 'number' ? {n: double(v)} : {v}
}
require('readline').createInterface({input: process.stdin}).on('line', line => {
  let said
  try {
    const utf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true})
    const text = utf8.decode(Buffer.from(line, 'base64'))
    said = {read: tree(JSON.parse(text))}
  } catch (error) { said = {} }
  console.log(JSON.stringify(said))
})
"""


@pytest.mark.skipif(NODE is None, reason="no node on PATH: JSON.parse was not compared")
def test_what_is_read_here_is_read_alike_by_node() -> None:
    chance = random.Random(4)
    pieces = [b'"', b"\\", b"\\u0061", b"{", b"}", b",", b"0", b"e9", b"-", b"\xff", b" ", b"\n"]
    bodies = list(SEEDS)
    for seed in SEEDS * 20:
        at = chance.randrange(len(seed) + 1)
        bodies.append(seed[:at] + chance.choice(pieces) + seed[at + chance.randrange(2) :])
    lines = b"\n".join(map(base64.b64encode, bodies)) + b"\n"
    assert NODE is not None
    done = subprocess.run([NODE, "-e", IN_NODE], input=lines, capture_output=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(bodies)
    compared = 0
    for body, answer in zip(bodies, answers, strict=True):
        try:
            read = tree(read_json(body))
        except UnreadableBody:
            continue
        found = answer.get("read")
        assert found is not None, body
        assert sort_keys(found) == read, body
        compared += 1
    assert compared >= 100


def sort_keys(found: Tree) -> Tree:
    if isinstance(found, list):
        return [sort_keys(inner) for inner in found]
    if "o" in found:
        return {"o": sorted(([key, sort_keys(inner)] for key, inner in found["o"]), key=str)}
    return found
