"""The real openai SDK through a running Excise: sync, async, streaming, refusals and its retries."""

from __future__ import annotations

import time
from typing import Any

import openai
import pytest

from tests.clients.conftest import evaluation_prompts
from tests.support.excise import Excise


def ask(client: openai.OpenAI, model: str, text: str = "hi", **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, max_tokens=8, **more)


def test_prompts_arrive_and_answers_come_back(client: openai.OpenAI, prompts: list[str]) -> None:
    for prompt in prompts:
        completion = ask(client, "sample-large", prompt)
        assert completion.choices[0].message.content
        assert completion.usage.total_tokens > 0


def test_the_evaluation_prompts_are_among_them(prompts: list[str]) -> None:
    found = evaluation_prompts()
    if not found:
        pytest.skip("evaluation data absent: set EXCISE_EVAL_DATA to its folder")
    assert len(found) >= 10
    assert set(found) <= set(prompts)


def test_a_stream_is_whole_and_shows_no_usage_that_was_not_asked_for(
    excise: Excise, client: openai.OpenAI
) -> None:
    chunks = list(ask(client, "sample-large", "one two three", stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].choices[0].finish_reason is not None
    assert all(chunk.usage is None for chunk in chunks)
    event = excise.wait_for("request", **{"gen_ai.request.stream": True, "outcome": "complete"})
    assert event["gen_ai.usage.output_tokens"] > 0
    assert "usage.estimated" not in event


def test_a_stream_shows_the_usage_that_was_asked_for(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(ask(client, "sample-large", stream=True, stream_options=options))
    assert chunks[-1].usage.completion_tokens > 0


async def test_async_plain_and_streamed(async_client: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    plain = await async_client.chat.completions.create(model="sample-large", messages=messages)
    assert plain.choices[0].message.content
    stream = await async_client.chat.completions.create(
        model="sample-large", messages=messages, stream=True
    )
    parts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(parts) == plain.choices[0].message.content


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert "sample-large" in [model.id for model in client.models.list()]


def test_a_throttled_request_raises_the_sdks_own_error(
    excise: Excise, client: openai.OpenAI
) -> None:
    ask(client, "tight")
    with pytest.raises(openai.RateLimitError) as raised:
        ask(client, "tight")
    error = raised.value
    assert error.code == "rate_limit_exceeded"
    assert 0 < int(error.response.headers["retry-after-ms"]) <= 1000
    assert error.response.headers["retry-after"] == "1"
    assert "tight" not in error.message
    request_id = error.response.headers["x-excise-request-id"]
    event = excise.wait_for("request", request_id=request_id)
    assert (event["decision"], event["rule"]) == ("throttle", "tight")
    assert event["evidence"]["limit"] == "1/second"


def test_the_sdks_own_retry_heeds_our_429_and_succeeds(client: openai.OpenAI) -> None:
    ask(client, "tight")
    started = time.monotonic()
    completion = ask(client.with_options(max_retries=2), "tight")
    assert completion.choices
    assert time.monotonic() - started >= 0.4


async def test_the_async_sdks_retry_succeeds_too(async_client: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    patient = async_client.with_options(max_retries=2)
    for _ in range(2):
        done = await patient.chat.completions.create(model="tight", messages=messages, max_tokens=4)
        assert done.choices


def test_a_shaped_request_is_held_back_and_answered(excise: Excise, client: openai.OpenAI) -> None:
    ask(client, "shaped")
    ask(client, "shaped")
    event = excise.wait_for("request", decision="delay", rule="shaped")
    assert 0 < event["delayed_s"] <= 0.2
    assert event["http.response.status_code"] == 200


def test_a_blocked_request_is_not_retried(excise: Excise, client: openai.OpenAI) -> None:
    ask(client, "closed")
    with pytest.raises(openai.PermissionDeniedError) as raised:
        ask(client.with_options(max_retries=3), "closed")
    assert raised.value.response.headers["x-should-retry"] == "false"
    first = excise.wait_for("request", decision="block", rule="closed")
    assert first["http.response.status_code"] == 403
    assert not [event for event in excise.events if event.get("rule") == "closed"]


def test_a_missing_key_raises_the_sdks_own_error(excise: Excise) -> None:
    # The SDK insists on a key; a bare scheme is what a careless proxy before us would send on.
    client = openai.OpenAI(api_key="x", base_url=f"{excise.url}/v1", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError):
        ask(client, "m", extra_headers={"Authorization": openai.omit})


def test_an_unknown_route_raises_the_sdks_own_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.list()


def test_a_malformed_body_names_the_field(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="m", messages="text")  # type: ignore[call-overload]
