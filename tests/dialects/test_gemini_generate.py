"""Gemini bodies and paths: what is read, in both spellings, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from proxy.dialects.gemini_generate import GEMINI_GENERATE
from proxy.dialects.jsonbody import MAX_DEPTH, UnreadableBody
from proxy.facts import Ask, Reasoning, Turn

PATH = "/v1beta/models/gemini-x:generateContent"
STREAM = "/v1beta/models/gemini-x:streamGenerateContent"
HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]


def read(path: str = PATH, **fields: Any) -> Ask:
    return GEMINI_GENERATE.read(orjson.dumps({"contents": HELLO, **fields}), path).ask


FULL: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "No lists."}]},
    "contents": [
        *HELLO,
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"inCity": "Rom"}}}]},
        {
            "role": "function",
            "parts": [{"functionResponse": {"name": "f", "response": {"result": 42}}}],
        },
    ],
    "generationConfig": {
        "maxOutputTokens": 64,
        "candidateCount": 2,
        "temperature": 1,
        "topP": 0.5,
        "responseLogprobs": True,
        "logprobs": 5,
        "stopSequences": ["x"],
        "thinkingConfig": {"thinkingBudget": 128, "includeThoughts": True},
    },
    "tools": [
        {"functionDeclarations": [{"name": "f"}, {"name": "g"}]},
        {"googleSearch": {}, "codeExecution": {}},
    ],
    "unheardOf": {"anything": []},
}


def snake(value: Any) -> Any:
    """The same body with every key that is ours in snake_case."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in key): (
            item if key in {"args", "response"} else snake(item)
        )
        for key, item in value.items()
    }


@pytest.mark.parametrize("body", [FULL, snake(FULL)], ids=["camelCase", "snake_case"])
def test_a_full_body_is_read_into_an_ask_in_either_spelling(body: dict[str, Any]) -> None:
    got = GEMINI_GENERATE.read(orjson.dumps(body), STREAM)
    assert got.parsed == body
    tools = got.ask.tools
    assert got.ask == Ask(
        model="gemini-x",
        turns=(
            Turn("system", "Be brief.\nNo lists."),
            Turn("user", "Hello"),
            Turn("assistant", '{"inCity":"Rom"}'),
            Turn("tool", '{"result":42}'),
        ),
        system="Be brief.\nNo lists.",
        stream=True,
        max_output_tokens=64,
        choices=2,
        temperature=1.0,
        top_p=0.5,
        logprobs=True,
        top_logprobs=5,
        reasoning=Reasoning(None, 128),
        tools=tools,
        parameters=tuple(body),
    )
    assert tools == ("f", "g", "googleSearch", "codeExecution")


def test_a_minimal_body_has_the_defaults_of_an_ask() -> None:
    assert read() == Ask("gemini-x", (Turn("user", "Hello"),), parameters=("contents",))


def test_null_is_read_as_absent() -> None:
    nulls = dict.fromkeys(
        ["model", "systemInstruction", "generationConfig", "tools", "cachedContent"]
    )
    assert read(**nulls) == Ask(
        "gemini-x", (Turn("user", "Hello"),), parameters=("contents", *nulls)
    )
    inner = dict.fromkeys(["maxOutputTokens", "candidateCount", "thinkingConfig", "temperature"])
    assert read(generationConfig=inner).max_output_tokens is None


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        (PATH, "gemini-x", False),
        (STREAM, "gemini-x", True),
        ("/v1/tunedModels/mine-1:generateContent", "tunedModels/mine-1", False),
        (
            "/v1/projects/p/locations/l/publishers/google/models/g-1:streamGenerateContent",
            "g-1",
            True,
        ),
        ("/v1/projects/p/locations/l/endpoints/7:generateContent", "endpoints/7", False),
    ],
)
def test_the_path_names_the_model_and_asks_for_a_stream(
    path: str, model: str, stream: bool
) -> None:
    ask = read(path)
    assert (ask.model, ask.stream) == (model, stream)


@pytest.mark.parametrize("model", ["gemini-x", "models/gemini-x"])
def test_a_body_may_name_the_paths_model_once_more(model: str) -> None:
    assert read(model=model).model == "gemini-x"


