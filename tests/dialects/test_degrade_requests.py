"""What `degrade` takes from requests, dialect by dialect."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from proxy.decision import Degradation
from proxy.degrade.requests import DEGRADERS, degraded_body, degraded_line
from proxy.dialects.openai_limits import CHOICES, LIMITS
from proxy.dialects.routes import dialect, find_route

ALL = Degradation(
    strip_logprobs=True,
    drop_logit_bias=True,
    single_choice=True,
    hide_reasoning=True,
    cap_output_tokens=512,
    lower_reasoning_effort="low",
)
CAP = Degradation(cap_output_tokens=512)
EFFORT = Degradation(lower_reasoning_effort="medium")
HIDE = Degradation(hide_reasoning=True)

CHAT = "openai_chat"
MESSAGE = "anthropic_messages"
GEMINI = "gemini_generate"


@pytest.mark.parametrize(
    ("dialect", "degradation", "given", "wanted", "names"),
    [
        # limits
        (CHAT, CAP, {}, {"max_completion_tokens": 512}, ["max_completion_tokens"]),
        (
            CHAT,
            CAP,
            {"max_tokens": None},
            {"max_tokens": None, "max_completion_tokens": 512},
            ["max_completion_tokens"],
        ),
        (CHAT, CAP, {"max_tokens": 4096}, {"max_tokens": 512}, ["max_tokens"]),
        (CHAT, CAP, {"max_tokens": -1}, {"max_tokens": 512}, ["max_tokens"]),
        (
            CHAT,
            CAP,
            {"max_tokens": 9, "min_tokens": 900},
            {"max_tokens": 9, "min_tokens": 512},
            ["min_tokens"],
        ),
        (
            CHAT,
            CAP,
            {"max_tokens": 9, "max_completion_tokens": 900},
            {"max_tokens": 9, "max_completion_tokens": 512},
            ["max_completion_tokens"],
        ),
        (CHAT, CAP, {"max_completion_tokens": 512}, {"max_completion_tokens": 512}, []),
        (
            CHAT,
            CAP,
            {"max_tokens": 9, "n_predict": 9999, "max_new_tokens": 9999},
            {"max_tokens": 9, "n_predict": 512, "max_new_tokens": 512},
            ["n_predict", "max_new_tokens"],
        ),
        (
            "openai_responses",
            CAP,
            {"max_output_tokens": 9, "max_tokens": 9999, "n_predict": -1},
            {"max_output_tokens": 9, "max_tokens": 512, "n_predict": 512},
            ["max_tokens", "n_predict"],
        ),
        # with reasoning goes what would spell it out, by whichever name
        (CHAT, HIDE, {"logprobs": True, "top_logprobs": 5}, {}, ["logprobs", "top_logprobs"]),
        (CHAT, HIDE, {"return_token_ids": True, "n_probs": 5}, {}, ["n_probs", "return_token_ids"]),
        (
            CHAT,
            HIDE,
            {"include_reasoning": 1},
            {"include_reasoning": False},
            ["include_reasoning"],
        ),
        (CHAT, Degradation(single_choice=True), {"n_cmpl": 4}, {"n_cmpl": 1}, ["n_cmpl"]),
        ("openai_completions", CAP, {}, {"max_tokens": 512}, ["max_tokens"]),
        (
            "openai_responses",
            CAP,
            {"max_output_tokens": 900},
            {"max_output_tokens": 512},
            ["max_output_tokens"],
        ),
        (
            "openai_responses",
            Degradation(cap_output_tokens=5),
            {},
            {"max_output_tokens": 16},
            ["max_output_tokens"],
        ),
        (
            "anthropic_complete",
            CAP,
            {"max_tokens_to_sample": 900},
            {"max_tokens_to_sample": 512},
            ["max_tokens_to_sample"],
        ),
        (MESSAGE, CAP, {"max_tokens": 100}, {"max_tokens": 100}, []),
        (GEMINI, CAP, {}, {"generationConfig": {"maxOutputTokens": 512}}, ["maxOutputTokens"]),
        (
            GEMINI,
            CAP,
            {"generation_config": {"max_output_tokens": "1e4"}},
            {"generation_config": {"max_output_tokens": 512}},
            ["maxOutputTokens"],
        ),
        (
            GEMINI,
            CAP,
            {"generationConfig": {"maxOutputTokens": 0}},
            {"generationConfig": {"maxOutputTokens": 512}},
            ["maxOutputTokens"],
        ),
        # Anthropic's budget stays below the limit and above what the API takes at least
        (
            MESSAGE,
            Degradation(cap_output_tokens=4000),
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}},
            {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
            ["max_tokens", "thinking"],
        ),
        (
            MESSAGE,
            Degradation(cap_output_tokens=1100),
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}},
            {"max_tokens": 1100, "thinking": {"type": "enabled", "budget_tokens": 1024}},
            ["max_tokens", "thinking"],
        ),
        (
            MESSAGE,
            CAP,
            {
                "max_tokens": 9000,
                "thinking": {"type": "enabled", "budget_tokens": 8000},
                "context_management": {
                    "edits": [{"type": "clear_thinking_20251015"}, {"type": "x"}]
                },
            },
            {
                "max_tokens": 512,
                "thinking": {"type": "disabled"},
                "context_management": {"edits": [{"type": "x"}]},
            },
            ["max_tokens", "thinking", "context_management"],
        ),
        # log probabilities
        (
            CHAT,
            Degradation(strip_logprobs=True),
            {"logprobs": True, "top_logprobs": 0, "prompt_logprobs": 0},
            {},
            ["logprobs", "top_logprobs", "prompt_logprobs"],
        ),
        (CHAT, Degradation(strip_logprobs=True), {"logprobs": False}, {}, []),
        (
            "openai_completions",
            Degradation(strip_logprobs=True),
            {"logprobs": 0, "echo": True},
            {},
            ["echo", "logprobs"],
        ),
        (
            "openai_completions",
            Degradation(strip_logprobs=True),
            {"echo": True},
            {"echo": True},
            [],
        ),
        (
            "openai_completions",
            Degradation(strip_logprobs=True),
            {"logprobs": 1, "echo": True, "max_tokens": 0},
            {"echo": True, "max_tokens": 0},
            ["logprobs"],
        ),
        (
            GEMINI,
            Degradation(strip_logprobs=True),
            {"generationConfig": {"response_logprobs": True, "logprobs": 3}},
            {"generationConfig": {}},
            ["responseLogprobs", "logprobs"],
        ),
        # bias, choices
        (CHAT, Degradation(drop_logit_bias=True), {"logit_bias": {"1": 5}}, {}, ["logit_bias"]),
        (
            CHAT,
            Degradation(single_choice=True),
            {"n": 2, "best_of": 3},
            {"n": 1, "best_of": 1},
            ["n", "best_of"],
        ),
        (
            "openai_responses",
            Degradation(single_choice=True),
            {"n": 2, "n_cmpl": 3},
            {"n": 1, "n_cmpl": 1},
            ["n", "n_cmpl"],
        ),
        (CHAT, Degradation(single_choice=True), {"n": 1}, {"n": 1}, []),
        (
            GEMINI,
            Degradation(single_choice=True),
            {"generationConfig": {"candidate_count": "4"}},
            {"generationConfig": {"candidate_count": 1}},
            ["candidateCount"],
        ),
        # effort
        (CHAT, EFFORT, {}, {}, []),
        (
            CHAT,
            EFFORT,
            {"reasoning_effort": "xhigh"},
            {"reasoning_effort": "medium"},
            ["reasoning_effort"],
        ),
        (CHAT, EFFORT, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, []),
        (CHAT, EFFORT, {"reasoning_effort": "none"}, {"reasoning_effort": "none"}, []),
        (
            CHAT,
            EFFORT,
            {"reasoning": {"effort": "high", "max_tokens": 90000}},
            {"reasoning": {"effort": "medium", "max_tokens": 8192}},
            ["reasoning"],
        ),
        (
            CHAT,
            EFFORT,
            {"chat_template_kwargs": {"reasoning_effort": "high"}},
            {"chat_template_kwargs": {"reasoning_effort": "medium"}},
            ["reasoning_effort"],
        ),
        (
            MESSAGE,
            EFFORT,
            {"thinking": {"type": "enabled", "budget_tokens": 90000}},
            {"thinking": {"type": "enabled", "budget_tokens": 8192}},
            ["thinking"],
        ),
        (
            MESSAGE,
            EFFORT,
            {"thinking": {"type": "adaptive"}},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
            ["output_config"],
        ),
        (
            MESSAGE,
            EFFORT,
            {"thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled"}},
            [],
        ),
        (
            GEMINI,
            EFFORT,
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}},
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "medium"}}},
            ["thinkingLevel"],
        ),
        (
            GEMINI,
            EFFORT,
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": 2}}},
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "medium"}}},
            ["thinkingLevel"],
        ),
        (
            GEMINI,
            EFFORT,
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 100}}},
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 100}}},
            [],
        ),
        (
            GEMINI,
            EFFORT,
            {"generationConfig": {"temperature": 1}},
            {"generationConfig": {"temperature": 1}},
            [],
        ),
        # reasoning shown
        (
            CHAT,
            HIDE,
            {"include_reasoning": True, "reasoning": {"effort": "low"}},
            {"include_reasoning": False, "reasoning": {"effort": "low", "exclude": True}},
            ["include_reasoning", "reasoning"],
        ),
        (
            CHAT,
            HIDE,
            {"reasoning_format": "parsed"},
            {"reasoning_format": "hidden"},
            ["reasoning_format"],
        ),
        (
            "openai_responses",
            HIDE,
            {"reasoning": {"summary": "auto"}},
            {"reasoning": {}},
            ["reasoning"],
        ),
        (
            "openai_responses",
            HIDE,
            {
                "store": False,
                "input": [{"type": "reasoning", "id": "r", "summary": []}, {"role": "user"}],
            },
            {"store": False, "input": [{"role": "user"}]},
            ["input"],
        ),
        (
            MESSAGE,
            HIDE,
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            ["thinking"],
        ),
        (
            GEMINI,
            HIDE,
            {"generationConfig": {"thinkingConfig": {"include_thoughts": True}}},
            {"generationConfig": {"thinkingConfig": {}}},
            ["includeThoughts"],
        ),
        # what holds several
        (
            "anthropic_batches",
            CAP,
            {"requests": [{"params": {"max_tokens": 900}}, {"params": {"max_tokens": 9}}]},
            {"requests": [{"params": {"max_tokens": 512}}, {"params": {"max_tokens": 9}}]},
            ["max_tokens"],
        ),
        (
            "gemini_batch",
            CAP,
            {
                "batch": {
                    "input_config": {"requests": {"requests": [{"request": {}}, {"request": {}}]}}
                }
            },
            {
                "batch": {
                    "input_config": {
                        "requests": {
                            "requests": [
                                {"request": {"generationConfig": {"maxOutputTokens": 512}}}
                            ]
                            * 2
                        }
                    }
                }
            },
            ["maxOutputTokens"],
        ),
        (
            "gemini_batch",
            CAP,
            {"batch": {"inputConfig": {"requests": {"requests": {"request": {}}}}}},
            {
                "batch": {
                    "inputConfig": {
                        "requests": {
                            "requests": {"request": {"generationConfig": {"maxOutputTokens": 512}}}
                        }
                    }
                }
            },
            ["maxOutputTokens"],
        ),
    ],
)
def test_what_is_taken(
    dialect: str, degradation: Degradation, given: Any, wanted: Any, names: list[str]
) -> None:
    assert list(DEGRADERS[dialect](given, degradation)) == names
    assert given == wanted


@pytest.mark.parametrize("dialect", sorted(DEGRADERS))
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"reasoning": 1, "thinking": "x", "n": "many", "include": {}, "extra_body": []},
        {"generationConfig": [], "requests": 5, "batch": {"inputConfig": None}},
        {"reasoning_format": [], "thinking": {"display": {}, "type": []}, "input": [1, None]},
    ],
)
def test_odd_bodies_are_borne(dialect: str, given: dict[str, Any]) -> None:
    if dialect == "anthropic_batches":
        given = {**given, "requests": []}  # another kind of `requests` is never read
    asked = copy.deepcopy(given)
    DEGRADERS[dialect](asked, ALL)
    once = copy.deepcopy(asked)
    assert DEGRADERS[dialect](asked, ALL) == (), "what is taken once needs no second time"
    assert asked == once


def test_an_added_key_is_spliced_and_all_other_bytes_stay() -> None:
    body = b' { "model" : "m" ,\n "temperature": 1.50 } '
    route = find_route("POST", "/v1/chat/completions")
    changed, names = degraded_body(body, route, CAP)
    assert changed == b' { "model" : "m" ,\n "temperature": 1.50 ,"max_completion_tokens":512} '
    assert names == ("max_completion_tokens",)
    assert degraded_body(b"{}", route, CAP)[0] == b'{"max_completion_tokens":512}'


def test_what_needs_no_change_stays_as_it_is() -> None:
    body = b'{ "max_tokens": 5 }'
    assert degraded_body(body, find_route("POST", "/v1/chat/completions"), ALL) == (body, ())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/count_tokens",
        "/v1/responses/input_tokens",
        "/v1beta/models/m:countTokens",
        "/v1/embeddings",
        "/v1/conversations",
    ],
)
def test_what_answers_no_text_is_left_alone(path: str) -> None:
    assert degraded_body(b"{}", find_route("POST", path), ALL) == (b"{}", ())


def test_compaction_takes_no_limit() -> None:
    body = b'{"reasoning":{"effort":"high"}}'
    changed, _ = degraded_body(body, find_route("POST", "/v1/responses/compact"), ALL)
    assert json.loads(changed) == {"reasoning": {"effort": "low"}}


def test_paths_of_vertex_are_degraded_too() -> None:
    path = "/v1/projects/p/locations/l/publishers/google/models/m:generateContent"
    changed, _ = degraded_body(b'{"contents":[]}', find_route("POST", path), CAP)
    assert json.loads(changed)["generationConfig"] == {"maxOutputTokens": 512}


def test_a_line_of_a_batch() -> None:
    route = find_route("POST", "/v1/chat/completions")
    line = b'{"custom_id":"1","body":{"n":3,"seed":99999999999999999999999}}'
    changed, names = degraded_line(line, route, ALL)
    wanted = b'{"custom_id":"1","body":{"n":1,"seed":99999999999999999999999,"max_completion_tokens":512}}'
    assert (changed, names) == (wanted, ("n", "max_completion_tokens"))
    assert degraded_line(b'{"body":null}', route, ALL) == (b'{"body":null}', ())


@pytest.mark.parametrize("dialect_name", ["openai_chat", "openai_completions", "openai_responses"])
@pytest.mark.parametrize("field", [*LIMITS, *CHOICES])
def test_what_is_lowered_is_what_was_read(dialect_name: str, field: str) -> None:
    """Who counts, who estimates and who lowers know the same names."""
    body: dict[str, Any] = {"model": "m", "messages": []}
    reader = dialect(dialect_name)
    before = reader.asks_of({**body, field: 900}, "")[0]
    assert {before.max_output_tokens, before.choices} == (
        {900, 1} if field in LIMITS else {None, 900}
    )
    lowered = {**body, field: 900}
    DEGRADERS[dialect_name](lowered, Degradation(cap_output_tokens=512, single_choice=True))
    after = reader.asks_of(lowered, "")[0]
    assert (after.max_output_tokens, after.choices) == (512, 1)
