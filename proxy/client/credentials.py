"""
The caller's API key, wherever the served APIs carry it. Pure, on raw bytes.

`Authorization: Bearer`, `x-api-key` (Anthropic), `api-key` (Azure), `Ocp-Apim-Subscription-Key` (Azure's
API management), `x-goog-api-key` and `?key=` (Gemini; Google's APIs also read an OAuth token out of the
query), and the names of gateways, in headers and in queries. Two different keys in one request are refused:
the upstream might honour the other one. Where it goes by one header alone, the operator can say so
(`key_header`): then that one holds the key, and the others are its own affair.
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
    "apikey",
    "x-litellm-api-key",
    "x-portkey-api-key",
    "cf-aig-authorization",
    "Helicone-Auth",
)
"""The served APIs' own, Azure's API management; Kong and APISIX, LiteLLM, Portkey, Cloudflare's AI Gateway,
Helicone."""
MAX_KEY_BYTES: Final = 4096
_KEY = re.compile(rb"[\x21-\x7e]{1,4096}\Z").match
_NAMES: Final = frozenset(name.lower().encode() for name in CREDENTIAL_HEADERS)
_BEARERS: Final = frozenset({b"cf-aig-authorization", b"helicone-auth", b"x-litellm-api-key"})
"""Names under which a key may follow the word `Bearer`."""
_PARAMETERS: Final = frozenset(
    {
        *(b"key", b"apikey", b"xapikey", b"subscriptionkey", b"accesskey"),
        *(b"xgoogapikey", b"xlitellmapikey", b"xportkeyapikey"),
        *(b"token", b"accesstoken", b"bearertoken", b"oauthtoken", b"xoauth"),
    }
)
"""Query names in lower case without what stands between their words: `api_key`, `$Api-Key`, `apiKey`."""
_BETWEEN: Final = b"-_.$+ "

MALFORMED = Refusal(
    401, "malformed_key", "The API key is malformed: printable ASCII without spaces is expected."
)
AMBIGUOUS = Refusal(400, "ambiguous_keys", "The request carries more than one API key.")


def find_key(head: Head, header: bytes | None = None) -> bytes | Refusal | None:
    """The one key that a request carries; a Refusal where it is malformed or there are several.

    `header`, in lower case, is the only place to look for it, where given.
    """
    found: bytes | None = None
    keys = (*_in_headers(head), *_in_query(head.query)) if header is None else _in_one(head, header)
    for key in keys:
        if key is None or not _KEY(key):
            return MALFORMED
        if found is not None and key != found:
            return AMBIGUOUS
        found = key
    return found


def _in_headers(head: Head) -> list[bytes | None]:
    keys: list[bytes | None] = []
    for name, value in head.among(_NAMES):
        if name == b"authorization":
            scheme, _, key = value.strip(b" \t").partition(b" ")
            keys.append(key.lstrip(b" ") if scheme.lower() == b"bearer" else None)
        else:
            keys.append(_bare(value) if name in _BEARERS else value.strip(b" \t"))
    return keys


def _in_one(head: Head, header: bytes) -> list[bytes | None]:
    return [_bare(value) for value in head.values(header)]


def _bare(value: bytes) -> bytes:
    value = value.strip(b" \t")
    return value[7:].lstrip(b" ") if value[:7].lower() == b"bearer " else value


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
