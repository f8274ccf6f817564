"""Every dialect's answers come at the pace that a policy gives, smoothly, as the real SDKs read them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from tests.support.excise import Excise
from tests.support.reasoning_model import TEXT

MESSAGES: Any = [{"role": "user", "content": "Why?"}]


def chat(url: str) -> Iterator[str]:
    with openai.OpenAI(api_key="sk-a", base_url=f"{url}/v1", max_retries=0) as client:
        for chunk in client.chat.completions.create(model="paced", messages=MESSAGES, stream=True):
            yield (chunk.choices[0].delta.content or "") if chunk.choices else ""


def completion(url: str) -> Iterator[str]:
    with openai.OpenAI(api_key="sk-a", base_url=f"{url}/v1", max_retries=0) as client:
        for chunk in client.completions.create(model="paced", prompt="Why?", stream=True):
            yield chunk.choices[0].text if chunk.choices else ""


def response(url: str) -> Iterator[str]:
    with openai.OpenAI(api_key="sk-a", base_url=f"{url}/v1", max_retries=0) as client:
        for event in client.responses.create(model="paced", input="Why?", stream=True):
            yield event.delta if event.type == "response.output_text.delta" else ""


def message(url: str) -> Iterator[str]:
    with (
        anthropic.Anthropic(api_key="sk-a", base_url=url, max_retries=0) as client,
        client.messages.stream(model="paced", max_tokens=100, messages=MESSAGES) as stream,
    ):
        yield from stream.text_stream


def gemini(url: str) -> Iterator[str]:
    with genai.Client(api_key="k", http_options={"base_url": url}) as client:
        for chunk in client.models.generate_content_stream(model="paced", contents="Why?"):
            yield chunk.text or ""


@pytest.mark.parametrize("stream", [chat, completion, response, message, gemini])
def test_a_stream_is_smooth(excise: Excise, stream: Callable[[str], Iterator[str]]) -> None:
    found, arrivals = [], []
    for piece in stream(excise.url):
        if piece:
            found.append(piece)
            arrivals.append(time.monotonic())
    assert "".join(found) == TEXT
    assert len(found) == 20
    # 20 tokens at 40 a second, of which the first tenth of a second's pass at once.
    assert 0.35 < arrivals[-1] - arrivals[0] < 3.0
    assert max(later - sooner for sooner, later in itertools.pairwise(arrivals)) < 0.4


def plain_chat(url: str) -> int | None:
    with openai.OpenAI(api_key="sk-a", base_url=f"{url}/v1", max_retries=0) as client:
        usage = client.chat.completions.create(model="paced", messages=MESSAGES).usage
        return usage and usage.completion_tokens


def plain_completion(url: str) -> int | None:
    with openai.OpenAI(api_key="sk-a", base_url=f"{url}/v1", max_retries=0) as client:
        usage = client.completions.create(model="paced", prompt="Why?").usage
        return usage and usage.completion_tokens


def plain_response(url: str) -> int | None:
    with openai.OpenAI(api_key="sk-a", base_url=f"{url}/v1", max_retries=0) as client:
        usage = client.responses.create(model="paced", input="Why?").usage
        return usage and usage.output_tokens


def plain_message(url: str) -> int | None:
    with anthropic.Anthropic(api_key="sk-a", base_url=url, max_retries=0) as client:
        answer = client.messages.create(model="paced", max_tokens=100, messages=MESSAGES)
        return answer.usage.output_tokens


def plain_gemini(url: str) -> int | None:
    with genai.Client(api_key="k", http_options={"base_url": url}) as client:
        usage = client.models.generate_content(model="paced", contents="Why?").usage_metadata
        return usage and (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


@pytest.mark.parametrize(
    ("ask", "tokens"),
    [
        (plain_chat, 24),
        (plain_completion, 20),
        (plain_response, 24),
        (plain_message, 24),
        (plain_gemini, 24),
    ],
)
def test_a_plain_answer_is_held_back(
    excise: Excise, ask: Callable[[str], int | None], tokens: int
) -> None:
    began = time.monotonic()
    assert ask(excise.url) == tokens
    assert time.monotonic() - began > tokens / 40 - 0.1
