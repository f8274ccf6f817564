"""
OpenAI chat completions: POST /v1/chat/completions, as OpenAI and the many that imitate it speak it.

Shapes: openai-python `types/chat/completion_create_params.py`, `chat_completion_chunk.py`,
`completion_usage.py`. Known fields of a wrong type are refused; unknown fields are let through, as
the upstreams do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    UnreadableBody,
    array,
    boolean,
    integer,
    mapping,
    number,
    plain_texts,
    read_json,
    refuse_lookalikes,
    string,
    wrong_type,
)
from proxy.dialects.openai_limits import CHOICES, LIMITS, choices, output_limit
from proxy.dialects.openai_replies import OpenAIPlain, OpenAIStream, openai_refusal
from proxy.dialects.stream_usage import ask_usage, asks_usage
from proxy.facts import Ask, Reasoning, Turn

_KEYS = frozenset(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        *LIMITS,
        *CHOICES,
        "temperature",
        "top_p",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "prompt_logprobs",
        "reasoning_effort",
        "tools",
        "functions",
        "user",
        "safety_identifier",
    ]
)
CONSTRAINTS = frozenset(
    [
        "ebnf",
        "guided_choice",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "regex",
        "structural_tag",
        "structured_outputs",
    ]
)
"""Fields by which vLLM and SGLang force an answer into a form."""
MAX_PROMPTS = 256
"""Prompts or conversations in one body. Each is judged as a request of its own."""
MAX_BIASED = 1024
"""Tokens of one `logit_bias`: OpenAI bears 300."""
BATCH = "/chat/completions/batch"
DEPLOYMENTS = "/openai/deployments/"
"""Where Azure's paths name the model."""
_MESSAGE_KEYS = frozenset(
    ["role", "content", "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning"]
)
_PART_KEYS = frozenset(["type", "text", "refusal"])
_SYSTEM_ROLES = frozenset(("system", "developer"))


