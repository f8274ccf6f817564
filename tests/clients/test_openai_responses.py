"""The real openai SDK's responses API through a running Excise: sync, async, streaming, refusals."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.support.excise import Excise


def test_prompts_arrive_and_answers_come_back(
    excise: Excise, client: openai.OpenAI, prompts: list[str]
) -> None:
    for prompt in prompts:
        answer = client.responses.create(
            model="told-response", input=prompt, instructions="Repeat."
        )
        assert answer.output_text
        assert answer.status == "completed"
        assert answer.usage is not None
        assert answer.usage.output_tokens > 0
    event = excise.wait_for("request", **{"gen_ai.request.model": "told-response"})
    assert event["http.route"] == "/v1/responses"
    assert event["excise.dialect"] == "openai_responses"
    assert event["request.turns"] == 2


def test_a_stream_is_whole_and_its_usage_is_logged(excise: Excise, client: openai.OpenAI) -> None:
    with client.responses.create(
        model="streamed-response", input="one two three", stream=True
    ) as stream:
        events: list[Any] = list(stream)
    text = "".join(one.delta for one in events if one.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == text
    event = excise.wait_for("request", **{"gen_ai.request.model": "streamed-response"})
    assert event["gen_ai.usage.output_tokens"] == last.response.usage.output_tokens
    assert event["gen_ai.response.finish_reason"] == "completed"
    assert "usage.estimated" not in event


def test_an_answer_that_is_cut_says_why(excise: Excise, client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model="cut-response", input=[{"role": "user", "content": "go on"}], max_output_tokens=3
    )
    assert answer.status == "incomplete"
    event = excise.wait_for("request", **{"gen_ai.request.model": "cut-response"})
    assert event["gen_ai.response.finish_reason"] == "max_output_tokens"
    assert event["gen_ai.request.max_tokens"] == 3


async def test_async_plain_and_streamed(async_client: openai.AsyncOpenAI) -> None:
    plain = await async_client.responses.create(model="sample-large", input="hello")
    stream = await async_client.responses.create(model="sample-large", input="hello", stream=True)
    parts = [one.delta async for one in stream if one.type == "response.output_text.delta"]
    assert "".join(parts) == plain.output_text


def test_a_throttled_request_raises_the_sdks_own_error_and_succeeds_on_retry(
    client: openai.OpenAI,
) -> None:
    client.responses.create(model="tight", input="hi")
    with pytest.raises(openai.RateLimitError) as raised:
        client.responses.create(model="tight", input="hi")
    assert raised.value.code == "rate_limit_exceeded"
    patient = client.with_options(max_retries=2)
    assert patient.responses.create(model="tight", input="hi").output_text


def test_a_malformed_body_names_the_field(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="input"):
        client.responses.create(model="m", input=7)  # type: ignore[call-overload]
