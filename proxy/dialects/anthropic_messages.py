"""
Anthropic messages: POST /v1/messages.

Shapes: anthropic-python `types/message_create_params.py`, `content_block_param.py`, `usage.py`.
Known fields of a wrong type are refused; unknown fields and block types are let through.
"""

from __future__ import annotations

from typing import Any

from proxy.dialects.anthropic_replies import AnthropicPlain, AnthropicStream, anthropic_refusal
from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    array,
    boolean,
    integer,
    limit,
    mapping,
    number,
    plain_texts,
    read_json,
    refuse_lookalikes,
    string,
    text_of_base64,
    written,
    wrong_type,
)
from proxy.facts import Ask, Reasoning, Turn

_KEYS = frozenset(
    [
        "model",
        "messages",
        "system",
        "stream",
        "max_tokens",
        "temperature",
        "top_p",
        "thinking",
        "output_config",
        "tools",
        "metadata",
    ]
)
_MESSAGE_KEYS = frozenset(("role", "content"))
_BLOCK_KEYS = frozenset(
    ["type", "text", "thinking", "title", "context", "content", "input", "source"]
)


def read(body: bytes, path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    return ReadAsk(_ask(parsed), parsed)


def asks_of(parsed: JsonObject, _path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`."""
    return (_ask(parsed),)


def _ask(parsed: JsonObject) -> Ask:
    """Built by position, like the OpenAI one, for speed."""
    refuse_lookalikes(parsed, _KEYS)
    get = parsed.get
    messages = get("messages")
    if type(messages) is not list:
        raise wrong_type("messages", "an array")
    turns: list[Turn] = []
    system = get("system")
    if system is not None:
        system = _text(system, "system")
        turns.append(Turn("system", system))
    later_system = _turns(messages, turns)
    if later_system:
        system = "\n".join([system, *later_system] if system else later_system)
    thinking, output_config = get("thinking"), get("output_config")
    return Ask(
        None if (value := get("model")) is None else string(value, "model"),
        tuple(turns),
        system or "",
        (value := get("stream")) is not None and boolean(value, "stream"),
        None if (value := get("max_tokens")) is None else limit(value, "max_tokens"),
        1,  # choices: the API knows neither them nor log probabilities
        None if (value := get("temperature")) is None else number(value, "temperature"),
        None if (value := get("top_p")) is None else number(value, "top_p"),
        False,
        None,
        (),
        _reasoning(thinking, output_config) if thinking or output_config else None,
        () if (value := get("tools")) is None else _tool_names(value),
        None if (value := get("metadata")) is None else end_user(value),
        True,
        tuple(parsed),
    )


def _turns(messages: list[Any], turns: list[Turn]) -> list[str]:
    """Append the messages' turns; returns the texts of those in the system role."""
    system: list[str] = []
    for index, message in enumerate(messages):
        if type(message) is not dict:
            raise wrong_type(f"messages[{index}]", "an object")
        role = message.get("role")
        if type(role) is not str:
            raise wrong_type(f"messages[{index}].role", "a string")
        content = message.get("content")
        if len(message) != 2 or content is None:
            refuse_lookalikes(message, _MESSAGE_KEYS)
        if type(content) is str:
            text = content
        elif type(content) is list and (texts := plain_texts(content)) is not None:
            text = "\n".join(texts)
        else:
            text = _text(content, f"messages[{index}].content")
        turns.append(Turn(role, text))
        if role == "system":
            system.append(text)
    return system


def _text(content: object, field: str) -> str:
    texts: list[str] = []
    _content_texts(content, field, texts)
    return "\n".join(texts)


def _content_texts(content: object, field: str, texts: list[str]) -> None:
    """Collect the text of a string, of blocks, or of blocks inside of blocks.

    Recursion is bounded by the parser's depth: each step goes down at least one level of JSON.
    """
    if type(content) is str:
        texts.append(content)
    elif type(content) is list:
        for index, block in enumerate(content):
            if type(block) is not dict:
                raise wrong_type(f"{field}[{index}]", "an object")
            _block_texts(block, f"{field}[{index}]", texts)
    elif type(content) is dict:
        _block_texts(content, field, texts)  # the result of a server tool
    elif content is not None:
        raise wrong_type(field, "a string or an array")


def _block_texts(block: JsonObject, field: str, texts: list[str]) -> None:
    refuse_lookalikes(block, _BLOCK_KEYS)
    for key in ("title", "context", "text", "thinking"):
        text = block.get(key)
        if text is not None:
            if type(text) is not str:
                raise wrong_type(f"{field}.{key}", "a string")
            texts.append(text)
    _content_texts(block.get("content"), f"{field}.content", texts)
    called = block.get("input")
    if called:
        # What a model is told that it has called reads to it like any other text.
        texts.append(written(called))
    source = block.get("source")
    if type(source) is dict:
        # Of documents: plain text and blocks; images and files are not text.
        if source.get("type") == "text":
            texts.append(string(source.get("data"), f"{field}.source.data"))
        elif type(media := source.get("media_type")) is str and media.startswith("text/"):
            texts.append(text_of_base64(source.get("data"), f"{field}.source.data"))
        else:
            _content_texts(source.get("content"), f"{field}.source.content", texts)


def _reasoning(thinking: object, output_config: object) -> Reasoning | None:
    asked = mapping(thinking, "thinking").get
    kind = asked("type")
    budget = asked("budget_tokens")
    if budget is not None:
        budget = integer(budget, "thinking.budget_tokens")
    effort = mapping(output_config, "output_config").get("effort")
    if effort is not None:
        effort = string(effort, "output_config.effort")
    elif kind is not None and string(kind, "thinking.type") not in {"enabled", "disabled"}:
        effort = kind  # adaptive: the model decides
    return None if effort is None and budget is None else Reasoning(effort, budget)


def _tool_names(tools: object) -> tuple[str, ...]:
    return tuple(
        name
        for index, tool in enumerate(array(tools, "tools"))
        if type(name := mapping(tool, f"tools[{index}]").get("name")) is str
    )


def end_user(metadata: object) -> str | None:
    """Whom the caller asks for, by `metadata.user_id`; an empty one names nobody."""
    user = mapping(metadata, "metadata").get("user_id")
    return None if user is None else string(user, "metadata.user_id") or None


class AnthropicMessages:
    """See `base.Dialect`."""

    name = "anthropic_messages"
    path_hints = ("/v1/messages", "/v1/complete")
    header_hints = (b"anthropic-version", b"anthropic-beta")

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(anthropic_refusal)

    def ask_usage(self, body: bytes, parsed: JsonObject) -> bytes | None:
        """Streams report their usage unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply. Usage stands in events that clients need: none is dropped."""
        return AnthropicStream() if streamed else AnthropicPlain()


ANTHROPIC_MESSAGES = AnthropicMessages()
