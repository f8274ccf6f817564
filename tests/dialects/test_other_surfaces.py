"""Bodies of the surfaces beside chat: what is read of them, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.jsonbody import UnreadableBody
from proxy.dialects.replies import MAX_PLAIN_BYTES
from proxy.dialects.routes import dialect
from proxy.facts import Ask

HELLO = [{"role": "user", "content": "hello"}]
CONTENT = {"parts": [{"text": "hello"}]}


def asks(name: str, body: dict[str, Any], path: str = "/v1/x") -> list[Ask]:
    read = dialect(name).read(json.dumps(body).encode(), path)
    assert tuple(dialect(name).asks_of(read.parsed, path)) == (read.ask, *read.more)
    return [read.ask, *read.more]


def texts(name: str, body: dict[str, Any], path: str = "/v1/x") -> list[str]:
    return ["\n".join(turn.text for turn in ask.turns) for ask in asks(name, body, path)]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("one", ["one"]),
        (["one"], ["one"]),
        (["one", "two"], ["one", "two"]),
        ([1, 2, 3], ["c d f"]),
        ([[1, 2], [3]], ["c d", "f"]),
        ([], [""]),
        (None, [""]),
    ],
)
def test_each_prompt_of_a_completion_is_one_ask(prompt: object, read: list[str]) -> None:
    assert texts("openai_completions", {"model": "m", "prompt": prompt}) == read


def test_every_field_of_a_completion_is_read() -> None:
    (ask,) = asks(
        "openai_completions",
        {
            "model": "m",
            "prompt": "a",
            "suffix": "z",
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 5,
            "n": 2,
            "best_of": 4,
            "echo": True,
            "logprobs": 3,
            "logit_bias": {"50256": -100},
            "temperature": 0.5,
            "top_p": 0.9,
            "user": "u",
            "guided_choice": ["a"],
        },
    )
    assert (ask.turns[0].text, ask.choices, ask.max_output_tokens) == ("az", 4, 5)
    assert (ask.logprobs, ask.top_logprobs, ask.prompt_logprobs) == (True, 3, True)
    assert (ask.constrained, ask.stream, ask.asks_usage) == (True, True, True)
    assert (ask.temperature, ask.top_p, ask.end_user) == (0.5, 0.9, "u")
    assert ask.logit_bias == (("50256", -100.0),)


def test_prompt_logprobs_are_told_from_logprobs() -> None:
    def wants(**fields: Any) -> bool:
        (ask,) = asks("openai_completions", {"model": "m", "prompt": "a", **fields})
        return ask.prompt_logprobs

    assert wants(prompt_logprobs=1)
    assert wants(echo=True, logprobs=0)
    assert not wants(logprobs=5)
    assert not wants(echo=True)
    assert not wants(prompt_logprobs=0)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({"input": "a"}, "a"),
        ({"input": ["a", "b"]}, "a\nb"),
        ({"input": [1, 2]}, "c d"),
        ({"input": [[1], [2]]}, "c\nd"),
        ({"input": [{"type": "text", "text": "a"}, {"type": "image_url"}]}, "a"),
        ({"prompt": "a"}, "a"),
        ({"messages": HELLO}, "hello"),
        ({"tokens": [1, 2]}, "c d"),
        ({"text_1": "a", "text_2": ["b", "c"]}, "a\nb\nc"),
        ({"query": "a", "documents": ["b", {"text": "c"}]}, "a\nb\nc"),
        ({"query": "a", "documents": {"content": [{"type": "text", "text": "c"}]}}, "a\nc"),
    ],
)
def test_all_texts_of_an_input_are_one_ask(body: dict[str, Any], read: str) -> None:
    assert texts("openai_inputs", {"model": "m"} | body) == [read]


def test_a_claude_batch_is_its_requests() -> None:
    params = {"model": "c", "max_tokens": 1, "messages": HELLO}
    body = {"requests": [{"custom_id": str(n), "params": params} for n in range(3)]}
    found = asks("anthropic_batches", body)
    assert [(ask.model, ask.turns[0].text) for ask in found] == [("c", "hello")] * 3


def test_claudes_legacy_prompt_is_read() -> None:
    (ask,) = asks(
        "anthropic_complete",
        {"model": "c", "prompt": "p", "max_tokens_to_sample": 7, "metadata": {"user_id": "u"}},
    )
    assert (ask.turns[0].text, ask.max_output_tokens, ask.end_user) == ("p", 7, "u")


def test_gemini_embeddings_counts_and_caches() -> None:
    path = "/v1beta/models/g:embedContent"
    assert texts("gemini_embed", {"content": CONTENT}, path) == ["hello"]
    requests = [{"model": "models/g", "content": CONTENT}] * 2
    batch = "/v1beta/models/g:batchEmbedContents"
    assert texts("gemini_embed", {"requests": requests}, batch) == ["hello\nhello"]
    count = "/v1beta/models/g:countTokens"
    assert texts("gemini_generate", {"contents": [CONTENT]}, count) == ["hello"]
    within = {"generateContentRequest": {"model": "models/g", "contents": [CONTENT]}}
    assert texts("gemini_generate", within, count) == ["hello"]
    cache = {"model": "models/g", "system_instruction": CONTENT, "ttl": "60s"}
    (ask,) = asks("gemini_generate", cache, "/v1beta/cachedContents")
    assert (ask.model, ask.system) == ("g", "hello")


def test_a_gemini_batch_is_its_requests() -> None:
    path = "/v1beta/models/g:batchGenerateContent"
    requests = [{"request": {"contents": [CONTENT]}, "metadata": {"key": "1"}}] * 2
    body = {"batch": {"displayName": "x", "inputConfig": {"requests": {"requests": requests}}}}
    assert texts("gemini_batch", body, path) == ["hello", "hello"]


@pytest.mark.parametrize(
    ("name", "body", "path"),
    [
        ("openai_completions", {"prompt": 1}, ""),
        ("openai_completions", {"prompt": [1, "a"]}, ""),
        ("openai_completions", {"prompt": ["a", 1]}, ""),
        ("openai_completions", {"prompt": [[1, "a"]]}, ""),
        ("openai_completions", {"prompt": ["a"] * 257}, ""),
        ("openai_completions", {"prompt": "a", "Prompt": "b"}, ""),
        ("openai_completions", {"prompt": "a", "prompt_embeds": "AAAA"}, ""),
        ("openai_completions", {"prompt": "a", "best_of": "4"}, ""),
        ("openai_inputs", {"input": 1}, ""),
        ("openai_inputs", {"input": [1, "a"]}, ""),
        ("openai_inputs", {"input": [{"text": 1}]}, ""),
        ("openai_inputs", {"messages": "a"}, ""),
        ("openai_inputs", {"Input": "a"}, ""),
        ("openai_files", {}, ""),
        ("anthropic_batches", {}, ""),
        ("anthropic_batches", {"requests": []}, ""),
        ("anthropic_batches", {"requests": [1]}, ""),
        ("anthropic_batches", {"requests": [{"params": 1}]}, ""),
        ("anthropic_batches", {"requests": [{"Params": {}}]}, ""),
        ("anthropic_complete", {}, ""),
        ("anthropic_complete", {"prompt": ["a"]}, ""),
        ("gemini_embed", {}, "/v1beta/models/g:embedContent"),
        ("gemini_embed", {"model": "models/h", "content": CONTENT}, "/v1/models/g:embedContent"),
        ("gemini_generate", {}, "/v1beta/models/g:generateContent"),
        (
            "gemini_generate",
            {"contents": [CONTENT], "generateContentRequest": {"contents": [CONTENT]}},
            "/v1beta/models/g:countTokens",
        ),
        ("gemini_batch", {}, "/v1beta/models/g:batchGenerateContent"),
        (
            "gemini_batch",
            {"batch": {"inputConfig": {"fileName": "files/1"}}},
            "/v1beta/models/g:batchGenerateContent",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, body: dict[str, Any], path: str) -> None:
    with pytest.raises(UnreadableBody):
        dialect(name).read(json.dumps(body).encode(), path)


def test_azures_path_names_the_model_whatever_the_body_says() -> None:
    path = "/openai/deployments/d-1/completions"
    (ask,) = asks("openai_completions", {"model": "m", "prompt": "a"}, path)
    assert ask.model == "d-1"


def line(tokens: int) -> bytes:
    body = {"usage": {"prompt_tokens": 1, "completion_tokens": tokens}}
    return json.dumps({"response": {"body": body}}).encode()


def test_lines_are_read_across_pieces_and_add_up() -> None:
    data = line(2) + b"\n" + b"no json\n" + line(3)
    for size in (1, 7, len(data)):
        reader = dialect("openai_files").reply_reader(streamed=False)
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            assert reader.feed(piece) == piece
        assert reader.finish() == b""
        assert reader.usage is not None
        assert (reader.usage.input_tokens, reader.usage.output_tokens) == (2, 5)


def test_a_line_without_end_is_not_kept() -> None:
    reader = dialect("openai_files").reply_reader(streamed=False)
    piece = b"x" * 65536
    for _ in range(2 * MAX_PLAIN_BYTES // len(piece)):
        reader.feed(piece)
    reader.finish()
    assert reader.usage is None
    assert reader.estimated_output_tokens() > MAX_PLAIN_BYTES // 8


def test_a_files_other_contents_are_no_output() -> None:
    reader = dialect("openai_files").reply_reader(streamed=False)
    reader.feed(b"\x89PNG\r\n" * 100)
    reader.finish()
    assert (reader.usage, reader.estimated_output_tokens()) == (None, 0)
