"""A request as it is sent: a suite's shorthand written in the dialect of its route. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from proxy.dialects.routes import find_route
from proxy.facts import Route
from proxy.head import Head, RawHeaders
from proxy.scenarios.request import CLIENTS, Send

Turns = Sequence[tuple[str, str]]
"""(user, model) of the turns that came before."""
Body = dict[str, Any]

_KEY_HEADERS: Final = {"anthropic": "x-api-key: {}", "gemini": "x-goog-api-key: {}"}
_BEARER: Final = "Authorization: Bearer {}"
SHORTHANDS: Final = ("prompt", "system", "end_user", "max_tokens", "stream")


def _chat(
    send: Send, turns: Turns, system: str | None, prompt: str | None, user: str | None
) -> Body:
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages += _messages(turns, prompt)
    body: Body = {"messages": messages}
    if send.max_tokens is not None:
        body["max_tokens"] = send.max_tokens
    return _with(body, send, user)


def _messages(turns: Turns, prompt: str | None) -> list[Body]:
    said = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return said + ([{"role": "user", "content": prompt}] if prompt is not None else [])


def _with(body: Body, send: Send, user: str | None) -> Body:
    if user is not None:
        body["user"] = user
    if send.stream is not None:
        body["stream"] = send.stream
    return body


def _responses(
    send: Send, turns: Turns, system: str | None, prompt: str | None, user: str | None
) -> Body:
    body: Body = {"input": _messages(turns, prompt)}
    if system is not None:
        body["instructions"] = system
    if send.max_tokens is not None:
        body["max_output_tokens"] = send.max_tokens
    return _with(body, send, user)


def _anthropic(
    send: Send, turns: Turns, system: str | None, prompt: str | None, user: str | None
) -> Body:
    body: Body = {"max_tokens": send.max_tokens or 1024, "messages": _messages(turns, prompt)}
    if system is not None:
        body["system"] = system
    if user is not None:
        body["metadata"] = {"user_id": user}
    if send.stream is not None:
        body["stream"] = send.stream
    return body


def _gemini(
    send: Send, turns: Turns, system: str | None, prompt: str | None, _user: str | None
) -> Body:
    said = [
        (("user", "model")[at % 2], text)
        for at, text in enumerate(t for turn in turns for t in turn)
    ]
    said += [("user", prompt)] if prompt is not None else []
    body: Body = {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in said]}
    if system is not None:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if send.max_tokens is not None:
        body["generationConfig"] = {"maxOutputTokens": send.max_tokens}
    return body


def _completions(
    send: Send, _turns: Turns, _system: str | None, prompt: str | None, user: str | None
) -> Body:
    body: Body = {"prompt": prompt or ""}
    if send.max_tokens is not None:
        body["max_tokens"] = send.max_tokens
    return _with(body, send, user)


def _inputs(
    _send: Send, _turns: Turns, _system: str | None, prompt: str | None, user: str | None
) -> Body:
    body: Body = {"input": prompt or ""}
    return body if user is None else {**body, "user": user}


Writer = Callable[[Send, Turns, str | None, str | None, str | None], Body]
_WRITERS: Final[dict[str, Writer]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic_messages": _anthropic,
    "gemini_generate": _gemini,
    "openai_completions": _completions,
    "openai_inputs": _inputs,
}
_NOT_SAID: Final = {
    "gemini_generate": ("end_user", "stream"),
    "openai_completions": ("system", "conversation"),
    "openai_inputs": ("system", "conversation", "max_tokens", "stream"),
}
"""What an API has no field for."""


def route_of(send: Send) -> Route:
    """Which API is spoken."""
    return find_route(send.method, send.to.partition("?")[0])


def unsayable(send: Send) -> str | None:
    """A field of the shorthand that this API has no place for."""
    dialect = route_of(send).dialect
    known = _WRITERS.get(dialect)
    given = [name for name in (*SHORTHANDS, "conversation") if name in send.model_fields_set]
    missing = _NOT_SAID.get(dialect, ()) if known is not None else (*SHORTHANDS, "conversation")
    return next((name for name in given if name in missing), None)


def body_of(
    send: Send,
    dialect: str,
    *,
    model: str,
    turns: Turns,
    system: str | None,
    prompt: str | None,
    end_user: str | None,
    besides: Body,
    separators: tuple[str, str],
) -> bytes:
    """The body, as its program writes JSON."""
    writer = _WRITERS.get(dialect)
    body: Body = {}
    if writer is not None:
        body = writer(send, turns, system, prompt, end_user)
        if dialect != "gemini_generate":
            body = {"model": model, **body}
    body |= besides
    return json.dumps(body, separators=separators, ensure_ascii=False).encode() if body else b""


def head_of(
    send: Send,
    route: Route,
    *,
    client: str,
    key: str | None,
    address: str,
    length: int,
    more: dict[str, str],
) -> Head:
    """Request line and headers, in the order of their program."""
    lines: list[tuple[str, str]] = []
    left = dict(more)
    for line in CLIENTS[client].headers:
        name, _, text = line.partition(": ")
        if (set_otherwise := left.pop(name.lower(), None)) is not None:
            text = set_otherwise
        elif name.lower() == "authorization":
            if key is None:
                continue
            name, _, text = _authorized(route).format(key).partition(": ")
        elif length == 0 and name.lower() in {"content-type", "content-length"}:
            continue
        lines.append((name, text.replace("{length}", str(length))))
    headers: RawHeaders = tuple(
        (name.encode(), text.encode()) for name, text in (*lines, *left.items())
    )
    path, _, query = send.to.partition("?")
    return Head(send.method, path, query, headers, address)


def _authorized(route: Route) -> str:
    family = route.dialect.partition("_")[0]
    return _KEY_HEADERS.get(family, _BEARER)
