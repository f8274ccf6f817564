"""
One line of an OpenAI batch's file: `{"custom_id", "method", "url", "body"}`. Pure.

Shapes: the OpenAI API reference, "The request input object". The url is a path of the table of routes,
and the body what that path would be sent. Under Azure's `/openai/…` it may stand without `/v1`.

Where a line ends. All readers end one at LF, many at CR LF, and Python's text files at a lone CR too: a CR
may stand nowhere but before an LF, for as white space between two values it could hide a whole request
(`{"a":CR{"custom_id": …}CR}`). `str.splitlines` ends lines at U+2028, U+2029, U+0085, VT, FF and the
separators 1C to 1E besides. Between values none of them is JSON, in strings only the first three are, and
there no reader finds a request behind them: a piece that begins inside a string sees strings and what
stands between them in exchanged roles, and its own strings would hold nothing but punctuation, numbers,
`true`, `false` and `null`, never `url`. So they are left to those whose prompts hold them.
"""

from __future__ import annotations

import json
from typing import Final

from proxy.dialects.jsonbody import (
    UnreadableBody,
    mapping,
    read_json,
    refuse_lookalikes,
    string,
)
from proxy.dialects.routes import dialect, find_route, in_json
from proxy.facts import Ask, Route

_KEYS: Final = frozenset(["custom_id", "method", "url", "body"])
_HOLDERS: Final = frozenset(["openai_batches", "openai_files", "anthropic_batches", "gemini_batch"])
"""Dialects whose requests hold others: no batch holds batches."""
_BEFORE: Final = b"\xef\xbb\xbf \t\r\n\x0b\x0c\x00"
"""Bytes that some reader skips before a value: byte order marks and white space."""
_LENIENTLY_READ: Final = 1024 * 1024
"""Bytes of a line that is read leniently; of a longer one its words tell."""
_LENIENT: Final = json.JSONDecoder(strict=False, parse_int=float)


def called(url: str, path: str) -> str:
    """The path that a line, or a batch's `endpoint`, means in a request to `path`: Azure's samples leave
    the version out (`/chat/completions`)."""
    if path.startswith("/openai/") and url[:1] == "/" and not url.startswith(("/v1/", "/openai/")):
        return f"/v1{url}"
    return url


def read_line(line: bytes, path: str = "") -> tuple[Route, tuple[Ask, ...]]:
    """Where the request of a file sent to `path` would go, and what it asks. Raises UnreadableBody."""
    if line.lstrip()[:1] != b"{":  # of a picture or a text, this is told without a parser
        raise UnreadableBody("not_an_object", "A line of the batch must be a JSON object.")
    parsed = read_json(line)
    refuse_lookalikes(parsed, _KEYS)
    method = string(parsed.get("method", "POST"), "method")
    url = called(string(parsed.get("url"), "url"), path)
    route = in_json(find_route(method, url))
    if route.kind != "inspected" or route.dialect in _HOLDERS:
        raise UnreadableBody(
            "wrong_type", "A line of the batch names a url that no batch may call."
        )
    return route, dialect(route.dialect).asks_of(mapping(parsed.get("body"), "body"), url)


def refuse_other_ends(line: bytes) -> None:
    """Raise UnreadableBody for a line (without its LF) in which some reader ends one earlier."""
    if b"\r" in line.removesuffix(b"\r"):
        raise UnreadableBody("not_json", "A line of the file holds a lone carriage return.")


def looks_like_request(line: bytes) -> bool:
    """Whether some lenient reader could take a line for a request, though `read_line` reads none in it:
    keys twice or in another case, a byte order mark, something behind the value."""
    return any(_looks_like_request(piece.lstrip(_BEFORE)) for piece in line.split(b"\r"))


def _looks_like_request(piece: bytes) -> bool:
    if piece[:1] != b"{":
        return False
    if len(piece) > _LENIENTLY_READ:
        return b'"url"' in piece and b'"body"' in piece
    try:
        read, _ = _LENIENT.raw_decode(piece.decode("utf-8", "replace"))
    except RecursionError:
        return True
    except ValueError:
        return False
    return type(read) is dict and {"url", "body"} <= {key.casefold() for key in read}
