"""
OpenAI responses: POST /v1/responses and what shares its items: token counts, compaction, conversations.

Shapes: openai-python `types/responses/response_create_params.py`, `response_input_item_param.py`,
`response_usage.py`. What an earlier response holds (`previous_response_id`, `conversation`) is not in the
body and so is not read here.
"""

from __future__ import annotations

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    array,
    boolean,
    integer,
    mapping,
    number,
    read_json,
    refuse_lookalikes,
    string,
    wrong_type,
)
from proxy.dialects.openai_chat import end_user
from proxy.dialects.openai_limits import CHOICES, LIMITS, choices, output_limit
from proxy.dialects.openai_replies import ResponsesPlain, ResponsesStream, openai_refusal
from proxy.facts import Ask, Reasoning, Turn

_KEYS = frozenset(
    [
        "model",
        "input",
        "items",
        "prompt",
        "instructions",
        "stream",
        *LIMITS,
        *CHOICES,
        "temperature",
        "top_p",
        "top_logprobs",
        "include",
        "reasoning",
        "tools",
        "user",
        "safety_identifier",
        "previous_response_id",
        "conversation",
        "background",
        "store",
    ]
)
_ITEM_KEYS = frozenset(
    ["type", "role", "content", "text", "arguments", "input", "output", "summary", "name"]
)
_PART_KEYS = frozenset(["type", "text", "refusal"])
_TEMPLATE_KEYS = frozenset(["id", "version", "variables"])
_LOGPROBS = "message.output_text.logprobs"
_SYSTEM_ROLES = frozenset(("system", "developer"))
_SAID_BY = {"function_call_output": "tool", "custom_tool_call_output": "tool"}


def read(body: bytes, path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    return ReadAsk(_ask(parsed, path), parsed)


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`."""
    return (_ask(parsed, path),)


def _ask(parsed: JsonObject, path: str) -> Ask:
    """`Ask` is built by position, as in `openai_chat`."""
    refuse_lookalikes(parsed, _KEYS)
    get = parsed.get
    # A conversation is filled by `items`, which later requests build on; nothing else has them.
    given = get("items") if "/conversations" in path else get("input")
    turns, system = _turns(get("instructions"), given)
    if (template := get("prompt")) is not None:
        turns += _variables(template)
    include = array(get("include"), "include")
    reasoning = get("reasoning")
    return Ask(
        None if (value := get("model")) is None else string(value, "model"),
        turns,
        system,
        (value := get("stream")) is not None and boolean(value, "stream"),
        output_limit(parsed),
        choices(parsed),
        None if (value := get("temperature")) is None else number(value, "temperature"),
        None if (value := get("top_p")) is None else number(value, "top_p"),
        _LOGPROBS in include,
        None if (value := get("top_logprobs")) is None else integer(value, "top_logprobs"),
        (),
        None if reasoning is None else _reasoning(reasoning),
        _tool_names(get("tools")),
        end_user(get("safety_identifier"), get("user")),
        True,
        tuple(parsed),
    )


def _turns(instructions: object, given: object) -> tuple[tuple[Turn, ...], str]:
    turns: list[Turn] = []
    if instructions is not None:
        turns.append(Turn("system", string(instructions, "instructions")))
    if type(given) is str:
        turns.append(Turn("user", given))
    elif type(given) is list:
        turns += [_turn(item, f"input[{index}]") for index, item in enumerate(given)]
    elif given is not None:
        raise wrong_type("input", "a string or an array")
    system = "\n".join(turn.text for turn in turns if turn.role in _SYSTEM_ROLES)
    return tuple(turns), system


def _variables(template: object) -> tuple[Turn, ...]:
    """What is filled into a prompt that is stored at the API: a question, perhaps the only one."""
    template = mapping(template, "prompt")
    refuse_lookalikes(template, _TEMPLATE_KEYS)
    texts: list[str] = []
    for value in mapping(template.get("variables"), "prompt.variables").values():
        if type(value) is dict:
            _part(value, "prompt.variables", texts)
        else:
            texts.append(string(value, "prompt.variables"))
    return (Turn("user", "\n".join(texts)),) if texts else ()


def _turn(item: object, field: str) -> Turn:
    """One input item: a message, or what a model is told that it or a tool has said or done."""
    if type(item) is not dict:
        raise wrong_type(field, "an object")
    refuse_lookalikes(item, _ITEM_KEYS)
    texts: list[str] = []
    for key in ("content", "text", "summary", "arguments", "input", "output"):
        _collect(item.get(key), f"{field}.{key}", texts)
    role = item.get("role")
    if role is not None:
        return Turn(string(role, f"{field}.role"), "\n".join(texts))
    kind = item.get("type")
    said_by = _SAID_BY.get(kind, "assistant") if type(kind) is str else "assistant"
    return Turn(said_by, "\n".join(texts))


def _collect(value: object, field: str, texts: list[str]) -> None:
    """The text of a field that is a string, or a list of parts with texts."""
    if type(value) is str:
        texts.append(value)
    elif type(value) is list:
        for index, part in enumerate(value):
            _part(part, f"{field}[{index}]", texts)
    elif value is not None and type(value) is not dict:
        raise wrong_type(field, "a string or an array")


def _part(part: object, field: str, texts: list[str]) -> None:
    if type(part) is not dict:
        raise wrong_type(field, "an object")
    refuse_lookalikes(part, _PART_KEYS)
    for key in ("text", "refusal"):
        text = part.get(key)
        if text is not None:
            texts.append(string(text, f"{field}.{key}"))


def _reasoning(value: object) -> Reasoning | None:
    effort = mapping(value, "reasoning").get("effort")
    return None if effort is None else Reasoning(string(effort, "reasoning.effort"))


def _tool_names(tools: object) -> tuple[str, ...]:
    """Names of the caller's own tools; the kind of those that the API brings."""
    names: list[str] = []
    for index, tool in enumerate(array(tools, "tools")):
        get = mapping(tool, f"tools[{index}]").get
        name = get("name") or get("type")
        if type(name) is str:
            names.append(name)
    return tuple(names)


class OpenAIResponses:
    """See `base.Dialect`."""

    name = "openai_responses"
    path_hints = ("/v1/responses", "/v1/conversations")
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(openai_refusal)

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: the last event always has the usage."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply; its usage is part of the last event and never withheld."""
        assert not drop_usage
        return ResponsesStream() if streamed else ResponsesPlain()


OPENAI_RESPONSES = OpenAIResponses()
