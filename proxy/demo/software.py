"""How different programs write one request on the wire: header order, header names, JSON style."""

from __future__ import annotations

import json
from typing import Any, Final

from proxy.value import value


@value
class Software:
    """One program's hand."""

    name: str
    headers: tuple[str, ...]
    """In wire order; `{key}`, `{length}` and `{address}` are filled in."""
    separators: tuple[str, str] = (",", ":")


_CHAIN: Final = "X-Forwarded-For: {address}"

PYTHON_SDK: Final = Software(
    "openai-python",
    (
        "Host: model.example",
        "Accept-Encoding: identity",
        "Connection: close",
        "Accept: application/json",
        "Content-Type: application/json",
        "User-Agent: OpenAI/Python 2.8.1",
        "X-Stainless-Lang: python",
        "X-Stainless-Runtime: CPython",
        "Authorization: Bearer {key}",
        "Content-Length: {length}",
    ),
)
NODE: Final = Software(
    "node fetch",
    (
        "host: model.example",
        "connection: close",
        "authorization: Bearer {key}",
        "content-type: application/json",
        "accept: */*",
        "accept-language: *",
        "sec-fetch-mode: cors",
        "user-agent: node",
        "accept-encoding: identity",
        "content-length: {length}",
    ),
)
REQUESTS: Final = Software(
    "requests",
    (
        "Host: model.example",
        "User-Agent: python-requests/2.32.3",
        "Accept-Encoding: identity",
        "Accept: */*",
        "Connection: close",
        "Authorization: Bearer {key}",
        "Content-Length: {length}",
        "Content-Type: application/json",
    ),
    (", ", ": "),
)
CURL: Final = Software(
    "curl",
    (
        "Host: model.example",
        "User-Agent: curl/8.5.0",
        "Accept: */*",
        "Connection: close",
        "Authorization: Bearer {key}",
        "Content-Type: application/json",
        "Content-Length: {length}",
    ),
    (", ", ": "),
)
GO: Final = Software(
    "Go net/http",
    (
        "Host: model.example",
        "User-Agent: Go-http-client/1.1",
        "Content-Length: {length}",
        "Authorization: Bearer {key}",
        "Connection: close",
        "Content-Type: application/json",
        "Accept-Encoding: identity",
    ),
)
ALL: Final = (PYTHON_SDK, NODE, REQUESTS, CURL, GO)


def written(software: Software, address: str, key: str, body: dict[str, Any]) -> bytes:
    """A chat request as this program writes it, forwarded for `address`."""
    payload = json.dumps(body, separators=software.separators, ensure_ascii=False).encode()
    lines = [
        line.format(key=key, length=len(payload))
        for line in ("POST /v1/chat/completions HTTP/1.1", *software.headers)
    ]
    lines.append(_CHAIN.format(address=address))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + payload
