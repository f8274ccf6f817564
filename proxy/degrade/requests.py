"""A judged body changed once, before it goes on: what a policy takes from it, in its own dialect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from proxy.decision import Degradation
from proxy.degrade import anthropic_request, exact, gemini_request, openai_request
from proxy.degrade.settings import JsonObject
from proxy.facts import Route

_ANSWERS: Final = frozenset(["chat", "text_completion", "batch"])
"""Operations that make a model answer. Others count, cache or keep, and refuse limits."""

Degrader = Callable[[JsonObject, Degradation], tuple[str, ...]]

DEGRADERS: Final[dict[str, Degrader]] = {
    "openai_chat": openai_request.degrade_chat,
    "openai_completions": openai_request.degrade_completion,
    "openai_responses": openai_request.degrade_response,
    "anthropic_messages": anthropic_request.degrade_message,
    "anthropic_complete": anthropic_request.degrade_complete,
    "anthropic_batches": anthropic_request.degrade_batch,
    "gemini_generate": gemini_request.degrade_generate,
    "gemini_batch": gemini_request.degrade_batch,
}
"""Dialect → what changes a parsed body and names what it has changed. Others answer no text."""


def degraded_body(
    body: bytes, route: Route, degradation: Degradation
) -> tuple[bytes, tuple[str, ...]]:
    """The body as it goes on, and the names of what has changed; the same bytes where nothing has.

    Raises ValueError for a body that cannot be written again.
    """
    degrader = _degrader(route)
    if degrader is None:
        return body, ()
    parsed = exact.loads(body)
    before = frozenset(parsed)
    changed = degrader(parsed, _for(route, degradation))
    if not changed:
        return body, ()
    if all(name in parsed and name not in before for name in changed):
        return _spliced(body, {name: parsed[name] for name in changed}, bare=not before), changed
    return exact.dumps(parsed), changed


def degraded_line(
    line: bytes, route: Route, degradation: Degradation
) -> tuple[bytes, tuple[str, ...]]:
    """The same of one line of a batch's file: what it holds under `body` is changed."""
    degrader = _degrader(route)
    if degrader is None:
        return line, ()
    parsed = exact.loads(line)
    if type(parsed.get("body")) is not dict:
        return line, ()
    changed = degrader(parsed["body"], _for(route, degradation))
    return (exact.dumps(parsed), changed) if changed else (line, ())


def takes_limit(route: Route) -> bool:
    """Whether a cap on output tokens reaches a route's requests."""
    return _degrader(route) is not None and not _knows_no_limit(route)


def _degrader(route: Route) -> Degrader | None:
    return DEGRADERS.get(route.dialect) if route.operation in _ANSWERS else None


def _for(route: Route, degradation: Degradation) -> Degradation:
    if _knows_no_limit(route):
        return replace(degradation, cap_output_tokens=None)
    return degradation


def _knows_no_limit(route: Route) -> bool:
    return route.template.endswith("/compact")


def _spliced(body: bytes, added: JsonObject, *, bare: bool) -> bytes:
    """New keys before the last brace; all other bytes stay."""
    end = body.rindex(b"}")
    comma = b"" if bare else b","
    return body[:end] + comma + exact.dumps(added)[1:-1] + body[end:]
