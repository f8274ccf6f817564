"""
One line of an OpenAI batch's file: `{"custom_id", "method", "url", "body"}`. Pure.

Shapes: the OpenAI API reference, "The request input object". The url is a path of the table of routes,
and the body what that path would be sent.
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.jsonbody import (
    UnreadableBody,
    mapping,
    read_json,
    refuse_lookalikes,
    string,
)
from proxy.dialects.routes import dialect, find_route
from proxy.facts import Ask, Route

_KEYS: Final = frozenset(["custom_id", "method", "url", "body"])
_HOLDERS: Final = frozenset(["openai_files", "anthropic_batches", "gemini_batch"])
"""Dialects whose requests hold others: no batch holds batches."""


def read_line(line: bytes) -> tuple[Route, tuple[Ask, ...]]:
    """Where a line's request would go, and what it asks. Raises UnreadableBody."""
    if line.lstrip()[:1] != b"{":  # of a picture or a text, this is told without a parser
        raise UnreadableBody("not_an_object", "A line of the batch must be a JSON object.")
    parsed = read_json(line)
    refuse_lookalikes(parsed, _KEYS)
    method = string(parsed.get("method", "POST"), "method")
    url = string(parsed.get("url"), "url")
    route = find_route(method, url)
    if route.kind != "inspected" or route.dialect in _HOLDERS:
        raise UnreadableBody(
            "wrong_type", "A line of the batch names a url that no batch may call."
        )
    return route, dialect(route.dialect).asks_of(mapping(parsed.get("body"), "body"), url)