@pytest.mark.parametrize("model", ["other", "models/other", "", "x", "tunedModels/gemini-x"])
def test_a_body_that_names_another_model_than_the_path_is_refused(model: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read(model=model)
    assert refused.value.reason == "ambiguous_model"


@pytest.mark.parametrize(
    ("contents", "turns"),
    [
        ([], ()),
        ("hi", (Turn("user", "hi"),)),
        (["a", "b"], (Turn("user", "a"), Turn("user", "b"))),
        ({"parts": {"text": "a"}}, (Turn("user", "a"),)),
        ({"parts": ["a", {"text": "b"}]}, (Turn("user", "a\nb"),)),
        ([{"role": "", "parts": []}], (Turn("user", ""),)),
        ([{"role": "model"}], (Turn("assistant", ""),)),
        ([{"role": "wizard", "parts": "a"}], (Turn("wizard", "a"),)),
    ],
)
def test_a_bare_value_stands_for_a_list_of_one(contents: Any, turns: tuple[Turn, ...]) -> None:
    assert read(contents=contents).turns == turns


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"text": "a", "thought": True}, "a"),
        ({"text": None}, ""),
        ({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, ""),
        ({"fileData": {"fileUri": "gs://x/y"}}, ""),
        ({"inline_data": {"mime_type": "image/png", "data": "AAAA"}}, ""),
        ({"functionCall": {"name": "f", "args": {}}}, ""),
        ({"function_call": {"name": "f", "args": {"q": 1}}}, '{"q":1}'),
        ({"functionCall": {"args": {"q": 2**70}}}, f"{{'q': {2**70}}}"),
        ({"functionResponse": {"name": "f", "response": {"output": "yes"}}}, '{"output":"yes"}'),
        ({"executableCode": {"language": "PYTHON", "code": "print(1)"}}, "print(1)"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}, "1"),
        ({"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"q": "a"}}}, '{"q":"a"}'),
        ({"tool_response": {"response": {"r": 1}}}, '{"r":1}'),
        ({"thoughtSignature": "c2ln", "text": "a"}, "a"),
    ],
)
def test_a_turn_holds_all_text_that_the_model_would_read(part: dict[str, Any], text: str) -> None:
    # As JSON with integers of any size, which orjson would not write.
    body = repr({"contents": [{"parts": [part]}]}).replace("'", '"')
    body = body.replace("True", "true").replace("None", "null")
    assert GEMINI_GENERATE.read(body.encode(), PATH).ask.turns == (Turn("user", text),)


@pytest.mark.parametrize(
    "instruction",
    ["Be brief.", {"parts": "Be brief."}, {"role": "x", "parts": [{"text": "Be brief."}]}],
)
@pytest.mark.parametrize("key", ["systemInstruction", "system_instruction"])
def test_the_system_instruction_comes_first(key: str, instruction: Any) -> None:
    ask = read(**{key: instruction})
    assert ask.system == "Be brief."
    assert ask.turns == (Turn("system", "Be brief."), Turn("user", "Hello"))


def test_a_system_turn_among_the_contents_is_part_of_the_system_prompt() -> None:
    ask = read(systemInstruction="one", contents=[{"role": "system", "parts": "two"}])
    assert ask.system == "one\ntwo"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"contents": None}, "contents must be an array."),
        ({"contents": 5}, "contents[0] must be an object."),
        ({"contents": [5]}, "contents[0] must be an object."),
        ({"contents": [{"role": 5}]}, "contents[0].role must be a string."),
        ({"contents": [{"parts": [5]}]}, "contents[0].parts[0] must be an object."),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text must be a string."),
        (
            {"contents": [{"parts": [{"functionCall": 5}]}]},
            "contents[0].parts[0].functionCall must be an object.",
        ),
        ({"systemInstruction": 5}, "systemInstruction must be an object."),
        ({"generationConfig": []}, "generationConfig must be an object."),
        ({"generationConfig": {"topP": True}}, "generationConfig.topP must be a finite number."),
        (
            {"generationConfig": {"responseLogprobs": "true"}},
            "generationConfig.responseLogprobs must be a boolean.",
        ),
        (
            {"generationConfig": {"thinkingConfig": 5}},
            "generationConfig.thinkingConfig must be an object.",
        ),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": True}}},
            "generationConfig.thinkingConfig.thinkingLevel must be a string.",
        ),
        (
            {"generationConfig": {"thinkingConfig": {"includeThoughts": 1}}},
            "generationConfig.thinkingConfig.includeThoughts must be a boolean.",
        ),
        ({"tools": [5]}, "tools[0] must be an object."),
        (
            {"tools": [{"functionDeclarations": [5]}]},
            "tools[0].functionDeclarations[0] must be an object.",
        ),
        ({"model": 5}, "model must be a string."),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read(**fields)
    assert (refused.value.reason, refused.value.message) == ("wrong_type", message)


