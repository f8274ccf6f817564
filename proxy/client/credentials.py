"""
The caller's API key, wherever the served APIs carry it. Pure, on raw bytes.

`Authorization: Bearer`, `x-api-key` (Anthropic), `api-key` (Azure), `Ocp-Apim-Subscription-Key` (Azure's
API management), `x-goog-api-key` and `?key=` (Gemini; Google's APIs also read an OAuth token out of the
query), and the query names of gateways. Two different keys in one request are refused: the upstream might
honour the other one.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.errors import Refusal
from proxy.head import Head

CREDENTIAL_HEADERS: Final = (
    "Authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "Ocp-Apim-Subscription-Key",
)
MAX_KEY_BYTES: Final = 4096
_KEY = re.compile(rb"[\x21-\x7e]{1,4096}\Z").match
_NAMES: Final = frozenset(name.lower().encode() for name in CREDENTIAL_HEADERS)
_PARAMETERS: Final = frozenset(
    {b"key", b"apikey", b"xapikey", b"subscriptionkey", b"token", b"accesstoken", b"oauthtoken"}
)
"""Query names in lower case without what stands between their words: `api_key`, `$Api-Key`, `apiKey`."""
_BETWEEN: Final = b"-_.$+ "

MALFORMED = Refusal(
    401, "malformed_key", "The API key is malformed: printable ASCII without spaces is expected."
)
AMBIGUOUS = Refusal(400, "ambiguous_keys", "The request carries more than one API key.")


_LENGTHS: Final = frozenset(len(name) for name in _NAMES)


def find_key(head: Head) -> bytes | Refusal | None:
    """The one key that a request carries; a Refusal where it is malformed or there are several."""
    found: bytes | None = None
    for key in (*_in_headers(head), *_in_query(head.query)):
        if key is None or not _KEY(key):
            return MALFORMED
        if found is not None and key != found:
            return AMBIGUOUS
        found = key
    return found


def _in_headers(head: Head) -> list[bytes | None]:
    keys: list[bytes | None] = []
    for name, value in head.headers:
        # Lengths first: of a dozen headers hardly one passes, and lower() costs an allocation.
        if len(name) not in _LENGTHS or (lower := name.lower()) not in _NAMES:
            continue
        if lower == b"authorization":
            scheme, _, key = value.strip(b" \t").partition(b" ")
            keys.append(key.lstrip(b" ") if scheme.lower() == b"bearer" else None)
        else:
            keys.append(value.strip(b" \t"))
    return keys


def _in_query(query: str) -> list[bytes | None]:
    if not query:
        return []
    return [_value(part) for part in query.split("&") if _carries_key(part)]


def _value(parameter: str) -> bytes | None:
    """None where a server that ends parameters at semicolons, too, would read another key."""
    return None if ";" in parameter else unquote_to_bytes(parameter.partition("=")[2])


def _carries_key(parameter: str) -> bool:
    return any(_names_key(part.partition("=")[0]) for part in parameter.split(";"))


def _names_key(name: str) -> bool:
    plain = unquote_to_bytes(name).partition(b"[")[0]
    return plain.translate(None, _BETWEEN).lower() in _PARAMETERS


def strip_key_parameter(query: str) -> str:
    """The query without the parameters that carry a key, the rest byte for byte."""
    if not query:
        return query
    return "&".join(part for part in query.split("&") if not _carries_key(part))
