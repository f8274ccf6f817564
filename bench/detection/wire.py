"""
How programs write a request: their headers in wire order and case, and their JSON.

The orders of openai-python, anthropic-python and aiohttp were recorded from the real libraries by a raw
socket; those of requests, Node and Go are as their sources write them; the relays' are read from theirs.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

Headers = list[list[str]]
HOST = "api.example.com"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"

_FIRST = ("messages", "model")
_GO_ESCAPES = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))
_ONE_API = ("messages", "model", "stream", "max_tokens", "temperature", "top_p", "n", "stop")
_NEW_API = ("model", "messages", "stream", "max_tokens", "temperature", "top_p", "top_k", "n")


@dataclass(frozen=True)
class Client:
    """One program on one machine."""

    program: str
    headers: Callable[[str], Headers]
    """All but Content-Length, by the API key."""
    write: Callable[[dict[str, Any]], str]
    length_at: int | None = None
    """Where Content-Length stands; None: at the end."""
    extra: Headers = field(default_factory=list)
    """What this caller sets besides."""

    def request(self, key: str, body: dict[str, Any]) -> tuple[Headers, str]:
        """Headers and body as they are sent."""
        text = self.write(body)
        return self.around(key, text), text

    def around(self, key: str, text: str, content_type: str | None = None) -> Headers:
        """The headers of a body that is written already."""
        headers = [*self.headers(key), *self.extra]
        if content_type is not None:
            headers = [
                [name, content_type if name.lower() == "content-type" else value]
                for name, value in headers
            ]
        size = len(text) if text.isascii() else len(text.encode())
        at = len(headers) if self.length_at is None else self.length_at
        name = "content-length" if self.program == "node" else "Content-Length"
        headers.insert(at, [name, str(size)])
        return headers


def compact(body: dict[str, Any]) -> str:
    """As JSON.stringify and httpx write it."""
    return orjson.dumps(body).decode()


def spaced(body: dict[str, Any]) -> str:
    """As Python's `json.dumps` writes it, and with it requests and aiohttp."""
    return json.dumps(body)


def messages_first(body: dict[str, Any]) -> str:
    """As openai-python 1.x orders it: `messages`, `model`, the rest by the alphabet."""
    rest = sorted(name for name in body if name not in _FIRST)
    return compact({name: body[name] for name in (*_FIRST, *rest) if name in body})


def marshalled(order: tuple[str, ...] | None) -> Callable[[dict[str, Any]], str]:
    """As Go marshals a struct of these fields, dropping others, or, without an order, a map."""

    def write(body: dict[str, Any]) -> str:
        if order is None:
            text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
        else:
            text = compact({name: body[name] for name in order if name in body})
        for mark, escape in _GO_ESCAPES:
            text = text.replace(mark, escape)
        return text

    return write


def openai_python(draw: random.Random, version: str | None = None) -> Client:
    """openai-python 1.x, as most callers still run it."""
    version = version or draw.choice(("1.99.1", "1.101.0", "1.109.1", "1.86.0", "1.75.0"))
    system = draw.choice(("Linux", "Linux", "MacOS", "Windows"))
    runtime = draw.choice(("3.10.12", "3.11.9", "3.12.4", "3.13.1"))
    awaits = draw.random() < 0.35
    agent = f"{'AsyncOpenAI' if awaits else 'OpenAI'}/Python {version}"

    def headers(key: str) -> Headers:
        return [
            ["Host", HOST],
            ["Accept-Encoding", "gzip, deflate"],
            ["Connection", "keep-alive"],
            ["Accept", "application/json"],
            ["Content-Type", "application/json"],
            ["User-Agent", agent],
            ["X-Stainless-Lang", "python"],
            ["X-Stainless-Package-Version", version],
            ["X-Stainless-OS", system],
            ["X-Stainless-Arch", "arm64" if system == "MacOS" else "x64"],
            ["X-Stainless-Runtime", "CPython"],
            ["X-Stainless-Runtime-Version", runtime],
            ["Authorization", f"Bearer {key}"],
            ["X-Stainless-Async", "async:asyncio" if awaits else "false"],
            ["x-stainless-retry-count", "0"],
            ["x-stainless-read-timeout", "600"],
        ]

    return Client("openai-python", headers, messages_first)


def anthropic_python(draw: random.Random) -> Client:
    """anthropic-python; its bodies are by the alphabet."""
    version = draw.choice(("0.64.0", "0.71.0", "0.75.0"))
    system = draw.choice(("Linux", "MacOS"))

    def headers(key: str) -> Headers:
        return [
            ["Host", HOST],
            ["Accept-Encoding", "gzip, deflate"],
            ["Connection", "keep-alive"],
            ["x-stainless-retry-count", "0"],
            ["x-stainless-read-timeout", "600"],
            ["Accept", "application/json"],
            ["Content-Type", "application/json"],
            ["User-Agent", f"Anthropic/Python {version}"],
            ["X-Stainless-Lang", "python"],
            ["X-Stainless-Package-Version", version],
            ["X-Stainless-OS", system],
            ["X-Stainless-Arch", "x64"],
            ["X-Stainless-Runtime", "CPython"],
            ["X-Stainless-Runtime-Version", "3.12.4"],
            ["X-Api-Key", key],
            ["X-Stainless-Async", "false"],
            ["anthropic-version", "2023-06-01"],
        ]

    def write(body: dict[str, Any]) -> str:
        return compact(dict(sorted(body.items())))

    return Client("anthropic-python", headers, write)


