"""The real openai SDK reads every degraded answer: chat, legacy completions, responses; plain, streamed."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.support.excise import Event, Excise
from tests.support.reasoning_model import SECRET, SIGNATURE, TEXT, ReasoningModel

MESSAGES = [{"role": "user", "content": "Why?"}]


@pytest.fixture
def client(excise: Excise) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-a", base_url=f"{excise.url}/v1", max_retries=0) as made:
        yield made


def wait_for_chat(excise: Excise, model: str) -> Event:
    wanted = {"gen_ai.request.model": model, "excise.dialect": "openai_chat"}
    return excise.wait_for("request", **wanted)


def test_a_chat_completion_without_its_inline_reasoning(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="inline", messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT


def test_a_chat_completion_without_its_reasoning(excise: Excise, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="hidden", messages=MESSAGES)
    assert raw.headers["x-excise-modified"] == "logprobs, reasoning"
    answer = raw.parse()
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].logprobs is None
    assert answer.usage.completion_tokens == 24
    assert SECRET not in raw.text
    assert 'logprob":' not in raw.text
    event = wait_for_chat(excise, "hidden")
    assert event["decision"] == "degrade"
    assert event["degrade"] == ["strip_logprobs", "hide_reasoning"]
    assert event["degraded"] == ["logprobs", "reasoning"]
    assert event["gen_ai.usage.output_tokens"] == 24


@pytest.mark.parametrize("name", ["hidden", "inline"])
def test_a_streamed_chat_completion_without_its_reasoning(
    client: openai.OpenAI, model: ReasoningModel, name: str
) -> None:
    with client.chat.completions.stream(model=name, messages=MESSAGES) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert final.choices[0].message.content == TEXT
    assert final.choices[0].finish_reason == "stop"
    assert final.choices[0].logprobs is None
    assert SECRET not in repr(events)
    assert "logprob=" not in repr(events)


def test_an_untouched_model_shows_all(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="plain", messages=MESSAGES)
    assert answer.choices[0].message.reasoning_content == SECRET
    chunks = list(client.chat.completions.create(model="plain", messages=MESSAGES, stream=True))
    assert SECRET in repr(chunks)


@pytest.mark.parametrize("usage", [True, False])
def test_a_chat_stream_ends_at_its_limit(
    excise: Excise, client: openai.OpenAI, model: ReasoningModel, usage: bool
) -> None:
    more = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = list(
        client.chat.completions.create(model="hidden-cut", messages=MESSAGES, stream=True, **more)
    )
    said = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(one.delta.content or "" for one in said) == "".join(
        TEXT.split(" ")[i] + " " for i in range(5)
    )
    assert said[-1].finish_reason == "length"
    assert [one.finish_reason for one in said[:-1]] == [None] * (len(said) - 1)
    assert (chunks[-1].usage is not None) == usage
    if usage:
        assert chunks[-1].usage.completion_tokens == 5
    event = wait_for_chat(excise, "hidden-cut")
    assert event["gen_ai.usage.output_tokens"] == 5
    assert event["gen_ai.response.finish_reason"] == "length"
    assert event["outcome"] == "complete"
    assert model.written < 20


def test_a_plain_completion_ends_at_its_limit(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="cut", messages=MESSAGES)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    assert TEXT.startswith(answer.choices[0].message.content)


def test_legacy_completions(client: openai.OpenAI) -> None:
    for name in ("hidden", "inline"):
        answer = client.completions.create(model=name, prompt="Why?", logprobs=3)
        assert answer.choices[0].text == TEXT
        assert answer.choices[0].logprobs is None
        chunks = list(client.completions.create(model=name, prompt="Why?", stream=True))
        assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT
    chunks = list(client.completions.create(model="hidden-cut", prompt="Why?", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT[: len("word0 ") * 5]
    assert chunks[-1].choices[0].finish_reason == "length"
    assert all(chunk.choices[0].logprobs is None for chunk in chunks)


def test_a_request_is_lowered_before_it_goes_on(
    excise: Excise, client: openai.OpenAI, model: ReasoningModel
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="lowered",
        messages=MESSAGES,
        n=3,
        logprobs=True,
        top_logprobs=5,
        logit_bias={"50256": -100},
        max_completion_tokens=4096,
        reasoning_effort="high",
    )
    assert model.body == {
        "messages": MESSAGES,
        "model": "lowered",
        "n": 1,
        "max_completion_tokens": 512,
        "reasoning_effort": "low",
    }
    assert raw.headers["x-excise-modified"] == (
        "logprobs, top_logprobs, logit_bias, n, reasoning_effort, max_completion_tokens, reasoning"
    )
    client.responses.create(
        model="lowered",
        input="Why?",
        include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        reasoning={"effort": "high", "summary": "auto"},
        top_logprobs=3,
    )
    assert model.body == {
        "model": "lowered",
        "input": "Why?",
        "include": [],
        "reasoning": {"effort": "low"},
        "max_output_tokens": 512,
    }
    assert model.headers[-1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("name", ["hidden", "inline"])
def test_a_response_without_its_reasoning(client: openai.OpenAI, name: str) -> None:
    raw = client.responses.with_raw_response.create(model=name, input="Why?")
    answer = raw.parse()
    assert answer.output_text == TEXT
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.output[0].summary == []
    assert answer.output[0].encrypted_content is None
    assert answer.output[1].content[0].logprobs == []
    assert SECRET not in raw.text
    assert SIGNATURE not in raw.text


@pytest.mark.parametrize("name", ["hidden", "inline"])
def test_a_streamed_response_without_its_reasoning(client: openai.OpenAI, name: str) -> None:
    with client.responses.stream(model=name, input="Why?") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == TEXT
    said = [one.delta for one in events if one.type == "response.output_text.delta"]
    assert "".join(said) == TEXT
    (done,) = [one for one in events if one.type == "response.output_text.done"]
    (part,) = [one for one in events if one.type == "response.content_part.done"]
    *_, item = [one for one in events if one.type == "response.output_item.done"]
    assert done.text == part.part.text == item.item.content[0].text == TEXT
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert SECRET not in repr(events)
    assert SIGNATURE not in repr(events)
    assert "logprob=" not in repr(events)
    assert not [event for event in events if event.type.startswith("response.reasoning")]


def test_an_answer_of_reasoning_alone_is_empty(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="unclosed", input="Why?")
    with client.responses.stream(model="unclosed", input="Why?") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert (answer.output_text, final.output_text) == ("", "")
    assert SECRET not in repr((answer, events))
    chat = client.chat.completions.create(model="unclosed", messages=MESSAGES)
    assert chat.choices[0].message.content == ""


@pytest.mark.parametrize("name", ["hidden-cut", "inline-cut"])
def test_a_response_ends_at_its_limit(client: openai.OpenAI, excise: Excise, name: str) -> None:
    with client.responses.stream(model=name, input="Why?") as stream:
        events = list(stream)
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.status == "incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output_text == TEXT[: len("word0 ") * 5]
    assert last.response.usage.output_tokens == 5
    done = [event for event in events if event.type == "response.output_text.done"]
    assert done[0].text == last.response.output_text
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    plain = client.responses.create(model="cut", input="Why?")
    assert plain.status == "incomplete"
    assert plain.usage.output_tokens == 5
