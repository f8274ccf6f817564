"""
Which headers go on to the next hop (RFC 9110 section 7.6.1), on both legs. Pure: bytes in, bytes out.

Excise frames messages anew on each connection, so whatever describes the connection or the framing
stays behind: hop-by-hop fields, everything that `Connection` names, `Host` and `Content-Length`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from proxy.head import RawHeaders

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

ANOTHER_PATH = frozenset(
    {b"x-original-uri", b"x-original-url", b"x-override-url", b"x-rewrite-url"}
)
"""Headers in which IIS and other front ends tell the path that they have rewritten. Frameworks (Symfony,
Zend, Yii and others) route by them, and would serve another path than the one that was judged. So nobody's
are passed on, a trusted hop's neither: the path that it sent is the one that was judged."""

_REQUEST_DROPPED = HOP_BY_HOP | ANOTHER_PATH | {b"host", b"content-length", b"expect"}
_REPLY_DROPPED = HOP_BY_HOP | {b"x-excise-request-id", b"x-excise-modified"}

_PRINTABLE = re.compile(rb"[\t\x20-\x7e]*").fullmatch
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search

DECIDING = frozenset(
    {
        b"accept-encoding",
        b"anthropic-version",
        b"api-key",
        b"apikey",
        b"authorization",
        b"cf-aig-authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"forwarded",
        b"helicone-auth",
        b"host",
        b"ocp-apim-subscription-key",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"x-api-key",
        b"x-forwarded-for",
        b"x-goog-api-key",
        b"x-litellm-api-key",
        b"x-portkey-api-key",
    }
)
"""Headers that this process or an upstream decides by: anything but printable ASCII is refused, for
two readers that drop or map an odd byte differently would see two different requests."""


def for_upstream(
    headers: RawHeaders, drop: tuple[str, ...] = (), add: tuple[tuple[str, str], ...] = ()
) -> list[tuple[bytes, bytes]]:
    """The request's end-to-end headers, in order and original case, less `drop`.

    Each of `add` takes the place of the first header of its name, and of all others; a new one
    comes last.
    """
    kept = _end_to_end(headers, _request_dropped(drop) if drop else _REQUEST_DROPPED)
    for name, value in add:
        _put(kept, (name.encode(), value.encode()))
    return kept


def for_client(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The reply's end-to-end headers, in order and original case; `Content-Length` is kept."""
    return _end_to_end(headers, _REPLY_DROPPED)


def _end_to_end(headers: RawHeaders, dropped: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """In one pass, and a second where `Connection` names more than what is dropped anyway."""
    kept = []
    named: frozenset[bytes] = frozenset()
    for pair in headers:
        name = pair[0].lower()
        if name not in dropped:
            kept.append(pair)
        elif name == b"connection":
            named = named.union(map(bytes.strip, pair[1].lower().split(b",")))
    if named and not named <= dropped:
        kept = [pair for pair in kept if pair[0].lower() not in named]
    return kept


def _put(headers: list[tuple[bytes, bytes]], pair: tuple[bytes, bytes]) -> None:
    name = pair[0].lower()
    size = len(name)
    places = [
        place for place, (key, _) in enumerate(headers) if len(key) == size and key.lower() == name
    ]
    if not places:
        headers.append(pair)
        return
    headers[places[0]] = pair
    for place in reversed(places[1:]):
        del headers[place]


@lru_cache(maxsize=64)
def _request_dropped(drop: tuple[str, ...]) -> frozenset[bytes]:
    """What a request loses besides; the settings know few such sets."""
    return _REQUEST_DROPPED.union(name.lower().encode() for name in drop)


def malformed(headers: RawHeaders) -> str | None:
    """Why these headers cannot be read in one way only, in a few public words; None where they can.

    aiohttp drops bytes that are not UTF-8 in silence, so `sk-al\\xfftered` and `sk-altered` would be
    one key under many names; the raw bytes are judged here instead.
    """
    if _PRINTABLE(b"".join([value for _, value in headers])):
        return None
    for name, value in headers:
        if _PRINTABLE(value):
            continue
        if name.lower() in DECIDING or _CONTROL(value):
            return "a header value holds characters that are not allowed in it"
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            return "a header value is not valid UTF-8"
    return None
