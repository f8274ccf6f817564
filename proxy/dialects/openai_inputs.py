"""
What takes text and answers no text: embeddings, moderations, tokenizers, pooling, scores and rankings, of
OpenAI and of vLLM; and what makes pictures, whose prompt is read and whose `n` is counted. Pictures that
are edited or varied come as forms, which are not read, or as JSON, which is.

Shapes: openai-python `types/embedding_create_params.py`, `moderation_create_params.py`; vLLM
`EmbeddingRequest`, `ScoreRequest`, `RerankRequest`, `TokenizeRequest`. All texts of a body are one ask.
"""

from __future__ import annotations

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    boolean,
    mapping,
    read_json,
    refuse_lookalikes,
    string,
    wrong_type,
)
from proxy.dialects.openai_chat import end_user, model_of
from proxy.dialects.openai_chat import turns_of as chat_turns
from proxy.dialects.openai_completions import token_words
from proxy.dialects.openai_limits import CHOICES, choices
from proxy.dialects.openai_replies import InputsPlain, openai_refusal
from proxy.facts import Ask, Turn

_TEXTS = (
    "input",
    "prompt",
    "tokens",
    "text_1",
    "text_2",
    "queries",
    "query",
    "items",
    "documents",
    "data_1",
    "data_2",
)
"""Every field that one of these surfaces reads text from."""
_KEYS = frozenset([*_TEXTS, *CHOICES, "model", "messages", "user", "stream"])
PICTURES = ("/images/generations", "/images/edits", "/images/variations")
_PART_KEYS = frozenset(["type", "text", "content"])


def read(body: bytes, path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    return ReadAsk(asks_of(parsed, path)[0], parsed)


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`."""
    refuse_lookalikes(parsed, _KEYS)
    get = parsed.get
    turns: tuple[Turn, ...] = ()
    system = ""
    messages = get("messages")
    if messages is not None:
        if type(messages) is not list:
            raise wrong_type("messages", "an array")
        turns, system = chat_turns(messages)
    texts: list[str] = []
    for name in _TEXTS:
        _collect(get(name), name, texts)
    if texts:
        turns += (Turn("user", "\n".join(texts)),)
    draws = path.endswith(PICTURES)
    ask = Ask(
        model_of(get("model"), path),
        turns,
        system,
        stream=draws and (value := get("stream")) is not None and boolean(value, "stream"),
        choices=choices(parsed) if draws else 1,
        end_user=end_user(None, get("user")),
        parameters=tuple(parsed),
    )
    return (ask,)


def _collect(value: object, field: str, texts: list[str]) -> None:
    """Strings, lists of them, of token ids, or of parts with a text."""
    if type(value) is str:
        texts.append(value)
    elif type(value) is list:
        if value and type(value[0]) is int:
            texts.append(token_words(value, field))
            return
        for index, one in enumerate(value):
            _collect(one, f"{field}[{index}]", texts)
    elif type(value) is dict:
        part = mapping(value, field)
        refuse_lookalikes(part, _PART_KEYS)
        if (text := part.get("text")) is not None:
            texts.append(string(text, f"{field}.text"))
        _collect(part.get("content"), f"{field}.content", texts)
    elif value is not None:
        raise wrong_type(field, "a string or an array")


class OpenAIInputs:
    """See `base.Dialect`."""

    name = "openai_inputs"
    path_hints: tuple[str, ...] = ()
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(openai_refusal)

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: replies report their usage unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply; none is streamed as text."""
        return InputsPlain()


OPENAI_INPUTS = OpenAIInputs()