PAIRS: list[dict[str, Any]] = [
    {"systemInstruction": "a", "system_instruction": "b"},
    {"systemInstruction": "a", "system_instruction": "a"},
    {"systemInstruction": None, "system_instruction": "a"},
    {"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}},
    {"generationConfig": {"thinkingConfig": {}, "thinking_config": {}}},
    {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinking_level": "HIGH"}}},
    {"tools": [{"functionDeclarations": [], "function_declarations": [{"name": "f"}]}]},
    {"contents": [{"parts": [{"functionCall": {}, "function_call": {"args": {"a": 1}}}]}]},
]
LOOKALIKES: list[dict[str, Any]] = [
    {"Contents": "b"},
    {"CONTENTS": "b"},
    {"systeminstruction": "b"},
    {"System_Instruction": "b"},
    {"system__instruction": "b"},
    {"generationConfig": {"MaxOutputTokens": 9}},
    {"contents": [{"parts": [{"text": "a"}], "Parts": [{"text": "b"}]}]},
    {"contents": [{"parts": [{"text": "a", "Text": "b"}]}]},
    {"contents": [{"parts": [{"TEXT": "b"}]}]},
]


@pytest.mark.parametrize("fields", PAIRS + LOOKALIKES)
def test_a_field_that_two_readers_could_take_from_two_keys_is_refused(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read(**fields)
    assert refused.value.reason == "ambiguous_key"


def test_the_callers_own_objects_may_have_any_keys() -> None:
    args = {"maxTokens": 1, "max_tokens": 2, "Text": 3, "text": 4}
    part = {"functionCall": {"name": "f", "args": args}}
    assert read(contents=[{"parts": [part]}]).turns[0].text == orjson.dumps(args).decode()


def test_nesting_is_bounded_and_costs_no_stack() -> None:
    def nested(levels: int) -> bytes:
        args = b'{"a":' * levels + b"1" + b"}" * levels
        return b'{"contents":[{"parts":[{"functionCall":{"args":' + args + b"}}]}]}"

    assert GEMINI_GENERATE.read(nested(MAX_DEPTH - 10), PATH).ask.turns[0].text
    with pytest.raises(UnreadableBody) as refused:
        GEMINI_GENERATE.read(nested(MAX_DEPTH), PATH)
    assert refused.value.reason == "too_deep"


STRANGE: list[Any] = [
    None, True, 5, -1, 1.5, "s3cret", "5", [], {}, [5], [[]], {"text": 5}, {"s3cret": {}}, 2**62
]  # fmt: skip


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to each value inside of a body."""
    if way:
        yield way
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield from places(value[key], (*way, key))


@pytest.mark.parametrize("way", [*places(FULL)], ids=lambda way: ".".join(map(str, way)))
def test_whatever_stands_anywhere_is_read_or_refused_without_being_told(
    way: tuple[Any, ...],
) -> None:
    for strange in STRANGE:
        body = orjson.loads(orjson.dumps(FULL))
        inner = body
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = strange
        try:
            ask = GEMINI_GENERATE.read(orjson.dumps(body), PATH).ask
        except UnreadableBody as error:
            refused = error
        else:
            assert (ask.model, ask.choices >= 1) == ("gemini-x", True)
            continue
        assert refused.reason == "wrong_type"
        assert "s3cret" not in refused.message


def test_no_body_is_changed_to_ask_for_usage() -> None:
    body = orjson.dumps({"contents": HELLO})
    assert GEMINI_GENERATE.ask_usage(body, GEMINI_GENERATE.read(body, STREAM).parsed) is None
