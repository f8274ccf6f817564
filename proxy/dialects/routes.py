"""
Which API surface a request belongs to, matched on the raw path: the table is in `proxy/surface.py`.

A path is known only as it is written there. What some upstream could take for a known one (another case,
a slash, a dot or something unseen at its end, a name with other letters in it or with slashes, PUT in place
of POST) is refused by name, whatever `unknown_routes` says (`pathforms.py`); what no two servers need read
alike (dot segments, percent-encoded letters) never comes this far (`edge/screen.py`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from proxy.dialects.anthropic_batches import ANTHROPIC_BATCHES
from proxy.dialects.anthropic_complete import ANTHROPIC_COMPLETE
from proxy.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from proxy.dialects.base import Dialect
from proxy.dialects.gemini_batch import GEMINI_BATCH
from proxy.dialects.gemini_embed import GEMINI_EMBED
from proxy.dialects.gemini_generate import GEMINI_GENERATE
from proxy.dialects.openai_batches import OPENAI_BATCHES
from proxy.dialects.openai_chat import OPENAI_CHAT
from proxy.dialects.openai_completions import OPENAI_COMPLETIONS
from proxy.dialects.openai_files import OPENAI_FILES
from proxy.dialects.openai_inputs import OPENAI_INPUTS
from proxy.dialects.openai_responses import OPENAI_RESPONSES
from proxy.dialects.pathforms import loosely, with_plain_names
from proxy.facts import Route
from proxy.head import RawHeaders
from proxy.surface import Row, rows

DIALECTS: Final[tuple[Dialect, ...]] = (
    OPENAI_CHAT,
    ANTHROPIC_MESSAGES,
    OPENAI_RESPONSES,
    GEMINI_GENERATE,
    OPENAI_COMPLETIONS,
    OPENAI_INPUTS,
    OPENAI_FILES,
    OPENAI_BATCHES,
    ANTHROPIC_BATCHES,
    ANTHROPIC_COMPLETE,
    GEMINI_EMBED,
    GEMINI_BATCH,
)
"""All that are served. The first one's error format is used where nothing hints at another."""

VARIANT: Final = "path_variant"
"""The name of what is a known route but for its writing or its method."""

_CARRYING = frozenset({"PATCH", "POST", "PUT"})
"""Methods with a body. A server that routes by the path alone reads it whichever it is."""

_BY_NAME = {one.name: one for one in DIALECTS}
_BY_HEADER = {header: one for one in DIALECTS for header in one.header_hints}

_SHARED = ""
_UNKNOWN = {name: Route("unknown", name, "", "unknown") for name in (_SHARED, *_BY_NAME)}
_VARIANTS = {name: Route("refused", name, "", "unknown", VARIANT) for name in (_SHARED, *_BY_NAME)}

# One segment that no server reads as anything but itself; `.` and `..` alone are none.
_SEGMENT = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._:@-]{1,256}\Z").match
# Google's methods stand behind a colon (`m:countTokens`); other APIs' models have colons in their names.
_METHOD = re.compile(r"([A-Za-z0-9._@-]{1,256}):([a-z]+(?:[A-Z][a-z]*)*)\Z").match
_CAMEL = re.compile(r"[^:]*:[a-z]+[A-Z][A-Za-z]*\Z").match
# An object that a POST changes: its id holds a digit, or one of the prefixes that ids have. What holds
# neither is a verb that the table does not know yet (`/chat/completions/batch` was one).
_ID = re.compile(r"(?=.*[0-9])|(?:asst|batch|chatcmpl|cmpl|conv|ctx|file|resp|thread)[_-]").match
_PLACEHOLDER = re.compile(r"\{\w+\}")
_ANY = "{}"
_MODEL = "{model}"
"""A name without a colon: what stands behind one is a method."""


def _place(found: re.Match[str]) -> str:
    return _MODEL if found[0] == _MODEL else _ANY


