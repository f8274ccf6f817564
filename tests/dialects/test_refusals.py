"""Refusals: what stands on the wire, and that the real SDKs raise their own errors for it."""

import time
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import orjson
import pytest
from aiohttp import web

from proxy.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from proxy.dialects.base import Dialect, RefusalReply
from proxy.dialects.gemini_generate import GEMINI_GENERATE
from proxy.dialects.openai_chat import OPENAI_CHAT
from proxy.errors import Refusal

ID = "01JK4ZQ8"
STATUSES = [400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 502, 503, 504]


def headers(
    dialect: Dialect, *, wait: float | None = None, should_retry: bool | None = None
) -> dict[bytes, bytes]:
    refusal = Refusal(429, "rate_limited", "Slow down.", wait, should_retry)
    return dict(dialect.refusal(refusal, ID).headers)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", "why"),
        (401, "invalid_request_error", "invalid_api_key"),
        (403, "request_forbidden", "why"),
        (404, "invalid_request_error", "why"),
        (413, "invalid_request_error", "why"),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", "why"),
        (503, "server_error", "why"),
    ],
)
def test_openai_errors_have_the_api_s_own_type_and_code(status: int, kind: str, code: str) -> None:
    reply = OPENAI_CHAT.refusal(Refusal(status, "why", "No."), ID)
    assert reply.status == status
    error = {"message": "No.", "type": kind, "param": None, "code": code}
    assert orjson.loads(reply.body) == {"error": error}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_anthropic_errors_have_the_api_s_own_type(status: int, kind: str) -> None:
    reply = ANTHROPIC_MESSAGES.refusal(Refusal(status, "why", "No."), ID)
    assert reply.status == status
    assert orjson.loads(reply.body) == {
        "type": "error",
        "error": {"type": kind, "message": "No."},
        "request_id": ID,
    }


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (405, "INVALID_ARGUMENT"),
        (408, "DEADLINE_EXCEEDED"),
        (413, "INVALID_ARGUMENT"),
        (415, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (431, "INVALID_ARGUMENT"),
        (500, "INTERNAL"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
def test_gemini_errors_have_googles_status_and_details(status: int, word: str) -> None:
    reply = GEMINI_GENERATE.refusal(Refusal(status, "why_not", "No."), ID)
    assert reply.status == status
    assert dict(reply.headers) == {
        b"Content-Type": b"application/json",
        b"X-Excise-Request-Id": ID.encode(),
    }
    google = "type.googleapis.com/google.rpc."
    details = [
        {"@type": f"{google}ErrorInfo", "reason": "WHY_NOT", "domain": "excise"},
        {"@type": f"{google}RequestInfo", "requestId": ID},
    ]
    assert orjson.loads(reply.body) == {
        "error": {"code": status, "message": "No.", "status": word, "details": details}
    }


@pytest.mark.parametrize(
    ("wait", "delay"),
    [(0.0, "0.000s"), (0.0001, "0.001s"), (1.4, "1.400s"), (1.4001, "1.401s"), (61.0, "61.000s")],
)
def test_gemini_errors_tell_the_wait_in_google_s_way_too(wait: float, delay: str) -> None:
    reply = GEMINI_GENERATE.refusal(Refusal(429, "rate_limited", "Slow down.", wait), ID)
    retry = orjson.loads(reply.body)["error"]["details"][-1]
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    assert dict(reply.headers)[b"Retry-After"] == str(-int(-wait // 1)).encode()


@pytest.mark.parametrize(
    ("dialect", "id_header"),
    [(OPENAI_CHAT, b"x-request-id"), (ANTHROPIC_MESSAGES, b"request-id")],
)
def test_a_refusal_bears_our_id_and_the_dialect_s_and_no_wait_of_its_own(
    dialect: Dialect, id_header: bytes
) -> None:
    assert headers(dialect) == {
        b"Content-Type": b"application/json",
        b"X-Excise-Request-Id": ID.encode(),
        id_header: ID.encode(),
    }


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, ANTHROPIC_MESSAGES, GEMINI_GENERATE])
@pytest.mark.parametrize(
    ("wait", "seconds", "milliseconds"),
    [(0.0, b"0", b"0"), (0.0001, b"1", b"1"), (1.4, b"2", b"1400"), (60.0, b"60", b"60000")],
)
def test_a_wait_is_rounded_up(
    dialect: Dialect, wait: float, seconds: bytes, milliseconds: bytes
) -> None:
    found = headers(dialect, wait=wait)
    assert (found[b"Retry-After"], found[b"retry-after-ms"]) == (seconds, milliseconds)
    assert b"x-should-retry" not in found


@pytest.mark.parametrize(
    ("wait", "should_retry", "written"),
    [
        (None, False, b"false"),
        (None, True, b"true"),
        (1.0, True, b"true"),
        (60.1, None, b"false"),
        (60.1, True, b"false"),
    ],
)
def test_sdks_are_told_not_to_retry_what_cannot_succeed(
    wait: float | None, should_retry: bool | None, written: bytes
) -> None:
    assert headers(OPENAI_CHAT, wait=wait, should_retry=should_retry)[b"x-should-retry"] == written


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, ANTHROPIC_MESSAGES, GEMINI_GENERATE])
def test_the_operator_s_contact_stands_behind_the_message(dialect: Dialect) -> None:
    reply = dialect.refusal(Refusal(403, "why", "No."), ID, "https://example.com/abuse")
    error = orjson.loads(reply.body)["error"]
    assert error["message"] == "No. Contact: https://example.com/abuse"


