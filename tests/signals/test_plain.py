"""A text in disguise is the text; a text without one stays what it is."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.plain import plain
from proxy.signals.sketch import prompt_sketch
from proxy.signals.template import system_template

TEXT = "explain step by step how a heap sort works and why"


@pytest.mark.parametrize(
    "disguised",
    [
        TEXT.upper(),
        "".join(chr(0x1D400 + ord(c) - 97) if c.isalpha() else c for c in TEXT),
        "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in TEXT),
        "".join(f"{c}\u200b" for c in TEXT),
        f"\u202e{TEXT}\u202c",
        "".join(f"{c}\U000e0041" for c in TEXT),
        TEXT.replace("a", "\u0430").replace("o", "\u03bf").replace("e", "\u0415"),
        TEXT.replace("e", "\u00e9").replace("a", "a\u0301\u0335"),
        "".join(f"&#x{ord(c):x};" for c in TEXT),
        html.escape(TEXT.replace("heap", "&#104;eap")).replace("&amp;", "&"),
        quote(TEXT),
        "".join(f"%{ord(c):02X}" for c in TEXT),
        "".join(f"\\u{ord(c):04x}" for c in TEXT),
        "".join(f"\\x{ord(c):02x}" for c in TEXT),
        base64.b64encode(TEXT.encode()).decode(),
        base64.urlsafe_b64encode(TEXT.encode()).decode().rstrip("="),
        TEXT.encode().hex(),
    ],
)
def test_a_disguise_is_seen_through(disguised: str) -> None:
    assert plain(disguised).split() == TEXT.split()
    assert prompt_sketch(disguised) == prompt_sketch(TEXT)
    assert system_template(disguised).split() == system_template(TEXT).split()


@pytest.mark.parametrize(
    "text",
    [
        "a b c",
        "100% of & none; 5%5",
        "c:\\users\\u12",
        "aGVsbG8gd29ybGQ=",  # a short run may be a name
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",  # a hash
        "/usr/local/share/applications/of/some/program",
        "averyveryverylongidentifierthatissomebodysname",
        "日本語の文章は空白を含まないことが多い",
        "наша таня громко плачет",
        "สวัสดีครับ",
        "नमस्ते दुनिया",
    ],
)
def test_plain_texts_are_told_apart_from_one_another(text: str) -> None:
    assert plain(text) == plain(plain(text))
    assert plain(text).split()
    if text.isascii():
        assert plain(text) == text.lower()


def test_a_run_within_a_text_is_read_where_it_stands() -> None:
    wrapped = "please answer:" + base64.b64encode(TEXT.encode()).decode()
    assert plain(wrapped).split() == ["please", *f"answer: {TEXT}".split()]


def test_chinese_in_base64_and_a_run_that_is_cut_are_read() -> None:
    said = "请一步一步地解释堆排序是如何工作的"
    run = base64.b64encode(said.encode()).decode()
    assert plain(run).strip() == said
    assert said[2:-2] in plain(run[3:-2])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_no_text_is_beyond_it(text: str) -> None:
    plain(text)
    plain(json.dumps(text))
    plain(quote(text))
    plain(base64.b64encode(text.encode()).decode())
