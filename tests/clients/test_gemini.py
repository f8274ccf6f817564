"""The real google-genai SDK through a running Excise: sync, async, streams, chats, refusals, retries."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.genai.client import AsyncClient

from tests.support.excise import Excise


def options(excise: Excise, attempts: int = 1, version: str = "v1beta") -> types.HttpOptions:
    retry = types.HttpRetryOptions(attempts=attempts, initial_delay=1.0, exp_base=1, jitter=0.1)
    return types.HttpOptions(base_url=excise.url, retry_options=retry, api_version=version)


@pytest.fixture
def client(excise: Excise, request: pytest.FixtureRequest) -> Iterator[genai.Client]:
    key = f"AIza-{request.node.name}"
    with genai.Client(api_key=key, http_options=options(excise)) as made:
        yield made


@pytest.fixture
async def async_client(
    excise: Excise, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncClient]:
    key = f"AIza-{request.node.name}"
    async with genai.Client(api_key=key, http_options=options(excise)).aio as made:
        yield made


def ask(client: genai.Client, model: str, text: str = "hi", **config: Any) -> Any:
    return client.models.generate_content(
        model=model, contents=text, config=types.GenerateContentConfig(**config)
    )


def test_prompts_arrive_and_answers_come_back(client: genai.Client, prompts: list[str]) -> None:
    for prompt in prompts:
        answer = ask(client, "sample-large", prompt, max_output_tokens=8)
        assert answer.text
        assert answer.usage_metadata.candidates_token_count > 0


def test_all_that_a_call_asks_for_is_known_and_logged(excise: Excise, client: genai.Client) -> None:
    def look_up(city: str) -> str:
        """Look something up."""
        return city

    answer = ask(
        client,
        "full",
        "one two three",
        system_instruction="Be brief.",
        max_output_tokens=5,
        candidate_count=2,
        temperature=0.5,
        top_p=0.9,
        response_logprobs=True,
        logprobs=3,
        tools=[look_up],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(thinking_budget=128, include_thoughts=True),
    )
    assert len(answer.candidates) == 2
    assert answer.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    event = excise.wait_for("request", **{"gen_ai.request.model": "full"})
    assert event["http.route"] == "/v1beta/models/{model}:generateContent"
    assert event["excise.dialect"] == "gemini_generate"
    assert event["gen_ai.operation.name"] == "chat"
    assert event["gen_ai.request.max_tokens"] == 5
    assert event["gen_ai.request.choice.count"] == 2
    assert event["gen_ai.request.temperature"] == 0.5
    assert event["gen_ai.request.stream"] is False
    assert (event["request.turns"], event["request.tools"]) == (2, 1)
    assert event["request.logprobs"] is True
    assert event["request.reasoning"] == "128"
    assert "generationConfig" in event["request.parameters"]
    assert event["gen_ai.response.finish_reason"] == "MAX_TOKENS"
    assert event["gen_ai.response.model"] == answer.model_version == "full"
    assert event["gen_ai.response.id"] == answer.response_id
    assert event["gen_ai.usage.input_tokens"] == answer.usage_metadata.prompt_token_count
    assert event["gen_ai.usage.output_tokens"] == answer.usage_metadata.candidates_token_count
    assert "usage.estimated" not in event


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_every_version_of_the_api_is_inspected(excise: Excise, version: str) -> None:
    made = genai.Client(api_key="AIza-v", http_options=options(excise, version=version))
    with made as client:
        assert ask(client, f"of-{version}").text
    event = excise.wait_for("request", **{"gen_ai.request.model": f"of-{version}"})
    assert event["http.route"] == f"/{version}/models/{{model}}:generateContent"


def test_vertex_is_inspected(excise: Excise) -> None:
    made = genai.Client(
        enterprise=True, api_key="AIza-v", http_options=options(excise, version="v1beta1")
    )
    with made as client:
        parts = list(client.models.generate_content_stream(model="of-vertex", contents="hi"))
    assert parts[-1].usage_metadata is not None
    event = excise.wait_for("request", **{"gen_ai.request.model": "of-vertex"})
    place = "/v1beta1/publishers/{publisher}/models/{model}"
    assert event["http.route"] == f"{place}:streamGenerateContent"


def test_a_stream_is_whole_and_its_usage_is_logged(excise: Excise, client: genai.Client) -> None:
    parts = list(client.models.generate_content_stream(model="streamed", contents="one two three"))
    assert len(parts) > 5
    assert "one two three" in "".join(part.text or "" for part in parts)
    last = parts[-1].usage_metadata
    assert last is not None
    event = excise.wait_for("request", **{"gen_ai.request.model": "streamed"})
    assert event["gen_ai.request.stream"] is True
    assert event["gen_ai.usage.output_tokens"] == last.candidates_token_count
    assert event["gen_ai.usage.input_tokens"] == last.prompt_token_count
    assert event["gen_ai.response.finish_reason"] == "STOP"


def test_a_chat_sends_its_history(excise: Excise, client: genai.Client) -> None:
    chat = client.chats.create(model="chatted")
    first = chat.send_message("salt")
    for part in chat.send_message_stream("pepper"):
        assert part.candidates
    assert "salt" in (first.text or "")
    turns = [
        excise.wait_for("request", **{"gen_ai.request.model": "chatted"})["request.turns"]
        for _ in range(2)
    ]
    assert turns == [1, 3]


async def test_async_plain_and_streamed(async_client: AsyncClient) -> None:
    plain = await async_client.models.generate_content(model="sample-large", contents="hello")
    stream = await async_client.models.generate_content_stream(
        model="sample-large", contents="hello"
    )
    assert "".join([part.text or "" async for part in stream]) == plain.text


def test_models_are_listed_and_looked_up(client: genai.Client) -> None:
    assert "models/sample-large" in [model.name for model in client.models.list()]
    assert client.models.get(model="sample-large").display_name == "sample-large"


def test_a_throttled_request_raises_the_sdks_own_error(
    excise: Excise, client: genai.Client
) -> None:
    ask(client, "tight")
    with pytest.raises(errors.ClientError) as raised:
        ask(client, "tight")
    error = raised.value
    assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED")
    assert error.message == "Too many requests. Slow down and try again later."
    assert "tight" not in str(error.details)
    details = {one["@type"].rpartition(".")[2]: one for one in error.details["error"]["details"]}
    assert details["ErrorInfo"]["reason"] == "RATE_LIMITED"
    assert 0 < float(details["RetryInfo"]["retryDelay"].removesuffix("s")) <= 1
    event = excise.wait_for("request", request_id=details["RequestInfo"]["requestId"])
    assert (event["decision"], event["rule"]) == ("throttle", "tight")


def test_a_throttled_stream_raises_it_too(client: genai.Client) -> None:
    ask(client, "tight")
    with pytest.raises(errors.ClientError) as raised:
        list(client.models.generate_content_stream(model="tight", contents="hi"))
    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")


def test_the_sdks_own_retry_succeeds_after_our_429(excise: Excise) -> None:
    with genai.Client(api_key="AIza-patient", http_options=options(excise, attempts=4)) as patient:
        ask(patient, "tight")
        started = time.monotonic()
        assert ask(patient, "tight").text
        assert time.monotonic() - started >= 0.9


async def test_the_async_sdks_retry_succeeds_too(excise: Excise) -> None:
    made = genai.Client(api_key="AIza-patient-too", http_options=options(excise, attempts=4))
    async with made.aio as patient:
        for _ in range(2):
            done = await patient.models.generate_content(model="tight", contents="hello")
            assert done.text


def test_a_blocked_request_is_not_retried(excise: Excise) -> None:
    with genai.Client(api_key="AIza-closed", http_options=options(excise, attempts=4)) as patient:
        ask(patient, "closed")
        with pytest.raises(errors.ClientError) as raised:
            ask(patient, "closed")
    assert (raised.value.code, raised.value.status) == (403, "PERMISSION_DENIED")
    assert excise.wait_for("request", rule="closed")["http.response.status_code"] == 403
    assert not [event for event in excise.events if event.get("rule") == "closed"]


@pytest.mark.parametrize("call", ["count_tokens", "embed_content"])
def test_what_nobody_inspects_is_refused_in_googles_words(client: genai.Client, call: str) -> None:
    with pytest.raises(errors.ClientError) as raised:
        getattr(client.models, call)(model="sample-large", contents="hi")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


BODY = {"contents": [{"parts": [{"text": "hello"}]}]}


def send(excise: Excise, target: str, body: object = BODY, **headers: str) -> tuple[int, bytes]:
    """A bare request, for what the SDK does not send: (status, body)."""
    request = urllib.request.Request(excise.url + target, json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def status_of(body: bytes) -> tuple[int, str, str]:
    error = json.loads(body)["error"]
    return error["code"], error["status"], error["details"][0]["reason"]


def test_a_stream_without_alt_sse_is_an_array_whose_usage_is_logged(excise: Excise) -> None:
    target = "/v1beta/models/arrayed:streamGenerateContent"
    status, body = send(excise, target, x_goog_api_key="AIza-array")
    parts = json.loads(body)
    assert status == 200
    assert len(parts) > 5
    event = excise.wait_for("request", **{"gen_ai.request.model": "arrayed"})
    assert event["gen_ai.request.stream"] is True
    assert event["gen_ai.usage.output_tokens"] == parts[-1]["usageMetadata"]["candidatesTokenCount"]
    assert event["gen_ai.response.finish_reason"] == "STOP"
    assert "usage.estimated" not in event


def test_a_missing_key_and_a_malformed_body_are_refused_in_googles_words(excise: Excise) -> None:
    target = "/v1/models/m:generateContent"
    assert status_of(send(excise, target)[1]) == (401, "UNAUTHENTICATED", "MISSING_KEY")
    status, body = send(excise, target, {"contents": 7}, x_goog_api_key="AIza-x")
    assert status == 400
    assert status_of(body) == (400, "INVALID_ARGUMENT", "WRONG_TYPE")
    assert "contents[0] must be an object." in body.decode()


def test_a_key_in_the_query_is_a_key_and_is_never_shown(excise: Excise) -> None:
    secret = "AIza-never-to-be-shown"
    path = "/v1beta/models/queried:generateContent"
    assert send(excise, f"{path}?key={secret}")[0] == 200
    first = excise.wait_for("request", **{"gen_ai.request.model": "queried"})
    assert send(excise, path, x_goog_api_key=secret)[0] == 200
    second = excise.wait_for("request", **{"gen_ai.request.model": "queried"})
    assert first["api_key"] == second["api_key"]
    assert first["url.path"] == path
    answers = [
        send(excise, f"{path}?key={secret}", {"contents": 7}),
        send(excise, f"/v1beta/models/m:countTokens?key={secret}"),
        send(excise, f"{path}?key={secret}&%24httpMethod=GET"),
        send(excise, f"{path}?key={secret}", x_goog_api_key="AIza-another"),
    ]
    assert [status for status, _ in answers] == [400, 404, 400, 400]
    assert status_of(answers[-1][1]) == (400, "INVALID_ARGUMENT", "AMBIGUOUS_KEYS")
    excise.wait_for("request", reason="ambiguous_keys")
    with urllib.request.urlopen(f"{excise.health_url}/metrics") as metrics:
        shown = [metrics.read(), excise.log_text.encode(), *(body for _, body in answers)]
    assert [one for one in shown if secret.encode() in one] == []
