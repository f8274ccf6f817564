"""
Which API surface a request belongs to: one explicit table, matched on the raw path.

A path is known only as it is written here. Anything that some upstream could normalise into a known
one (percent-encoding, dot segments, doubled slashes, another case) is `unknown`, and what becomes of
unknown routes is the policy's to say: never a guess of ours.
"""

from __future__ import annotations

import re

from proxy.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from proxy.dialects.base import Dialect
from proxy.dialects.gemini_generate import GEMINI_GENERATE, generate_route
from proxy.dialects.openai_chat import OPENAI_CHAT
from proxy.dialects.openai_responses import OPENAI_RESPONSES
from proxy.facts import Route
from proxy.head import RawHeaders

DIALECTS: tuple[Dialect, ...] = (
    OPENAI_CHAT,
    ANTHROPIC_MESSAGES,
    OPENAI_RESPONSES,
    GEMINI_GENERATE,
)
"""All that are served. The first one's error format is used where nothing hints at another."""

_BY_NAME = {one.name: one for one in DIALECTS}

_BY_HEADER = {header: one for one in DIALECTS for header in one.header_hints}

_OPENAI = OPENAI_CHAT.name
_ANTHROPIC = ANTHROPIC_MESSAGES.name
_RESPONSES = OPENAI_RESPONSES.name
_GEMINI = GEMINI_GENERATE.name

# Several APIs list models under one path: whose error format applies, only headers tell.
_SHARED = ""

_MODELS = Route("passed", _SHARED, "", "/v1/models")
_MODEL = Route("passed", _SHARED, "", "/v1/models/{id}")
_GEMINI_MODELS = {
    f"/{version}/models": (
        Route("passed", _GEMINI, "", f"/{version}/models"),
        Route("passed", _GEMINI, "", f"/{version}/models/{{model}}"),
    )
    for version in ("v1beta", "v1alpha")
}
_UNKNOWN = {name: Route("unknown", name, "", "unknown") for name in (_SHARED, *_BY_NAME)}

_EXACT: dict[tuple[str, str], Route] = {
    ("POST", "/v1/chat/completions"): Route("inspected", _OPENAI, "chat", "/v1/chat/completions"),
    ("POST", "/v1/responses"): Route("inspected", _RESPONSES, "chat", "/v1/responses"),
    ("POST", "/v1/messages"): Route("inspected", _ANTHROPIC, "chat", "/v1/messages"),
    ("GET", "/v1/models"): _MODELS,
    ("HEAD", "/v1/models"): _MODELS,
    **{
        (method, path): models
        for method in ("GET", "HEAD")
        for path, (models, _) in _GEMINI_MODELS.items()
    },
}

# One segment that no server reads as anything but itself; `.` and `..` alone are none.
_SEGMENT = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._:@-]{1,256}\Z")
_NO_COLON = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._@-]{1,256}\Z")

# Routes with a variable last segment: the fixed part before it → that segment → route. Gemini's
# methods stand behind a colon (`m:countTokens`), and other APIs' models have colons in their names.
_LOOKED_UP: tuple[tuple[str, re.Pattern[str], Route], ...] = (
    ("/v1/models/", _SEGMENT, _MODEL),
    *((f"{path}/", _NO_COLON, model) for path, (_, model) in _GEMINI_MODELS.items()),
)

# What only Gemini has under the path that it shares with others.
_GEMINI_METHOD = re.compile(r"/v1/models/[^/]*:[a-z]+[A-Z][A-Za-z]*\Z").match


def dialect(name: str) -> Dialect:
    """The dialect of that name, as a `Route` gives it. Raises KeyError."""
    return _BY_NAME[name]


def find_route(method: str, path: str) -> Route:
    """Classify a request by method and raw path (without query). O(1) for exact paths.

    `Route.dialect` is empty where the path does not tell: then `dialect_for_errors` does.
    """
    route = _EXACT.get((method, path))
    if route is not None:
        return route
    if method == "POST":
        route = generate_route(path)
        if route is not None:
            return route
    elif method in {"GET", "HEAD"} and not _GEMINI_METHOD(path):
        for prefix, segment, looked_up in _LOOKED_UP:
            if path.startswith(prefix) and segment.match(path, len(prefix)):
                return looked_up
    hinted = _by_path(path)
    return _UNKNOWN[_SHARED if hinted is None else hinted.name]


def dialect_for_errors(path: str, headers: RawHeaders) -> Dialect:
    """Whose error format an answer takes on a route that several dialects share, or none knows.

    By the path where it tells, then by headers that only one dialect's clients send.
    """
    hinted = _by_path(path)
    if hinted is not None:
        return hinted
    for name, _ in headers:
        hinted = _BY_HEADER.get(name.lower())
        if hinted is not None:
            return hinted
    return DIALECTS[0]


def _by_path(path: str) -> Dialect | None:
    for one in DIALECTS:
        if path.startswith(one.path_hints):
            return one
    return GEMINI_GENERATE if _GEMINI_METHOD(path) else None
