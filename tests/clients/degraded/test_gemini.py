"""The real google-genai SDK reads every degraded answer, plain and streamed."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest
from google import genai
from google.genai import types

from tests.support.excise import Excise
from tests.support.reasoning_model import SECRET, SIGNATURE, TEXT, ReasoningModel


@pytest.fixture
def client(excise: Excise) -> Iterator[genai.Client]:
    with genai.Client(api_key="k", http_options={"base_url": excise.url}) as made:
        yield made


@pytest.mark.parametrize("name", ["hidden", "inline"])
def test_an_answer_without_its_thoughts(client: genai.Client, name: str) -> None:
    answer = client.models.generate_content(model=name, contents="Why?")
    assert answer.text == TEXT
    assert len(answer.candidates[0].content.parts) == 1
    assert answer.candidates[0].content.parts[0].thought_signature is None
    assert answer.candidates[0].logprobs_result is None
    assert answer.candidates[0].avg_logprobs is None
    assert SECRET not in repr(answer)


@pytest.mark.parametrize("name", ["hidden", "inline"])
def test_a_streamed_answer_without_its_thoughts(client: genai.Client, name: str) -> None:
    chunks = list(client.models.generate_content_stream(model=name, contents="Why?"))
    assert "".join(chunk.text or "" for chunk in chunks) == TEXT
    assert SECRET not in repr(chunks)
    assert "SIGNATURE" not in repr(chunks)  # the SDK decodes it
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].candidates[0].logprobs_result is None


def test_an_answer_of_reasoning_alone_is_empty(client: genai.Client) -> None:
    answer = client.models.generate_content(model="unclosed", contents="Why?")
    chunks = list(client.models.generate_content_stream(model="unclosed", contents="Why?"))
    assert not answer.text
    assert not "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert SECRET not in repr((answer, chunks))


def test_a_chat_goes_on_without_thoughts(client: genai.Client, model: ReasoningModel) -> None:
    chat = client.chats.create(model="hidden")
    chat.send_message("Why?")
    answer = chat.send_message("And then?")
    assert answer.text == TEXT
    assert SECRET not in json.dumps(model.body)


def test_an_untouched_model_shows_all(client: genai.Client) -> None:
    answer = client.models.generate_content(model="plain", contents="Why?")
    assert SECRET in repr(answer)
    assert answer.candidates[0].content.parts[-1].thought_signature


@pytest.mark.parametrize("name", ["hidden-cut", "inline-cut"])
def test_an_answer_ends_at_its_limit(
    excise: Excise, client: genai.Client, model: ReasoningModel, name: str
) -> None:
    chunks = list(client.models.generate_content_stream(model=name, contents="Why?"))
    last = chunks[-1]
    assert last.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert last.usage_metadata.candidates_token_count == 5
    said = "".join(chunk.text or "" for chunk in chunks)
    assert said
    assert TEXT.startswith(said)
    event = excise.wait_for("request", **{"gen_ai.request.model": name})
    assert event["gen_ai.usage.output_tokens"] == 5
    assert event["gen_ai.response.finish_reason"] == "MAX_TOKENS"
    assert model.written < 20
    plain = client.models.generate_content(model="cut", contents="Why?")
    assert plain.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS


@pytest.mark.parametrize("name", ["hidden", "inline", "hidden-cut", "inline-cut"])
def test_a_stream_as_an_array(excise: Excise, name: str) -> None:
    request = urllib.request.Request(
        f"{excise.url}/v1beta/models/{name}:streamGenerateContent",
        json.dumps({"contents": [{"parts": [{"text": "Why?"}]}]}).encode(),
        {"Content-Type": "application/json", "x-goog-api-key": "k"},
    )
    with urllib.request.urlopen(request) as reply:
        text = reply.read().decode()
    pieces = json.loads(text)
    assert SECRET not in text
    assert SIGNATURE not in text
    said = "".join(
        part["text"] for piece in pieces for part in piece["candidates"][0]["content"]["parts"]
    )
    cut = name.endswith("-cut")
    assert said == (TEXT[: len(said)] if cut else TEXT)
    assert said
    end = "MAX_TOKENS" if cut else "STOP"
    assert pieces[-1]["candidates"][0]["finishReason"] == end


def test_a_request_is_lowered_before_it_goes_on(
    client: genai.Client, model: ReasoningModel
) -> None:
    client.models.generate_content(
        model="lowered",
        contents="Why?",
        config=types.GenerateContentConfig(
            candidate_count=3,
            max_output_tokens=4096,
            response_logprobs=True,
            logprobs=5,
            temperature=0.5,
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=-1),
        ),
    )
    assert model.body["generationConfig"] == {
        "temperature": 0.5,
        "candidateCount": 1,
        "maxOutputTokens": 512,
        "thinkingConfig": {"thinking_budget": 1024},
    }
