"""The real anthropic SDK through a running Excise: sync, async, streaming, refusals and its retries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest

from tests.support.excise import Excise


@pytest.fixture
def client(excise: Excise, request: pytest.FixtureRequest) -> Iterator[anthropic.Anthropic]:
    key = f"sk-ant-{request.node.name}"
    with anthropic.Anthropic(api_key=key, base_url=excise.url, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(
    excise: Excise, request: pytest.FixtureRequest
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    key = f"sk-ant-{request.node.name}"
    async with anthropic.AsyncAnthropic(api_key=key, base_url=excise.url, max_retries=0) as made:
        yield made


def ask(client: anthropic.Anthropic, model: str, text: str = "hi", **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.messages.create(model=model, messages=messages, max_tokens=8, **more)


def test_prompts_arrive_and_answers_come_back(
    client: anthropic.Anthropic, prompts: list[str]
) -> None:
    for prompt in prompts:
        message = ask(client, "sample-large", prompt, system="Be brief.")
        assert message.content[0].text
        assert message.usage.output_tokens > 0


def test_a_stream_is_whole_and_its_usage_is_logged(
    excise: Excise, client: anthropic.Anthropic
) -> None:
    messages: Any = [{"role": "user", "content": "one two three"}]
    with client.messages.stream(model="streamed", messages=messages, max_tokens=8) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text  # type: ignore[union-attr]
    event = excise.wait_for("request", **{"gen_ai.request.model": "streamed"})
    assert event["gen_ai.usage.output_tokens"] == final.usage.output_tokens
    assert event["gen_ai.usage.input_tokens"] == final.usage.input_tokens


async def test_async_plain_and_streamed(async_client: anthropic.AsyncAnthropic) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    plain = await async_client.messages.create(
        model="sample-large", messages=messages, max_tokens=50
    )
    async with async_client.messages.stream(
        model="sample-large", messages=messages, max_tokens=50
    ) as stream:
        text = "".join([part async for part in stream.text_stream])
    assert text == plain.content[0].text  # type: ignore[union-attr]


def test_a_throttled_request_raises_the_sdks_own_error(client: anthropic.Anthropic) -> None:
    ask(client, "tight")
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(client, "tight")
    assert raised.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
    assert raised.value.request_id == raised.value.response.headers["x-excise-request-id"]


def test_the_sdks_own_retry_heeds_our_429_and_succeeds(client: anthropic.Anthropic) -> None:
    ask(client, "tight")
    assert ask(client.with_options(max_retries=2), "tight").content


async def test_the_async_sdks_retry_succeeds_too(async_client: anthropic.AsyncAnthropic) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    patient = async_client.with_options(max_retries=2)
    for _ in range(2):
        done = await patient.messages.create(model="tight", messages=messages, max_tokens=4)
        assert done.content


def test_a_blocked_request_is_not_retried(excise: Excise, client: anthropic.Anthropic) -> None:
    ask(client, "closed")
    with pytest.raises(anthropic.PermissionDeniedError):
        ask(client.with_options(max_retries=3), "closed")
    assert excise.wait_for("request", rule="closed")["http.response.status_code"] == 403
    assert not [event for event in excise.events if event.get("rule") == "closed"]


def test_a_malformed_body_names_the_field(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        client.messages.create(model="m", messages="text", max_tokens=1)  # type: ignore[arg-type]
