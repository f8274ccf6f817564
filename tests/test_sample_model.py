"""The sample model answers the real SDKs as the real APIs do, over a real socket."""

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from proxy.sample_model import MODELS, start_sample_model

SAID = "Tell me about salt."
ANSWER = 'You said: "Tell me about salt." I am the sample model and only repeat.'
TOKENS = 14
MESSAGES: Any = [{"role": "user", "content": SAID}]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    found, stop = await start_sample_model(token_delay=0.0)
    yield found
    await stop()


@pytest.fixture
async def gpt(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="k", base_url=url + "/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0) as client:
        yield client


async def test_a_chat_completion_repeats_the_last_user_message(gpt: openai.AsyncOpenAI) -> None:
    reply = await gpt.chat.completions.create(model="any", messages=MESSAGES, n=2)
    assert [choice.message.content for choice in reply.choices] == [ANSWER, ANSWER]
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert {choice.finish_reason for choice in reply.choices} == {"stop"}
    assert reply.model == "any"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 2 * TOKENS
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 2 * TOKENS
    assert reply._request_id


@pytest.mark.parametrize("asked", [True, False])
async def test_a_streamed_completion_reports_usage_where_asked(
    gpt: openai.AsyncOpenAI, asked: bool
) -> None:
    stream = await gpt.chat.completions.create(
        model="any", messages=MESSAGES, stream=True, stream_options={"include_usage": asked}
    )
    chunks = [chunk async for chunk in stream]
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(said) == ANSWER
    assert len(said) == TOKENS + 2
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert [usage.completion_tokens for usage in usages] == ([TOKENS] if asked else [])
    assert (chunks[-1].choices == []) is asked


async def test_the_output_limit_is_kept_and_named_as_the_reason(
    gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    reply = await gpt.chat.completions.create(model="any", messages=MESSAGES, max_tokens=2)
    assert reply.choices[0].message.content == "You said:"
    assert reply.choices[0].finish_reason == "length"
    message = await claude.messages.create(model="any", messages=MESSAGES, max_tokens=2)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 2


async def test_every_choice_of_a_stream_is_whole(gpt: openai.AsyncOpenAI) -> None:
    stream = await gpt.chat.completions.create(model="any", messages=MESSAGES, stream=True, n=3)
    said = {0: "", 1: "", 2: ""}
    async for chunk in stream:
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said == dict.fromkeys(range(3), ANSWER)


async def test_a_message_repeats_the_last_user_message(claude: anthropic.AsyncAnthropic) -> None:
    message = await claude.messages.create(model="any", messages=MESSAGES, max_tokens=99)
    assert message.content[0].type == "text"
    assert message.content[0].text == ANSWER
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == TOKENS
    assert message.usage.input_tokens > 0
    assert message._request_id


async def test_a_streamed_message_adds_up_to_the_plain_one(
    claude: anthropic.AsyncAnthropic,
) -> None:
    async with claude.messages.stream(model="any", messages=MESSAGES, max_tokens=99) as stream:
        said = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert len(said) == TOKENS
    assert "".join(said) == ANSWER
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", TOKENS)


async def test_models_are_listed_and_told_one_by_one(
    gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    assert [model.id async for model in gpt.models.list()] == list(MODELS)
    assert [model.id async for model in claude.models.list()] == list(MODELS)
    assert (await gpt.models.retrieve(MODELS[0])).id == MODELS[0]
    assert (await claude.models.retrieve(MODELS[0])).id == MODELS[0]
    with pytest.raises(openai.NotFoundError):
        await gpt.models.retrieve("none")
    with pytest.raises(anthropic.NotFoundError):
        await claude.models.retrieve("none")


@pytest.mark.parametrize(
    "fields",
    [
        {"model": ""},
        {"messages": []},
        {"messages": [{"role": "wizard", "content": "a"}]},
        {"temperature": 9},
        {"n": 1000},
        {"max_tokens": 0},
        {"max_tokens": "many"},
    ],
)
async def test_nonsense_is_refused_in_the_openai_format(
    gpt: openai.AsyncOpenAI, fields: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await gpt.chat.completions.create(**{"model": "any", "messages": MESSAGES, **fields})
    assert raised.value.type == "invalid_request_error"
    assert raised.value.request_id


async def test_nonsense_is_refused_in_the_anthropic_format(url: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + "/v1/messages", json={"model": "m", "messages": MESSAGES}) as reply,
    ):
        body = await reply.json()
        assert reply.status == 400
        assert body["error"]["type"] == "invalid_request_error"
        assert body["request_id"] == reply.headers["request-id"]


async def test_an_unknown_route_is_not_found(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url + "/v1/embeddings") as reply:
        assert reply.status == 404
        assert (await reply.json())["error"]["code"] == "unknown_url"


async def test_a_client_that_leaves_mid_stream_leaves_the_model_serving(url: str) -> None:
    body = {"model": "m", "messages": MESSAGES, "stream": True, "n": 100}
    async with aiohttp.ClientSession() as session:
        reply = await session.post(url + "/v1/chat/completions", json=body)
        await reply.content.readany()
        reply.close()
        async with session.get(url + "/v1/models") as models:
            assert models.status == 200


async def test_tokens_are_streamed_one_by_one_not_at_the_end() -> None:
    delay = 0.01
    url, stop = await start_sample_model(token_delay=delay)
    body = {"model": "m", "messages": MESSAGES, "stream": True}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url + "/v1/chat/completions", json=body) as reply,
        ):
            first = await reply.content.readuntil(b"\n\n")
            started = time.monotonic()
            rest = await reply.content.read()
            assert time.monotonic() - started >= 0.9 * delay * TOKENS
            assert b'"role":"assistant"' in first
            assert rest.endswith(b"data: [DONE]\n\n")
    finally:
        await stop()
