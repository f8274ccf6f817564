"""How programs write JSON."""

from __future__ import annotations

import json

import pytest

from proxy.signals.json_style import escapes_html, json_style, marshalled_map

BODY = {"model": "m", "messages": [{"role": "user", "content": "a < b & c"}]}


@pytest.mark.parametrize(
    ("body", "style"),
    [
        (json.dumps(BODY, separators=(",", ":")).encode(), "compact"),
        (json.dumps(BODY).encode(), "spaced"),
        (json.dumps(BODY, indent=2).encode(), "pretty"),
        (b'{ "model": "m"}', "other"),
        (b'{"model" : "m"}', "other"),
        (b"{}", "other"),
        (b"[1]", "other"),
        (b"", "other"),
        (b'{"a\\u0062":1}', "other"),
    ],
)
def test_the_style_is_told_from_the_first_key(body: bytes, style: str) -> None:
    assert json_style(body) == style


def test_gos_escapes_are_seen_near_the_beginning_only() -> None:
    assert escapes_html(b'{"content":"a \\u003c b"}')
    assert not escapes_html(b'{"content":"a < b \\u00fc"}')
    assert not escapes_html(b'{"content":"' + b"x" * 5000 + b'\\u003c"}')


@pytest.mark.parametrize(
    ("keys", "marshalled"),
    [
        (("max_tokens", "messages", "model", "stream"), True),
        (("messages", "model", "max_tokens", "stream"), False),
        (("messages", "model", "seed", "stream", "temperature"), False),
        (("input", "model", "stream"), False),
        ((), False),
    ],
)
def test_a_marshalled_map_is_told_by_what_stands_before_the_messages(
    keys: tuple[str, ...], marshalled: bool
) -> None:
    assert marshalled_map(keys) is marshalled
