"""The official SDKs on the routes beside chat: what is asked, what is metered, what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from tests.blackbox.recorder import Recorder, recorder
from tests.support.excise import Excise, running_excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: roomy, kind: rate_limit, per: api_key, limit: 10000/minute, burst: 1000, action: throttle}
"""
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
    "usage": USAGE,
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12},
}
BATCH = {
    "id": "b_1",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": {"processing": 0, "succeeded": 2, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2025-01-01T00:00:00Z",
    "expires_at": "2025-01-02T00:00:00Z",
    "results_url": "",
}


@pytest.fixture(scope="module")
def recording() -> Iterator[Recorder]:
    with recorder() as made:
        yield made


@pytest.fixture(scope="module")
def excise(recording: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Excise]:
    folder = tmp_path_factory.mktemp("excise")
    with running_excise(folder, POLICY, upstream=recording.url, mode="enforce") as running:
        yield running


@pytest.fixture
def upstream(recording: Recorder) -> Recorder:
    recording.clear()
    return recording


@pytest.fixture
def client(excise: Excise) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-1", base_url=f"{excise.url}/v1", max_retries=0) as made:
        yield made


@pytest.fixture
def claude(excise: Excise) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="sk-2", base_url=excise.url, max_retries=0) as made:
        yield made


@pytest.fixture
def gemini(excise: Excise) -> genai.Client:
    return genai.Client(api_key="sk-3", http_options={"base_url": excise.url})


def event_of(excise: Excise, route: str, **wanted: Any) -> dict[str, Any]:
    return excise.wait_for("request", **{"http.route": route, **wanted})


def test_legacy_completions(excise: Excise, upstream: Recorder, client: openai.OpenAI) -> None:
    completion = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
    choice = {"index": 0, "text": "b", "finish_reason": "stop", "logprobs": None}
    upstream.reply("/v1/completions", {**completion, "choices": [choice], "usage": USAGE})
    answer = client.completions.create(model="m", prompt=["a", "b"], echo=True, logprobs=5)
    assert answer.choices[0].text == "b"
    event = event_of(excise, "/v1/completions")
    assert event["gen_ai.operation.name"] == "text_completion"
    assert event["request.prompt_logprobs"] is True
    assert event["request.asks"] == 2
    assert event["gen_ai.usage.output_tokens"] == 5


