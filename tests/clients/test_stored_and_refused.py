"""The official OpenAI SDK on what is stored, edited or refused, and Azure's client on its older paths."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.blackbox.recorder import Recorder, recorder
from tests.clients.test_other_routes import POLICY, RESPONSE
from tests.support.excise import Excise, running_excise


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
def azure(excise: Excise) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=excise.url, api_key="sk-2", api_version="2025-03-01-preview", max_retries=0
    ) as made:
        yield made


def event_of(excise: Excise, route: str, **wanted: Any) -> dict[str, Any]:
    return excise.wait_for("request", **{"http.route": route, **wanted})


@pytest.mark.parametrize(
    "earlier", [{"previous_response_id": "resp_0"}, {"conversation": "conv_1"}]
)
def test_a_response_in_the_background_is_read_and_its_retrieval_metered(
    excise: Excise, upstream: Recorder, client: openai.OpenAI, earlier: dict[str, Any]
) -> None:
    queued = RESPONSE | {"status": "queued", "usage": None}
    upstream.reply("/v1/responses", queued)
    upstream.reply("/v1/responses/resp_1", RESPONSE)
    upstream.reply("/v1/responses/resp_1/cancel", RESPONSE)
    made = client.responses.create(
        model="m", input="Why is the sky blue?", background=True, store=True, **earlier
    )
    assert made.status == "queued"
    event = event_of(excise, "/v1/responses")
    assert (event["request.turns"], event["gen_ai.request.model"]) == (1, "m")
    assert {"background", "store", *earlier} <= set(event["request.parameters"])
    assert upstream.requests[0].json["background"] is True
    assert client.responses.retrieve(made.id).status == "completed"
    assert event_of(excise, "/v1/responses/{id}")["gen_ai.usage.output_tokens"] == 9
    assert client.responses.cancel(made.id).id == "resp_1"
    assert event_of(excise, "/v1/responses/{id}/cancel")["http.response.status_code"] == 200


REFUSED: dict[str, tuple[str, Callable[[openai.OpenAI], object]]] = {
    "assistants": ("assistants", lambda api: api.beta.assistants.create(model="m")),
    "assistants, listed": ("assistants", lambda api: api.beta.assistants.list()),
    "threads": ("assistants", lambda api: api.beta.threads.create()),
    "threads, run": (
        "assistants",
        lambda api: api.beta.threads.create_and_run(assistant_id="asst_1"),
    ),
    "threads, messages": (
        "assistants",
        lambda api: api.beta.threads.messages.create("thread_1", role="user", content="hello"),
    ),
    "threads, runs": (
        "assistants",
        lambda api: api.beta.threads.runs.create("thread_1", assistant_id="asst_1"),
    ),
    "evals": (
        "evals",
        lambda api: api.evals.create(
            data_source_config={"type": "custom", "item_schema": {}}, testing_criteria=[]
        ),
    ),
    "evals, runs": ("evals", lambda api: api.evals.runs.list("eval_1")),
    "realtime": ("realtime", lambda api: api.realtime.client_secrets.create()),
    "realtime, calls": ("realtime", lambda api: api.realtime.calls.create(sdp="v=0")),
    "realtime, hung up": ("realtime", lambda api: api.realtime.calls.hangup("rtc_1")),
    "fine-tuning": (
        "fine_tuning",
        lambda api: api.fine_tuning.jobs.create(model="m", training_file="file-1"),
    ),
    "audio": ("audio", lambda api: api.audio.speech.create(model="t", voice="v", input="hello")),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("call", list(REFUSED))
def test_what_nobody_has_looked_at_is_refused_as_the_sdk_knows_it(
    excise: Excise, upstream: Recorder, client: openai.OpenAI, call: str
) -> None:
    name, send = REFUSED[call]
    with pytest.raises(openai.NotFoundError, match="not served here"):
        send(client)
    excise.wait_for("request", reason="refused_route", evidence={"route": name})
    assert upstream.requests == []


def test_pictures_are_counted_by_n_and_edited_ones_metered(
    excise: Excise, upstream: Recorder, client: openai.OpenAI
) -> None:
    usage = {"input_tokens": 2, "output_tokens": 1056, "total_tokens": 1058}
    for route in ("generations", "edits"):
        upstream.reply(f"/images/{route}", {"created": 1, "data": [], "usage": usage})
    client.images.generate(prompt="a cat", model="i", n=4)
    event = event_of(excise, "/v1/images/generations")
    assert (event["gen_ai.request.choice.count"], event["request.turns"]) == (4, 1)
    client.images.edit(image=("a.png", io.BytesIO(b"x" * 100), "image/png"), prompt="a hat")
    event = event_of(excise, "/v1/images/edits")
    assert event["gen_ai.usage.output_tokens"] == 1056


@pytest.mark.parametrize("url", ["/chat/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("endpoint", ["/chat/completions", "/v1/chat/completions"])
def test_azures_batches_name_their_urls_with_the_version_or_without(
    excise: Excise, upstream: Recorder, azure: openai.AzureOpenAI, url: str, endpoint: str
) -> None:
    file_id = f"file-{url}-{endpoint}".replace("/", "_")
    upstream.reply("/openai/files", {"id": file_id, "object": "file", "purpose": "batch"})
    upstream.reply("/openai/batches", {"id": "batch_1", "object": "batch"})
    body = {"model": "deployed", "messages": [{"role": "user", "content": "hello"}]}
    line = {"custom_id": "c", "method": "POST", "url": url, "body": body}
    sent = json.dumps(line).encode()
    made = azure.files.create(file=("b.jsonl", sent), purpose="batch")
    assert sent in upstream.requests[0].body
    azure.batches.create(
        input_file_id=made.id,
        endpoint=endpoint,  # type: ignore[arg-type]
        completion_window="24h",
    )
    assert upstream.requests[1].json["endpoint"] == endpoint
    with pytest.raises(openai.BadRequestError):
        azure.batches.create(
            input_file_id=made.id,
            endpoint="/embeddings",  # type: ignore[arg-type]
            completion_window="24h",
        )
    for wrong in (
        "/audio/speech",
        "chat/completions",
        "//chat/completions",
        "/v2/chat/completions",
    ):
        other = json.dumps(line | {"url": wrong}).encode()
        with pytest.raises(openai.BadRequestError):
            azure.files.create(file=("b.jsonl", other), purpose="batch")
    decided = [event_of(excise, "/openai/files")["decision"] for _ in range(5)]
    decided += [event_of(excise, "/openai/batches")["decision"] for _ in range(2)]
    assert decided == ["allow", *["block"] * 4, "allow", "block"]


def test_without_azures_prefix_a_url_has_its_version(excise: Excise, upstream: Recorder) -> None:
    line = {
        "custom_id": "c",
        "method": "POST",
        "url": "/chat/completions",
        "body": {"messages": []},
    }
    with (
        openai.OpenAI(api_key="sk-2", base_url=f"{excise.url}/v1", max_retries=0) as client,
        pytest.raises(openai.BadRequestError),
    ):
        client.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_azures_older_paths_are_known(
    excise: Excise, upstream: Recorder, azure: openai.AzureOpenAI
) -> None:
    upstream.reply("/openai/responses", RESPONSE)
    azure.responses.create(model="my-deployment", input="hello")
    event = event_of(excise, "/openai/responses")
    assert (event["request.turns"], event["gen_ai.usage.output_tokens"]) == (1, 9)
    assert upstream.requests[0].target == "/openai/responses?api-version=2025-03-01-preview"
    line = {"custom_id": "c", "method": "POST", "url": "/v1/chat/completions"}
    line["body"] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}  # type: ignore[assignment]
    upstream.reply("/openai/files", {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1})
    azure.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
    event = event_of(excise, "/openai/files")
    assert (event["decision"], event["request.asks"]) == ("allow", 1)
    upstream.reply("/openai/batches", {"id": "batch_1", "object": "batch"})
    azure.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert event_of(excise, "/openai/batches")["http.response.status_code"] == 200
    upstream.requests.clear()
    with pytest.raises(openai.NotFoundError, match="not served here"):
        azure.fine_tuning.jobs.list()
    with pytest.raises(openai.NotFoundError, match="not served here"):
        azure.beta.assistants.list()
    assert upstream.requests == []