class _Node:
    """What stands below one beginning of a path."""

    __slots__ = ("below", "routes")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.routes: dict[str, Route] = {}

    def at(self, template: str) -> _Node:
        node = self
        for segment in template[1:].split("/"):
            node = node.below.setdefault(_PLACEHOLDER.sub(_place, segment), _Node())
        return node

    def find(self, path: str, *, named: bool = False) -> _Node | None:
        """The node of a raw path. A segment written in the table goes before a placeholder, for which
        any letters will do where they are `named`."""
        node: _Node | None = self
        for segment in path[1:].split("/"):
            assert node is not None
            node = node.below.get(segment) or (node.named if named else node.any)(segment)
            if node is None:
                return None
        return node

    def any(self, segment: str) -> _Node | None:
        below = self.below
        called = _METHOD(segment)
        if called is not None:
            for place in (_MODEL, _ANY):
                found = below.get(f"{place}:{called[2]}")
                if found is not None:
                    return found if _SEGMENT(called[1]) else None
        if _CAMEL(segment) or not _SEGMENT(segment):
            return None
        return below.get(_ANY) or (None if ":" in segment else below.get(_MODEL))

    def named(self, segment: str) -> _Node | None:
        """The same of names with letters that none should have; a method may have a colon behind it."""
        name, colon, method = segment.rstrip(":").rpartition(":")
        if colon and name:
            for place in (_MODEL, _ANY):
                if (found := self.below.get(f"{place}:{method}")) is not None:
                    return found
        return self.below.get(_ANY) or self.below.get(_MODEL)


def _route(row: Row) -> Route:
    if row.kind == "refused":
        return Route(row.kind, row.dialect, "", row.template, row.word)
    return Route(row.kind, row.dialect, row.word, row.template)


def _tree() -> tuple[_Node, _Node, dict[tuple[str, str], Route]]:
    """All routes; the same in lower case, for what is not written as it should be; those without
    variable parts at hand."""
    tree, folded = _Node(), _Node()
    exact: dict[tuple[str, str], Route] = {}
    for row in rows():
        route = _route(row)
        tree.at(row.template).routes[row.method] = route
        folded.at(row.template.lower()).routes[row.method] = route
        if "{" not in row.template:
            exact[row.method, row.template] = route
    return tree, folded, exact


_TREE, _FOLDED, _EXACT = _tree()


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
    node = _TREE.find(path)
    route = None if node is None else node.routes.get(method)
    if route is not None and not _is_verb(route, method, path):
        return route
    hinted = _by_path(path)
    name = _SHARED if hinted is None else hinted.name
    if node is None or not node.routes:
        varies = looks_known(path)
    else:
        varies = method in _CARRYING and any(one.kind != "passed" for one in node.routes.values())
    return (_VARIANTS if varies else _UNKNOWN)[name]


def in_json(route: Route) -> Route:
    """The route of a body that is JSON, where it may be a form: pictures are edited by forms, which nobody
    reads, but the API takes JSON as well."""
    if route.kind == "metered" and route.operation == "image":
        return replace(route, kind="inspected")
    return route


def looks_known(path: str) -> bool:
    """Whether the most forgiving upstream could take a path for one of the table."""
    plain = loosely(path)
    near = _FOLDED.find(plain)
    if near is not None and near.routes:
        return True
    for one in (plain, *with_plain_names(plain)):
        near = _FOLDED.find(one, named=True)
        # Metadata has names that nobody minds: other letters in them make no way to a model.
        if near is not None and any(route.kind != "passed" for route in near.routes.values()):
            return True
    return False


def _is_verb(route: Route, method: str, path: str) -> bool:
    """Whether what stands in an id's place of a POST that nobody reads is none."""
    if method != "POST" or route.kind not in {"metered", "passed"}:
        return False
    return route.template.endswith("{id}") and not _ID(path[path.rindex("/") + 1 :])


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
        if one.path_hints and path.startswith(one.path_hints):
            return one
    return GEMINI_GENERATE if _CAMEL(path) else None
