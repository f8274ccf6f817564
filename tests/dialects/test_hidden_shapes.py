"""Shapes in which a question could pass unread, and bodies that one field makes dear."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proxy.dialects.jsonbody import UnreadableBody
from proxy.dialects.openai_chat import CONSTRAINTS, MAX_BIASED, MAX_PROMPTS
from proxy.dialects.routes import dialect
from proxy.facts import Ask, lean, prompt_bytes
from proxy.signals.sketch import prompt_context, prompt_sketch, prompt_text

QUESTION = "What is the capital of the smallest island of the archipelago?"
OTHER = "Which of the rivers of the northern plain is the longest one?"
HELLO = [{"role": "user", "content": "hello"}]
BATCH = "/v1/chat/completions/batch"
GENERATE = "/v1beta/models/g:generateContent"


def asks(name: str, body: dict[str, Any], path: str = "/v1/x") -> list[Ask]:
    read = dialect(name).read(json.dumps(body).encode(), path)
    assert tuple(dialect(name).asks_of(read.parsed, path)) == (read.ask, *read.more)
    return [read.ask, *read.more]


def marks(name: str, body: dict[str, Any], path: str = "/v1/x") -> set[bytes]:
    (ask,) = asks(name, body, path)
    text = prompt_text(ask)
    return set(prompt_sketch(text, prompt_context(ask, text)))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def turns(*said: tuple[str, str]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": role, "content": text} for role, text in said]}


def document(source: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "document", "source": source}]}]}


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        (
            "openai_completions",
            "/v1/completions",
            lambda text: {"prompt": list(text.encode())},
        ),
        ("openai_chat", "", lambda text: turns(("user", text), ("user", "Answer the above."))),
        (
            "openai_chat",
            "",
            lambda text: turns(("user", text), *[("user", "Answer the above. " * 40)] * 3),
        ),
        ("openai_chat", "", lambda text: turns(("system", text), ("user", "go"))),
        (
            "openai_chat",
            "",
            lambda text: turns(("user", "go"), ("assistant", "looking"), ("tool", text)),
        ),
        ("anthropic_messages", "", lambda text: turns(("user", "go")) | {"system": text}),
        (
            "anthropic_messages",
            "",
            lambda text: document(
                {"type": "base64", "media_type": "text/plain", "data": encoded(text)}
            ),
        ),
        (
            "gemini_generate",
            GENERATE,
            lambda text: {
                "contents": [
                    {"parts": [{"inlineData": {"mimeType": "text/plain", "data": encoded(text)}}]}
                ]
            },
        ),
        (
            "openai_responses",
            "/v1/responses",
            lambda text: {"prompt": {"id": "pmpt_1", "variables": {"q": text}}, "input": "go"},
        ),
        (
            "openai_responses",
            "/v1/responses",
            lambda text: {
                "prompt": {"id": "p", "variables": {"q": {"type": "input_text", "text": text}}}
            },
        ),
        (
            "openai_responses",
            "/v1/responses",
            lambda text: {
                "instructions": text,
                "items": [{"role": "user", "content": "A decoy that is always the very same one."}],
            },
        ),
    ],
)
def test_two_questions_in_one_shape_are_two_and_one_is_one(name: str, path: str, body: Any) -> None:
    assert marks(name, body(QUESTION), path)
    assert marks(name, body(QUESTION), path) & marks(name, body(QUESTION.upper()), path) or (
        name == "openai_completions"
    )
    assert not marks(name, body(QUESTION), path) & marks(name, body(OTHER), path)


def test_steps_of_an_agent_are_one_prompt() -> None:
    task = ("user", "Find out why the tests of the payment module fail since yesterday.")
    steps = [
        turns(("system", "You are an agent."), task, ("assistant", "ls"), ("tool", told))
        for told in (QUESTION, OTHER)
    ]
    assert marks("openai_chat", steps[0]) == marks("openai_chat", steps[1])


def test_a_short_prompt_is_told_by_its_words_whatever_the_system_prompt() -> None:
    system = ("system", "You help customers of a shop. " * 20)
    assert marks("openai_chat", turns(system, ("user", "track parcel"))) == marks(
        "openai_chat", turns(system, ("user", "Track parcel!"))
    )
    assert not marks("openai_chat", turns(system, ("user", "track parcel"))) & marks(
        "openai_chat", turns(system, ("user", "cancel order"))
    )


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("anthropic_messages", "", {"messages": [{"role": "user", "Content": "a"}]}),
        ("openai_chat", "", {"messages": [{"role": "user", "Content": "a"}]}),
        ("openai_inputs", "/tokenize", {"messages": [{"role": "user", "Content": "a"}]}),
        ("openai_responses", "/v1/responses", {"input": [{"role": "user", "Content": "a"}]}),
        ("openai_responses", "/v1/responses", {"prompt": {"id": "p", "Variables": {"q": "a"}}}),
        ("gemini_generate", GENERATE, {"contents": [{"role": "user", "Parts": []}]}),
        ("openai_chat", BATCH, {"messages": [[{"role": "user", "Content": "a"}]]}),
        ("openai_chat", BATCH, {"messages": HELLO}),
        ("openai_chat", BATCH, {"messages": []}),
        ("openai_chat", BATCH, {"messages": [HELLO] * (MAX_PROMPTS + 1)}),
        ("openai_chat", "", {"messages": [HELLO]}),
        (
            "openai_chat",
            "",
            {"messages": HELLO, "logit_bias": dict.fromkeys(map(str, range(MAX_BIASED + 1)), 1)},
        ),
        (
            "openai_completions",
            "",
            {"prompt": "a", "logit_bias": dict.fromkeys(map(str, range(MAX_BIASED + 1)), 1)},
        ),
        ("openai_inputs", "/v1/images/generations", {"prompt": "a", "n": "10"}),
        ("openai_inputs", "/v1/images/generations", {"prompt": "a", "N": 10}),
        ("gemini_generate", GENERATE, {"generateContentRequest": {"contents": [{"parts": []}]}}),
    ],
)
def test_what_could_be_read_otherwise_is_refused(name: str, path: str, body: Any) -> None:
    with pytest.raises(UnreadableBody):
        dialect(name).read(json.dumps(body).encode(), path)


def test_each_conversation_of_a_batch_is_one_ask() -> None:
    system = {"role": "system", "content": "Be brief."}
    body = {"model": "m", "n": 3, "messages": [HELLO, [system, *HELLO]], "temperature": 0.5}
    first, second = asks("openai_chat", body, BATCH)
    assert (len(first.turns), first.system, len(second.turns), second.system) == (
        1,
        "",
        2,
        "Be brief.",
    )
    assert {(one.choices, one.temperature, one.model) for one in (first, second)} == {(3, 0.5, "m")}


def test_the_wrapper_of_a_count_multiplies_nothing_that_is_generated() -> None:
    content = [{"parts": [{"text": "hello"}]}]
    body = {"contents": content, "generationConfig": {"candidateCount": 8}}
    body["generateContentRequest"] = {"contents": content}
    (ask,) = asks("gemini_generate", body, GENERATE)
    assert ask.choices == 8


@pytest.mark.parametrize("field", sorted(CONSTRAINTS))
def test_every_field_that_forces_a_form_is_known(field: str) -> None:
    (ask,) = asks("openai_chat", {"messages": HELLO, field: {"type": "object"}})
    assert ask.constrained
    (plain,) = asks("openai_chat", {"messages": HELLO})
    assert not plain.constrained


def test_the_fields_that_force_a_form_are_these() -> None:
    guided = {"guided_choice", "guided_grammar", "guided_json", "guided_regex"}
    assert guided | {"structured_outputs", "structural_tag", "regex", "ebnf"} == CONSTRAINTS


@pytest.mark.parametrize(("value", "wanted"), [(1, True), (20, True), (0, False), (None, False)])
def test_prompt_logprobs_of_a_chat_are_read(value: int | None, wanted: bool) -> None:
    (ask,) = asks("openai_chat", {"messages": HELLO, "prompt_logprobs": value})
    assert ask.prompt_logprobs is wanted


def test_an_exponent_that_no_decimal_holds_changes_nothing() -> None:
    body = (
        b'{"messages":[],"stream":true,"stream_options":{},"temperature":1e-99999999999999999999}'
    )
    chat = dialect("openai_chat")
    assert chat.ask_usage(body, chat.read(body, "").parsed) is None


def test_what_is_kept_while_the_upstream_answers_says_how_much_was_asked() -> None:
    (ask,) = asks(
        "openai_chat",
        turns(("system", "s"), ("user", "u")) | {"logit_bias": {"1": 1}, "temperature": 0.5},
    )
    kept = lean(ask)
    assert [turn.text for turn in kept.turns] == ["", ""]
    assert (kept.system, kept.temperature) == ("", 0.5)
    assert len(kept.logit_bias) == 1, "how many, and no longer which"
    assert kept.logit_bias != ask.logit_bias
    assert kept.parameters == ask.parameters
    assert prompt_bytes(kept) == prompt_bytes(ask) == 2


def test_what_a_classifier_is_sent_later_is_kept() -> None:
    (ask,) = asks("openai_chat", turns(("system", "s"), ("user", QUESTION), ("user", OTHER)))
    kept = lean(ask, prompt_text(ask))
    assert prompt_text(kept) == prompt_text(ask)
    assert (len(kept.turns), prompt_bytes(kept)) == (3, prompt_bytes(ask))