def read(body: bytes, path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    if path.endswith(BATCH):
        first, *more = _conversations(parsed, path)
        return ReadAsk(first, parsed, tuple(more))
    return ReadAsk(_ask(parsed, path), parsed)


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`."""
    return _conversations(parsed, path) if path.endswith(BATCH) else (_ask(parsed, path),)


def _conversations(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """vLLM's batch: `messages` is a list of conversations, and each is answered."""
    refuse_lookalikes(parsed, _KEYS)
    given = array(parsed.get("messages"), "messages")
    if not given or type(given[0]) is not list:
        raise wrong_type("messages", "an array of conversations")
    if len(given) > MAX_PROMPTS:
        raise UnreadableBody("too_many_values", "The body holds too many conversations.")
    ask = _ask(parsed | {"messages": given[0]}, path)
    more = [turns_of(array(one, f"messages[{index}]")) for index, one in enumerate(given) if index]
    return (ask, *[replace(ask, turns=turns, system=system) for turns, system in more])


def _ask(parsed: JsonObject, path: str) -> Ask:
    """A reader is called only for a field that is there, and `Ask` is built by position: by name, its
    fields cost more than the rest of this."""
    refuse_lookalikes(parsed, _KEYS)
    get = parsed.get
    messages = get("messages")
    if type(messages) is not list:
        raise wrong_type("messages", "an array")
    turns, system = turns_of(messages)
    stream = (value := get("stream")) is not None and boolean(value, "stream")
    bias, tools, functions = get("logit_bias"), get("tools"), get("functions")
    return Ask(
        model_of(get("model"), path),
        turns,
        system,
        stream,
        output_limit(parsed),
        choices(parsed),
        None if (value := get("temperature")) is None else number(value, "temperature"),
        None if (value := get("top_p")) is None else number(value, "top_p"),
        (value := get("logprobs")) is not None and boolean(value, "logprobs"),
        None if (value := get("top_logprobs")) is None else integer(value, "top_logprobs"),
        () if bias is None else logit_bias(bias),
        None if (value := get("reasoning_effort")) is None else _reasoning(value),
        () if tools is None and functions is None else _tool_names(tools, functions),
        end_user(get("safety_identifier"), get("user")),
        not stream or asks_usage(get("stream_options")),
        tuple(parsed),
        (value := get("prompt_logprobs")) is not None and integer(value, "prompt_logprobs") != 0,
        not CONSTRAINTS.isdisjoint(parsed),
    )


def model_of(named: object, path: str) -> str | None:
    """The model that a body names; Azure's deployments go by the path, whatever the body says."""
    if path.startswith(DEPLOYMENTS):
        return path[len(DEPLOYMENTS) :].partition("/")[0]
    return None if named is None else string(named, "model")


def turns_of(messages: list[Any]) -> tuple[tuple[Turn, ...], str]:
    """(turns, system prompt) of chat messages."""
    turns: list[Turn] = []
    system: list[str] = []
    for index, message in enumerate(messages):
        if type(message) is not dict:
            raise wrong_type(f"messages[{index}]", "an object")
        role = message.get("role")
        if type(role) is not str:
            raise wrong_type(f"messages[{index}].role", "a string")
        content = message.get("content")
        # Nearly every message is a role and plain text; the rest is read with care.
        if len(message) == 2 and type(content) is str:
            text = content
        elif (
            len(message) == 2
            and type(content) is list
            and (texts := plain_texts(content)) is not None
        ):
            text = "\n".join(texts)
        else:
            text = _message_text(message, content, f"messages[{index}]")
        turns.append(Turn(role, text))
        if role in _SYSTEM_ROLES:
            system.append(text)
    return tuple(turns), "\n".join(system)


def _message_text(message: JsonObject, content: object, field: str) -> str:
    refuse_lookalikes(message, _MESSAGE_KEYS)
    texts: list[str] = []
    if type(content) is str:
        texts.append(content)
    elif type(content) is list:
        for index, part in enumerate(content):
            _part_text(part, f"{field}.content[{index}]", texts)
    elif content is not None:
        raise wrong_type(f"{field}.content", "a string or an array")
    if len(message) > 2:
        for key in ("reasoning_content", "reasoning", "refusal"):
            text = message.get(key)
            if type(text) is str:
                texts.append(text)
        _calls(message, field, texts)
    return "\n".join(texts)


def _part_text(part: object, field: str, texts: list[str]) -> None:
    if type(part) is not dict:
        raise wrong_type(field, "an object")
    refuse_lookalikes(part, _PART_KEYS)
    for key in ("text", "refusal"):
        text = part.get(key)
        if text is not None:
            if type(text) is not str:
                raise wrong_type(f"{field}.{key}", "a string")
            texts.append(text)


def _calls(message: JsonObject, field: str, texts: list[str]) -> None:
    # What a model is told that it has called reads to it like any other text.
    legacy = mapping(message.get("function_call"), f"{field}.function_call")
    arguments = [legacy.get("arguments")]
    for index, call in enumerate(array(message.get("tool_calls"), f"{field}.tool_calls")):
        path = f"{field}.tool_calls[{index}]"
        get = mapping(call, path).get
        arguments.append(mapping(get("function"), f"{path}.function").get("arguments"))
        arguments.append(mapping(get("custom"), f"{path}.custom").get("input"))
    texts += [text for text in arguments if type(text) is str]


def logit_bias(value: object) -> tuple[tuple[str, float], ...]:
    """Pairs of token and weight, in wire order."""
    biased = mapping(value, "logit_bias")
    if len(biased) > MAX_BIASED:
        raise UnreadableBody("too_many_values", "logit_bias names too many tokens.")
    # The tokens are the caller's text: the field is named without them.
    return tuple((token, number(weight, "logit_bias")) for token, weight in biased.items())


def _reasoning(effort: object) -> Reasoning:
    return Reasoning(string(effort, "reasoning_effort"))


def _tool_names(tools: object, functions: object) -> tuple[str, ...]:
    declared: list[JsonObject] = []
    for index, tool in enumerate(array(tools, "tools")):
        get = mapping(tool, f"tools[{index}]").get
        declared.append(mapping(get("function"), f"tools[{index}].function"))
        declared.append(mapping(get("custom"), f"tools[{index}].custom"))
    for index, function in enumerate(array(functions, "functions")):
        declared.append(mapping(function, f"functions[{index}]"))
    return tuple(name for one in declared if type(name := one.get("name")) is str)


def end_user(safety_identifier: object, user: object) -> str | None:
    """Whom the caller asks for; `safety_identifier` replaces `user`, an empty one names nobody."""
    if user is not None:
        user = string(user, "user")
    if safety_identifier is not None:
        user = string(safety_identifier, "safety_identifier") or user
    return user or None


class OpenAIChat:
    """See `base.Dialect`."""

    name = "openai_chat"
    path_hints = ("/v1/chat/", "/v1beta/openai/", "/openai/")
    header_hints = (b"openai-organization", b"openai-project")

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    ask_usage = staticmethod(ask_usage)
    refusal = staticmethod(openai_refusal)

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply."""
        return OpenAIStream(drop_usage=drop_usage) if streamed else OpenAIPlain()


OPENAI_CHAT = OpenAIChat()
