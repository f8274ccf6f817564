"""
Which headers go on to the next hop (RFC 9110 section 7.6.1), on both legs. Pure: bytes in, bytes out.

Excise frames messages anew on each connection, so whatever describes the connection or the framing
stays behind: hop-by-hop fields, everything that `Connection` names, `Host` and `Content-Length`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict, istr

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

_REQUEST_DROPPED = tuple(
    istr(name.decode()) for name in sorted(HOP_BY_HOP | {b"host", b"content-length", b"expect"})
)
_REPLY_DROPPED = HOP_BY_HOP | {b"x-excise-request-id", b"x-excise-modified"}

_PRINTABLE = re.compile(rb"[\t\x20-\x7e]*").fullmatch
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search

DECIDING = frozenset(
    {
        b"accept-encoding",
        b"anthropic-version",
        b"api-key",
        b"authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"forwarded",
        b"host",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"x-api-key",
        b"x-forwarded-for",
        b"x-goog-api-key",
    }
)
"""Headers that this process or an upstream decides by: anything but printable ASCII is refused, for
two readers that drop or map an odd byte differently would see two different requests."""


def named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    """Lower-case field names that the `Connection` headers declare to be hop-by-hop."""
    values = [value for name, value in headers if name.lower() == b"connection"]
    if not values:
        return frozenset()
    return frozenset(map(bytes.strip, b",".join(values).lower().split(b",")))


def for_upstream(
    decoded: Mapping[str, str], headers: RawHeaders, drop: Iterable[str] = ()
) -> CIMultiDict[str]:
    """The request's end-to-end headers, in order and original case, less `drop`.

    `decoded` are the same headers as aiohttp has decoded them, which `malformed` has made sure
    loses nothing: copying them costs a tenth of decoding the raw ones again.
    """
    kept = CIMultiDict(decoded)
    for field in _REQUEST_DROPPED:
        kept.popall(field, None)
    if "Connection" in decoded:
        for token in named_by_connection(headers):
            kept.popall(token.decode("latin-1"), None)
    for name in drop:
        kept.popall(name, None)
    return kept


def for_client(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The reply's end-to-end headers, in order and original case; `Content-Length` is kept."""
    dropped = _REPLY_DROPPED | named_by_connection(headers)
    return [pair for pair in headers if pair[0].lower() not in dropped]


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
