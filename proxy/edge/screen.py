"""
Which request heads can be read in one way only. Fail-closed in every mode but never by policy: what two
HTTP readers could understand differently cannot be judged for one and forwarded to the other. Pure.
"""

from __future__ import annotations

import re

from proxy.edge.headers import DECIDING, malformed
from proxy.edge.overrides import overrides
from proxy.errors import Refusal
from proxy.head import Head

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_BODILESS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS"})
"""No SDK sends a body with these, and many servers leave one unread: it would be their next request."""

HEADERS_TOO_LARGE = Refusal(
    431, "headers_too_large", "The request line or headers are larger than allowed.", close=True
)
EXPECTATION = Refusal(417, "expectation_failed", "Only 100-continue may be expected.", close=True)
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~%!$&'()*+,;=-]{1,255})(?::[0-9]{0,5})?"
).fullmatch
_AMBIGUOUS = re.compile(
    r"/\.{1,2}(?:/|\Z)"  # dot segments
    r"|[\\;\x00-\x20\x7f\"<>^`{|}]"  # a backslash, matrix parameters, what no path may hold
    r"|%(?![0-9A-Fa-f]{2})"  # half an escape
    r"|%(?:2[EeDdFf]|3[0-9AaBbFf]|4[1-9A-Fa-f]|5[0-9AaCcFf]|6[1-9A-Fa-f]|7[0-9AaEeFf]|[01]|23|25)"
).search
"""Paths that servers read in different ways. The escapes are those of letters, digits and `-._~:`, which
some decode before they look for a route, and of `/ \\ ? # % ;` and controls, which some heed."""
_METHOD_OVERRIDES = frozenset({b"x-http-method", b"x-http-method-override", b"x-method-override"})
_TELLING = _METHOD_OVERRIDES | {
    b"host",
    b"expect",
    b"connection",
    b"content-length",
    b"transfer-encoding",
}
_END_TO_END = DECIDING - {b"connection", b"te", b"transfer-encoding", b"upgrade"}


def screen(head: Head, version: tuple[int, int], header_bytes: int = 32 * 1024) -> Refusal | None:
    """Why a head is refused before anybody asks who sent it; None where it is sound.

    `header_bytes` bounds the names and values of all headers together.
    """
    if version not in {(1, 0), (1, 1)}:
        return Refusal(505, "http_version", "Only HTTP/1.1 and HTTP/1.0 are spoken.", close=True)
    if head.method not in METHODS:
        return Refusal(405, "method_not_allowed", "This method is not allowed.", close=True)
    target = head.path
    if not target.startswith("/") or not target.isascii() or "#" in target:
        return _malformed("The request target must be an ASCII path starting with a slash.")
    if "//" in target or _AMBIGUOUS(target):
        return _malformed("The path is not in its plain form.")
    if not head.query.isascii() or "#" in head.query:
        return _malformed("The query must be ASCII, other characters percent-encoded.")
    if head.query and overrides(head.query):
        return _malformed("The query must not override the method, headers or the body.")
    return _refused_headers(head, version, header_bytes)


def _refused_headers(head: Head, version: tuple[int, int], header_bytes: int) -> Refusal | None:
    # Gateways of the CGI kind (WSGI, PHP) read `X_Team` and, some of them, `X.Team` as `X-Team`, and would
    # heed what is taken off here.
    layout = head.layout
    if not layout.plain:
        return _malformed("Header names may hold letters, digits and hyphens only.")
    hosts = 0
    bodiless = head.method in _BODILESS
    for name, value in head.among(_TELLING):
        if name == b"host":
            hosts += 1
            if not _HOST(value):
                return _malformed("The Host header is not valid.")
        else:
            refusal = _refused_header(name, value, version, bodiless=bodiless)
            if refusal is not None:
                return refusal
    if hosts != 1 and (hosts or version == (1, 1)):
        return _malformed("Exactly one Host header is required.")
    if layout.size + sum([len(value) for _, value in head.headers]) > header_bytes:
        return HEADERS_TOO_LARGE
    why = malformed(head.headers)
    return _malformed(f"The request is not valid HTTP: {why}.") if why else None


def _refused_header(
    name: bytes, value: bytes, version: tuple[int, int], *, bodiless: bool
) -> Refusal | None:
    if bodiless and (
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b" \t0"))
    ):
        return _malformed("DELETE, GET, HEAD and OPTIONS take no body.")
    if name == b"connection":
        if not _END_TO_END.isdisjoint(map(bytes.strip, value.lower().split(b","))):
            return _malformed("The Connection header names a header that is end-to-end.")
    elif name == b"transfer-encoding":
        if version == (1, 0) or value.strip().lower() != b"chunked":
            return _malformed("Only the chunked transfer coding is understood, in HTTP/1.1.")
    elif name == b"expect":
        if value.lower() != b"100-continue":
            return EXPECTATION
    elif name in _METHOD_OVERRIDES:
        return _malformed("A header must not override the method.")
    return None


def _malformed(message: str) -> Refusal:
    return Refusal(400, "malformed_request", message, close=True)