def requests(_draw: random.Random) -> Client:
    """Python requests with `json=`."""

    def headers(key: str) -> Headers:
        return [
            ["Host", HOST],
            ["User-Agent", "python-requests/2.32.3"],
            ["Accept-Encoding", "gzip, deflate"],
            ["Accept", "*/*"],
            ["Connection", "keep-alive"],
            ["Content-Type", "application/json"],
            ["Authorization", f"Bearer {key}"],
        ]

    return Client("requests", headers, spaced, length_at=6)


def aiohttp(draw: random.Random) -> Client:
    """aiohttp with `json=`."""
    agent = (
        f"Python/3.{draw.choice((10, 11, 12))} aiohttp/3.{draw.choice(('9.5', '11.18', '12.15'))}"
    )

    def headers(key: str) -> Headers:
        return [
            ["Host", HOST],
            ["Authorization", f"Bearer {key}"],
            ["Accept", "*/*"],
            ["Accept-Encoding", "gzip, deflate"],
            ["User-Agent", agent],
            ["Content-Type", "application/json"],
        ]

    return Client("aiohttp", headers, spaced, length_at=5)


def node(draw: random.Random, agent: str | None = None) -> Client:
    """Node's fetch, alone or beneath OpenAI's SDK for JavaScript."""
    version = draw.choice(("4.104.0", "5.12.2", "5.23.1"))
    sdk = agent is None and draw.random() < 0.6
    named = agent or (f"OpenAI/JS {version}" if sdk else "node")
    runtime = f"v{draw.choice((18, 20, 22))}.{draw.randint(1, 18)}.0"
    stainless = [
        ["x-stainless-retry-count", "0"],
        ["x-stainless-lang", "js"],
        ["x-stainless-package-version", version],
        ["x-stainless-os", draw.choice(("Linux", "MacOS"))],
        ["x-stainless-arch", "x64"],
        ["x-stainless-runtime", "node"],
        ["x-stainless-runtime-version", runtime],
    ]

    def headers(key: str) -> Headers:
        return [
            ["host", HOST],
            ["connection", "keep-alive"],
            ["accept", "application/json" if sdk else "*/*"],
            ["content-type", "application/json"],
            ["user-agent", named],
            *(stainless if sdk else []),
            ["authorization", f"Bearer {key}"],
            ["accept-language", "*"],
            ["sec-fetch-mode", "cors"],
            ["accept-encoding", "br, gzip, deflate"],
        ]

    return Client("node", headers, compact)


def go(_draw: random.Random, order: tuple[str, ...] | None = None, named: str = "go") -> Client:
    """Go's net/http; bodies are marshalled from a map, or from a struct of these fields."""

    def headers(key: str) -> Headers:
        return [
            ["Host", HOST],
            ["User-Agent", "Go-http-client/1.1"],
            ["Accept", "application/json"],
            ["Authorization", f"Bearer {key}"],
            ["Content-Type", "application/json"],
            ["Accept-Encoding", "gzip"],
        ]

    return Client(named, headers, marshalled(order), length_at=2)


def one_api(draw: random.Random) -> Client:
    """one-api: Go's headers, a struct that begins with `messages`."""
    return go(draw, _ONE_API, "one-api")


def new_api(draw: random.Random) -> Client:
    """new-api: the same headers, a struct that begins with `model`."""
    return go(draw, _NEW_API, "new-api")


def sub2api(draw: random.Random) -> Client:
    """sub2api: one pinned identity of a command line client for each upstream account, keys sorted."""
    version = draw.choice(("2.0.14", "2.0.31", "2.1.2"))

    def headers(key: str) -> Headers:
        return [
            ["Host", HOST],
            ["User-Agent", f"claude-cli/{version} (external, cli)"],
            ["Accept", "application/json"],
            ["Anthropic-Version", "2023-06-01"],
            ["Authorization", f"Bearer {key}"],
            ["Content-Type", "application/json"],
            ["X-Stainless-Arch", "x64"],
            ["X-Stainless-Lang", "js"],
            ["X-Stainless-Os", "Linux"],
            ["X-Stainless-Package-Version", "0.60.0"],
            ["X-Stainless-Runtime", "node"],
            ["X-Stainless-Runtime-Version", "v22.14.0"],
            ["Accept-Encoding", "gzip"],
        ]

    return Client("sub2api", headers, marshalled(None), length_at=2)


PROGRAMS: dict[str, Callable[[random.Random], Client]] = {
    "openai-python": openai_python,
    "anthropic-python": anthropic_python,
    "requests": requests,
    "aiohttp": aiohttp,
    "node": node,
    "go": go,
    "one-api": one_api,
    "new-api": new_api,
    "sub2api": sub2api,
}


def some_client(draw: random.Random, weights: dict[str, float]) -> Client:
    """One of these programs, as often as they are weighted."""
    (name,) = draw.choices(list(weights), list(weights.values()))
    return PROGRAMS[name](draw)