class Answering:
    """A real server that answers each request with the next reply of a list, the last for ever."""

    def __init__(self) -> None:
        self.replies: list[RefusalReply | dict[str, Any]] = []
        self.requests = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        await request.read()
        self.requests += 1
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, dict):
            return web.json_response(reply)
        names = {name.decode(): value.decode() for name, value in reply.headers}
        return web.Response(status=reply.status, body=reply.body, headers=names)


@pytest.fixture
async def server() -> AsyncIterator[Answering]:
    answering = Answering()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    answering.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield answering
    await runner.cleanup()


async def ask_openai(url: str, retries: int = 0) -> Any:
    async with openai.AsyncOpenAI(
        api_key="sk-test", base_url=url + "/v1", max_retries=retries
    ) as client:
        return await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hello"}]
        )


async def ask_anthropic(url: str, retries: int = 0) -> Any:
    async with anthropic.AsyncAnthropic(
        api_key="sk-test", base_url=url, max_retries=retries
    ) as client:
        return await client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
        )


OPENAI_ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}
ANTHROPIC_ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
}


@pytest.mark.parametrize("status", STATUSES)
async def test_the_openai_sdk_raises_its_own_error(server: Answering, status: int) -> None:
    server.replies = [OPENAI_CHAT.refusal(Refusal(status, "why", "No."), ID)]
    default = openai.InternalServerError if status >= 500 else openai.APIStatusError
    with pytest.raises(OPENAI_ERRORS.get(status, default)) as raised:
        await ask_openai(server.url)
    assert isinstance(raised.value, openai.APIStatusError)
    assert raised.value.request_id == ID
    assert raised.value.code
    assert "No." in raised.value.message


@pytest.mark.parametrize("status", STATUSES)
async def test_the_anthropic_sdk_raises_its_own_error(server: Answering, status: int) -> None:
    server.replies = [ANTHROPIC_MESSAGES.refusal(Refusal(status, "why", "No."), ID)]
    default = anthropic.InternalServerError if status >= 500 else anthropic.APIStatusError
    with pytest.raises(ANTHROPIC_ERRORS.get(status, default)) as raised:
        await ask_anthropic(server.url)
    assert isinstance(raised.value, anthropic.APIStatusError)
    assert raised.value.request_id == ID
    assert "No." in raised.value.message


OPENAI_REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ],
}
ANTHROPIC_REPLY = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


@pytest.mark.parametrize(
    ("dialect", "ask", "reply"),
    [
        (OPENAI_CHAT, ask_openai, OPENAI_REPLY),
        (ANTHROPIC_MESSAGES, ask_anthropic, ANTHROPIC_REPLY),
    ],
)
async def test_sdks_retry_a_throttled_request_after_the_wait_they_are_told(
    server: Answering, dialect: Dialect, ask: Any, reply: dict[str, Any]
) -> None:
    throttled = dialect.refusal(Refusal(429, "rate_limited", "Slow down.", 0.02), ID)
    server.replies = [throttled, throttled, reply]
    started = time.monotonic()
    assert await ask(server.url, retries=2)
    assert server.requests == 3
    # Left to themselves, the SDKs wait at least 0.375 s and 0.75 s.
    assert 0.04 <= time.monotonic() - started < 1.1


@pytest.mark.parametrize(
    ("dialect", "ask", "error"),
    [
        (OPENAI_CHAT, ask_openai, openai.RateLimitError),
        (ANTHROPIC_MESSAGES, ask_anthropic, anthropic.RateLimitError),
    ],
)
@pytest.mark.parametrize(("wait", "should_retry"), [(61.0, None), (None, False)])
async def test_sdks_do_not_retry_what_is_marked_so(
    server: Answering,
    dialect: Dialect,
    ask: Any,
    error: type[Exception],
    wait: float | None,
    should_retry: bool | None,
) -> None:
    refusal = Refusal(429, "rate_limited", "Slow down.", wait, should_retry)
    server.replies = [dialect.refusal(refusal, ID)]
    with pytest.raises(error):
        await ask(server.url, retries=3)
    assert server.requests == 1
