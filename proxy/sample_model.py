"""
A sample model on loopback, for a first run without an upstream, for demonstrations and for tests.

It speaks OpenAI chat completions and responses, Anthropic messages and Gemini, plain and streamed,
with the ids, stop reasons and usage that the real APIs give. What it says is deterministic: it repeats
the last user message. It accepts any key.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from proxy import sample_gemini
from proxy.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from proxy.dialects.base import Dialect, UnreadableBody
from proxy.dialects.gemini_generate import GEMINI_GENERATE
from proxy.dialects.openai_chat import OPENAI_CHAT
from proxy.dialects.openai_responses import OPENAI_RESPONSES
from proxy.dialects.routes import dialect_for_errors
from proxy.errors import Refusal
from proxy.facts import Ask
from proxy.sample_chat import completion, completion_chunks
from proxy.sample_messages import message, message_events
from proxy.sample_responses import response, response_events

MODELS = ("sample-large", "sample-small")
"""What `/v1/models` lists; requests may name any model."""

_BODY_LIMIT = 64 * 1024 * 1024
_CREATED = 1735689600
_CREATED_AT = "2025-01-01T00:00:00Z"
_QUOTED_WORDS = 48
_JSON = {"Content-Type": "application/json"}
_EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}

_TOKEN = re.compile(r"\s*\S+")
_ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the model says to one request, cut at its output limit."""

    model: str | None
    tokens: tuple[str, ...]
    cut: bool
    input_tokens: int


def sample_model_app(token_delay: float = 0.02) -> web.Application:
    """The sample model as an application; `token_delay` is in seconds, per token streamed."""
    app = web.Application(client_max_size=_BODY_LIMIT)

    async def chat(request: web.Request) -> web.StreamResponse:
        return await _serve(request, OPENAI_CHAT, token_delay)

    async def messages(request: web.Request) -> web.StreamResponse:
        return await _serve(request, ANTHROPIC_MESSAGES, token_delay)

    async def responses(request: web.Request) -> web.StreamResponse:
        return await _serve(request, OPENAI_RESPONSES, token_delay)

    async def generate(request: web.Request) -> web.StreamResponse:
        return await _serve(request, GEMINI_GENERATE, token_delay)

    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/responses", responses)
    app.router.add_post("/v1/messages", messages)
    # In a project, of a publisher, tuned: the path's own reader finds the model.
    app.router.add_post(
        "/{version}/{place:.+}/{model}:{call:generateContent|streamGenerateContent}", generate
    )
    for version in ("v1", "v1beta"):
        app.router.add_get(f"/{version}/models", _list_models)
        app.router.add_get(f"/{version}/models/{{id}}", _get_model)
    app.router.add_route("*", "/{path:.*}", _unknown)
    return app