def test_legacy_completions_streamed(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    pieces = [{"choices": [{"index": 0, "text": word, "finish_reason": None}]} for word in "abc"]
    events = b"".join(b"data: %s\n\n" % json.dumps(piece).encode() for piece in pieces)
    upstream.reply("/v1/completions", events + b"data: [DONE]\n\n", "text/event-stream")
    stream = client.completions.create(model="m", prompt="x", stream=True)
    assert "".join(piece.choices[0].text for piece in stream) == "abc"
    event = event_of(excise, "/v1/completions", **{"gen_ai.request.stream": True})
    assert (event["gen_ai.usage.output_tokens"], event["usage.estimated"]) == (3, True)


def test_embeddings_and_moderations(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    upstream.reply(
        "/embeddings", {"object": "list", "model": "e", "data": [vector], "usage": usage}
    )
    found = client.embeddings.create(model="e", input=["hello", "world"], encoding_format="float")
    assert found.data[0].embedding == [0.5]
    event = event_of(excise, "/v1/embeddings")
    assert event["gen_ai.usage.input_tokens"] == 4
    assert event["gen_ai.operation.name"] == "embeddings"
    upstream.reply("/moderations", {"id": "m", "model": "m", "results": []})
    assert client.moderations.create(input="hello").results == []
    assert event_of(excise, "/v1/moderations")["gen_ai.usage.output_tokens"] == 0


def test_stored_answers_are_metered_to_whoever_reads_them(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    upstream.reply("/responses/resp_1", RESPONSE)
    assert client.responses.retrieve("resp_1").id == "resp_1"
    event = event_of(excise, "/v1/responses/{id}")
    assert event["gen_ai.usage.output_tokens"] == 9
    assert event["gen_ai.response.id"] == "resp_1"
    upstream.reply("/chat/completions/chatcmpl-1", COMPLETION)
    assert client.chat.completions.retrieve("chatcmpl-1").usage is not None
    assert event_of(excise, "/v1/chat/completions/{id}")["gen_ai.usage.output_tokens"] == 5


def test_stored_answers_are_metered_as_a_stream_and_as_a_list(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    done = {"type": "response.completed", "sequence_number": 1, "response": RESPONSE}
    data = b"event: response.completed\ndata: %s\n\n" % json.dumps(done).encode()
    upstream.reply("/responses/resp_1", data, "text/event-stream")
    with client.responses.retrieve("resp_1", stream=True) as stream:
        assert [one.type for one in stream] == ["response.completed"]
    assert event_of(excise, "/v1/responses/{id}")["gen_ai.usage.output_tokens"] == 9
    page = {"object": "list", "data": [COMPLETION, COMPLETION], "has_more": False}
    upstream.reply("/v1/chat/completions", page)
    assert len(client.chat.completions.list().data) == 2
    assert event_of(excise, "/v1/chat/completions")["gen_ai.usage.output_tokens"] == 10


def test_what_is_put_into_a_conversation_is_read(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    upstream.reply("/conversations", {"id": "conv_1", "object": "conversation", "created_at": 1})
    message: Any = {"type": "message", "role": "user", "content": "What is the capital of Peru?"}
    client.conversations.create(items=[message])
    event = event_of(excise, "/v1/conversations")
    assert (event["request.turns"], event["gen_ai.operation.name"]) == (1, "conversation")


def test_batch_results_are_metered_line_by_line(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    line = {"id": "r", "custom_id": "c", "response": {"status_code": 200, "body": COMPLETION}}
    failed = {"id": "r", "custom_id": "d", "response": None, "error": {"code": "expired"}}
    lines = b"\n".join(json.dumps(one).encode() for one in (line, failed, line))
    upstream.reply("/files/f-1/content", lines, "application/octet-stream")
    assert client.files.content("f-1").content == lines
    event = event_of(excise, "/v1/files/{id}/content")
    assert event["gen_ai.usage.output_tokens"] == 10
    assert event["gen_ai.usage.input_tokens"] == 14


def test_a_batch_from_its_file_to_its_end(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    file = {"object": "file", "bytes": 1, "created_at": 1, "filename": "b.jsonl"}
    upstream.reply("/files", {**file, "id": "file-b", "purpose": "batch", "status": "processed"})
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    lines = b"\n".join(
        json.dumps({"custom_id": f"c{at}", "url": "/v1/chat/completions", "body": body}).encode()
        for at in range(3)
    )
    made = client.files.create(file=("b.jsonl", lines), purpose="batch")
    batch = {"object": "batch", "created_at": 1, "completion_window": "24h", "status": "validating"}
    batch |= {"id": "batch_1", "endpoint": "/v1/chat/completions", "input_file_id": made.id}
    upstream.reply("/batches", batch)
    started = client.batches.create(
        input_file_id=made.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"night": "first"},
    )
    assert started.input_file_id == "file-b"
    event = event_of(excise, "/v1/batches", **{"http.request.method": "POST"})
    assert (event["request.asks"], event["excise.dialect"]) == (3, "openai_batches")
    upstream.reply("/batches/batch_1", batch | {"status": "completed"})
    assert client.batches.retrieve("batch_1").status == "completed"
    assert event_of(excise, "/v1/batches/{id}")["decision"] == "allow"
    with pytest.raises(openai.BadRequestError, match="upload it here"):
        client.batches.create(
            input_file_id="file-of-another-day",
            endpoint="/v1/chat/completions",
            completion_window="24h",
        )


def test_pictures_are_metered(excise: Excise, upstream: Recorder, client: openai.OpenAI) -> None:
    usage = {"input_tokens": 2, "output_tokens": 1056, "total_tokens": 1058}
    upstream.reply(
        "/images/generations", {"created": 1, "data": [{"b64_json": ""}], "usage": usage}
    )
    client.images.generate(prompt="a cat", model="i")
    event = event_of(excise, "/v1/images/generations")
    assert event["gen_ai.usage.output_tokens"] == 1056


def test_what_is_refused_reads_like_the_apis_own_errors(
    upstream: Recorder, client: openai.OpenAI
) -> None:
    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.audio.speech.create(model="t", voice="v", input="hello")
    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.fine_tuning.jobs.list()
    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.audio.transcriptions.create(model="t", file=("a.wav", io.BytesIO(b"x")))
    assert upstream.requests == []


def test_azures_deployments(excise: Excise, upstream: Recorder) -> None:
    upstream.reply("/chat/completions", COMPLETION)
    with openai.AzureOpenAI(
        azure_endpoint=excise.url, api_key="sk-4", api_version="2024-10-21", max_retries=0
    ) as azure:
        answer = azure.chat.completions.create(
            model="my-deployment", messages=[{"role": "user", "content": "hello"}]
        )
    assert answer.choices[0].message.content == "hi"
    event = event_of(excise, "/openai/deployments/{deployment}/chat/completions")
    assert event["gen_ai.request.model"] == "my-deployment"
    target = "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    assert upstream.requests[0].target == target


def test_claudes_count_and_batches(
    excise: Excise, upstream: Recorder, claude: anthropic.Anthropic
) -> None:
    upstream.reply("/messages/count_tokens", {"input_tokens": 3})
    hello: Any = {"role": "user", "content": "hello"}
    assert claude.messages.count_tokens(model="c", messages=[hello]).input_tokens == 3
    event = event_of(excise, "/v1/messages/count_tokens")
    assert event["gen_ai.operation.name"] == "count_tokens"
    upstream.reply("/messages/batches", BATCH)
    params: Any = {"model": "c", "max_tokens": 5, "messages": [hello]}
    requests: Any = [{"custom_id": f"c{number}", "params": params} for number in range(3)]
    assert claude.messages.batches.create(requests=requests).id == "b_1"
    assert event_of(excise, "/v1/messages/batches")["request.asks"] == 3
    usage = {"input_tokens": 3, "output_tokens": 4}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    line = {"custom_id": "c0", "result": {"type": "succeeded", "message": message}}
    lines = b"".join(json.dumps(line).encode() + b"\n" for _ in range(2))
    upstream.reply("/messages/batches/b_1/results", lines, "application/x-jsonl")
    upstream.reply(
        "/messages/batches/b_1",
        BATCH | {"results_url": f"{excise.url}/v1/messages/batches/b_1/results"},
    )
    assert len(list(claude.messages.batches.results("b_1"))) == 2
    event = event_of(excise, "/v1/messages/batches/{id}/results")
    assert event["gen_ai.usage.output_tokens"] == 8


def test_claudes_legacy_completions(
    excise: Excise, upstream: Recorder, claude: anthropic.Anthropic
) -> None:
    reply = {
        "id": "c",
        "type": "completion",
        "completion": " Hello",
        "stop_reason": "stop_sequence",
    }
    upstream.reply("/v1/complete", {**reply, "model": "c"})
    prompt = "\n\nHuman: hello\n\nAssistant:"
    body = {"model": "c", "prompt": prompt, "max_tokens_to_sample": 5}
    answer = claude.post("/v1/complete", cast_to=dict[str, Any], body=body)  # no method any more
    assert answer["completion"] == " Hello"
    event = event_of(excise, "/v1/complete")
    assert event["gen_ai.request.max_tokens"] == 5
    assert event["gen_ai.response.finish_reason"] == "stop_sequence"


def test_geminis_other_methods(excise: Excise, upstream: Recorder, gemini: genai.Client) -> None:
    upstream.reply(":countTokens", {"totalTokens": 2})
    assert gemini.models.count_tokens(model="g", contents="hello").total_tokens == 2
    event = event_of(excise, "/v1/models/{model}:countTokens")
    assert event["gen_ai.usage.output_tokens"] == 0
    assert (event["gen_ai.request.model"], event["request.turns"]) == ("g", 1)
    upstream.reply(":batchEmbedContents", {"embeddings": [{"values": [0.5]}]})
    upstream.reply(":embedContent", {"embedding": {"values": [0.5]}})
    found = gemini.models.embed_content(model="g-embed", contents=["hello", "world"])
    assert found.embeddings
    event = excise.wait_for("request", **{"gen_ai.request.model": "g-embed"})
    assert event["gen_ai.operation.name"] == "embeddings"
    upstream.reply("/cachedContents", {"name": "cachedContents/1"})
    config: Any = {"contents": ["a long text"], "system_instruction": "Be brief."}
    assert gemini.caches.create(model="g", config=config).name == "cachedContents/1"
    event = event_of(excise, "/v1/cachedContents")
    assert (event["gen_ai.request.model"], event["request.turns"]) == ("g", 2)


def test_geminis_batches(excise: Excise, upstream: Recorder, gemini: genai.Client) -> None:
    operation = {"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}}
    upstream.reply(":batchGenerateContent", operation)
    contents: Any = [{"contents": [{"parts": [{"text": "hello"}], "role": "user"}]}] * 3
    assert gemini.batches.create(model="g", src=contents).name == "batches/1"
    assert event_of(excise, "/v1/models/{model}:batchGenerateContent")["request.asks"] == 3
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 6, "totalTokenCount": 7}
    answers = {"inlinedResponses": [{"response": {"usageMetadata": usage}}] * 2}
    upstream.reply("/batches/1", operation | {"response": {"inlinedResponses": answers}})
    gemini.batches.get(name="batches/1")
    event = event_of(excise, "/v1/batches/{id}")
    assert event["gen_ai.usage.output_tokens"] == 12


def test_geminis_prefix_for_openais_sdk(excise: Excise, upstream: Recorder) -> None:
    upstream.reply("/chat/completions", COMPLETION)
    base = f"{excise.url}/v1beta/openai/"
    with openai.OpenAI(api_key="sk-5", base_url=base, max_retries=0) as compatible:
        answer = compatible.chat.completions.create(
            model="g", messages=[{"role": "user", "content": "hello"}]
        )
    assert answer.choices[0].message.content == "hi"
    event = event_of(excise, "/v1beta/openai/chat/completions")
    assert event["excise.dialect"] == "openai_chat"
