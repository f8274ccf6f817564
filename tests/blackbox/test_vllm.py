"""What vLLM and SGLang serve beside OpenAI's routes: read, judged and passed on as it came."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: roomy, kind: rate_limit, per: api_key, limit: 100000/minute, burst: 10000, action: throttle}
  - name: forced
    kind: expression
    per: account
    expr: ask.model == "guarded" && (ask.constrained || ask.prompt_logprobs)
    acknowledge_single_family: a test of what is seen
    action: block
"""
HELLO = [{"role": "user", "content": "hello you"}]
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "/tokenize": ("tokenize", {"prompt": "hello you"}),
    "/detokenize": ("tokenize", {"tokens": [1, 2, 3]}),
    "/pooling": ("embeddings", {"input": "hello you"}),
    "/classify": ("classify", {"input": ["hello you"]}),
    "/score": ("score", {"text_1": "hello", "text_2": ["you"]}),
    "/v1/score": ("score", {"text_1": "hello", "text_2": "you"}),
    "/rerank": ("rerank", {"query": "hello", "documents": ["you"]}),
    "/v1/rerank": ("rerank", {"query": "hello", "documents": ["you"]}),
    "/v2/rerank": ("rerank", {"query": "hello", "documents": ["you"]}),
    "/v1/chat/completions/render": ("tokenize", {"messages": HELLO}),
    "/v1/completions/render": ("tokenize", {"prompt": "hello you"}),
}


@pytest.mark.parametrize("path", ROUTES)
def test_a_route_of_vllms_is_read_and_goes_on_as_it_came(
    excise: Excise, upstream: Recorder, path: str
) -> None:
    operation, fields = ROUTES[path]
    body = json.dumps({"model": "m", **fields}).encode()
    assert call(excise, "POST", path, body, "sk-vllm")[0] == 200
    assert [(one.target, one.body) for one in upstream.requests] == [(path, body)]
    event = excise.wait_for("request", decision="allow", **{"http.route": path})
    assert (event["gen_ai.operation.name"], event["gen_ai.request.model"]) == (operation, "m")
    assert event["request.turns"] == 1


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_of_vllms_that_reads_in_two_ways_goes_nowhere(
    excise: Excise, upstream: Recorder, path: str
) -> None:
    body = json.dumps({"model": "m", **ROUTES[path][1]}).encode()
    twice = body[:-1] + b',"model":"n"}'
    assert call(excise, "POST", path, twice, "sk-vllm")[0] == 400
    assert upstream.requests == []


FORCED: list[tuple[str, dict[str, Any]]] = [
    ("request.constrained", {"guided_choice": ["a", "b"]}),
    ("request.constrained", {"guided_regex": "a|b"}),
    ("request.constrained", {"guided_json": {"type": "object"}}),
    ("request.constrained", {"guided_grammar": "root ::= a"}),
    ("request.constrained", {"structured_outputs": {"choice": ["a"]}}),
    ("request.constrained", {"regex": "a|b"}),
    ("request.constrained", {"ebnf": "root ::= a"}),
    ("request.prompt_logprobs", {"prompt_logprobs": 3}),
]


@pytest.mark.parametrize(("told", "fields"), FORCED)
@pytest.mark.parametrize("legacy", [False, True])
def test_openais_sdk_asks_for_forced_answers_and_prompt_logprobs(
    excise: Excise, upstream: Recorder, told: str, fields: dict[str, Any], legacy: bool
) -> None:
    with openai.OpenAI(api_key="sk-1", base_url=f"{excise.url}/v1", max_retries=0) as client:

        def ask(model: str) -> None:
            if legacy:
                client.completions.create(model=model, prompt="hello you", extra_body=fields)
            else:
                client.chat.completions.create(model=model, messages=HELLO, extra_body=fields)  # type: ignore[arg-type]

        ask("m")
        (sent,) = upstream.requests
        assert {name: sent.json[name] for name in fields} == fields
        event = excise.wait_for("request", decision="allow", **{told: True})
        assert set(fields) <= set(event["request.parameters"])
        with pytest.raises(openai.PermissionDeniedError):
            ask("guarded")
        assert len(upstream.requests) == 1