async def start_sample_model(
    token_delay: float = 0.02,
) -> tuple[str, Callable[[], Awaitable[None]]]:
    """Serve the sample model on a free loopback port; returns its URL and what stops it."""
    runner = web.AppRunner(
        sample_model_app(token_delay),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=0.1,
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    return f"http://127.0.0.1:{port}", runner.cleanup


async def _serve(request: web.Request, dialect: Dialect, delay: float) -> web.StreamResponse:
    try:
        ask = dialect.read(await request.read(), request.rel_url.raw_path).ask
    except UnreadableBody as error:
        return _error(dialect, 400, error.reason, error.message)
    fault = _fault(ask, dialect)
    if fault is not None:
        return _error(dialect, 400, "invalid_value", fault)
    answer = _answer(ask)
    if not ask.stream:
        reply = _reply(dialect, ask, answer)
        return web.Response(body=orjson.dumps(reply), headers=_JSON | _ids(dialect))
    if dialect is GEMINI_GENERATE and request.query.get("alt") != "sse":
        parts = sample_gemini.as_array(_pieces(ask, answer))
        return await _stream(request, _JSON, parts, delay)
    events = _events(dialect, ask, answer)
    return await _stream(request, _EVENT_STREAM | _ids(dialect), events, delay / ask.choices)


def _reply(dialect: Dialect, ask: Ask, answer: _Answer) -> dict[str, Any]:
    model, tokens, given, cut = answer.model, answer.tokens, answer.input_tokens, answer.cut
    if dialect is OPENAI_CHAT:
        return completion(model, tokens, given, cut=cut, choices=ask.choices)
    if dialect is GEMINI_GENERATE:
        return sample_gemini.reply(model, tokens, given, cut=cut, choices=ask.choices)
    make = response if dialect is OPENAI_RESPONSES else message
    return make(model, tokens, given, cut=cut)


def _events(dialect: Dialect, ask: Ask, answer: _Answer) -> list[bytes]:
    model, tokens, given, cut = answer.model, answer.tokens, answer.input_tokens, answer.cut
    if dialect is OPENAI_CHAT:
        chunks = completion_chunks(
            model, tokens, given, cut=cut, choices=ask.choices, usage=ask.asks_usage
        )
        return [*map(_event, chunks), b"data: [DONE]\n\n"]
    if dialect is GEMINI_GENERATE:
        return [_event(piece) for piece in _pieces(ask, answer)]
    make = response_events if dialect is OPENAI_RESPONSES else message_events
    return [_event(event, event["type"]) for event in make(model, tokens, given, cut=cut)]


def _pieces(ask: Ask, answer: _Answer) -> list[dict[str, Any]]:
    return sample_gemini.pieces(
        answer.model, answer.tokens, answer.input_tokens, cut=answer.cut, choices=ask.choices
    )


async def _stream(
    request: web.Request, headers: dict[str, str], events: list[bytes], delay: float
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(request)
        async for event in _paced(events, delay):
            await response.write(event)
    except ConnectionResetError:
        pass  # the client has gone; nobody is left to tell
    return response


async def _paced(events: list[bytes], delay: float) -> AsyncIterator[bytes]:
    for index, event in enumerate(events):
        if index:
            await asyncio.sleep(delay)
        yield event


def _fault(ask: Ask, dialect: Dialect) -> str | None:
    if not ask.model:
        return "model: a model is required."
    if not any(turn.role != "system" for turn in ask.turns):
        return "messages: at least one message is required."
    if any(turn.role not in _ROLES for turn in ask.turns):
        return "messages: a message has an unknown role."
    if ask.temperature is not None and not 0 <= ask.temperature <= 2:
        return "temperature: must be between 0 and 2."
    if ask.choices > 128:
        return "n: must be at most 128."
    if ask.max_output_tokens is None and dialect is ANTHROPIC_MESSAGES:
        return "max_tokens: a limit is required."
    if ask.max_output_tokens == 0:
        return "max_tokens: must be at least 1."
    return None


def _answer(ask: Ask) -> _Answer:
    said = next((turn.text for turn in reversed(ask.turns) if turn.role == "user"), "")
    quote = " ".join(said.split()[:_QUOTED_WORDS])
    tokens = tuple(_TOKEN.findall(f'You said: "{quote}" I am the sample model and only repeat.'))
    limit = ask.max_output_tokens
    cut = limit is not None and limit < len(tokens)
    return _Answer(
        model=ask.model,
        tokens=tokens[:limit] if cut else tokens,
        cut=cut,
        input_tokens=3 + sum(4 + len(turn.text) // 4 for turn in ask.turns),
    )


def _event(data: dict[str, Any], name: str | None = None) -> bytes:
    written = b"data: %b\n\n" % orjson.dumps(data)
    return b"event: %b\n%b" % (name.encode(), written) if name else written


async def _list_models(request: web.Request) -> web.Response:
    dialect = dialect_for_errors(request.path, request.raw_headers)
    models = [_listed(dialect, id_) for id_ in MODELS]
    page: dict[str, Any] = {"object": "list", "data": models}
    if dialect is GEMINI_GENERATE:
        page = {"models": models}
    elif dialect is ANTHROPIC_MESSAGES:
        del page["object"]
        page |= {"has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    return web.Response(body=orjson.dumps(page), headers=_JSON | _ids(dialect))


async def _get_model(request: web.Request) -> web.Response:
    dialect = dialect_for_errors(request.path, request.raw_headers)
    id_ = request.match_info["id"]
    if id_ not in MODELS:
        return _error(dialect, 404, "model_not_found", "The model does not exist.")
    return web.Response(body=orjson.dumps(_listed(dialect, id_)), headers=_JSON | _ids(dialect))


def _listed(dialect: Dialect, id_: str) -> dict[str, Any]:
    if dialect is GEMINI_GENERATE:
        return sample_gemini.listed(id_)
    if dialect is ANTHROPIC_MESSAGES:
        return {"type": "model", "id": id_, "display_name": id_, "created_at": _CREATED_AT}
    return {"id": id_, "object": "model", "created": _CREATED, "owned_by": "excise"}


async def _unknown(request: web.Request) -> web.Response:
    dialect = dialect_for_errors(request.path, request.raw_headers)
    return _error(dialect, 404, "unknown_url", "The sample model does not serve this route.")


def _error(dialect: Dialect, status: int, reason: str, message: str) -> web.Response:
    ids = _ids(dialect)
    reply = dialect.refusal(Refusal(status, reason, message), next(iter(ids.values()), _id()))
    return web.Response(status=status, body=reply.body, headers=_JSON | ids)


def _ids(dialect: Dialect) -> dict[str, str]:
    if dialect is GEMINI_GENERATE:
        return {}  # Google gives an id in the reply, as responseId
    name = "request-id" if dialect is ANTHROPIC_MESSAGES else "x-request-id"
    return {name: _id()}


def _id() -> str:
    return f"req_{uuid.uuid4().hex}"
