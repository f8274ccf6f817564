"""
OpenAI legacy completions: POST /v1/completions, as vLLM, SGLang and many others still serve base models.

Shapes: openai-python `types/completion_create_params.py`; vLLM `CompletionRequest`. A body may hold several
prompts, and a prompt may be token ids: each prompt is one ask, and ids are read as words of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.jsonbody import (
    JsonObject,
    UnreadableBody,
    boolean,
    integer,
    number,
    read_json,
    refuse_lookalikes,
    string,
    wrong_type,
)
from proxy.dialects.openai_chat import (
    CONSTRAINTS,
    MAX_PROMPTS,
    end_user,
    logit_bias,
    model_of,
)
from proxy.dialects.openai_limits import CHOICES, LIMITS, choices, output_limit
from proxy.dialects.openai_replies import CompletionStream, OpenAIPlain, openai_refusal
from proxy.dialects.stream_usage import ask_usage, asks_usage
from proxy.facts import Ask, Turn

_KEYS = frozenset(
    [
        "model",
        "prompt",
        "suffix",
        "stream",
        "stream_options",
        *LIMITS,
        *CHOICES,
        "echo",
        "logprobs",
        "prompt_logprobs",
        "logit_bias",
        "temperature",
        "top_p",
        "user",
        "prompt_embeds",
    ]
)

_LETTERS = str.maketrans("0123456789", "bcdfghjklm")
"""Consonants: no word of any language comes of them."""


def read(body: bytes, path: str = "") -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    first, *more = asks_of(parsed, path)
    return ReadAsk(first, parsed, tuple(more))


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`: one for each prompt."""
    refuse_lookalikes(parsed, _KEYS)
    if parsed.get("prompt_embeds") is not None:
        raise UnreadableBody("wrong_type", "prompt_embeds is not served: it cannot be read.")
    get = parsed.get
    stream = (value := get("stream")) is not None and boolean(value, "stream")
    logprobs = get("logprobs")
    echo = (value := get("echo")) is not None and boolean(value, "echo")
    prompt_logprobs = (value := get("prompt_logprobs")) is not None and integer(
        value, "prompt_logprobs"
    ) != 0
    suffix = get("suffix")
    suffix = "" if suffix is None else string(suffix, "suffix")
    first, *others = _prompts(get("prompt"))
    ask = Ask(
        model_of(get("model"), path),
        (Turn("user", first + suffix),),
        stream=stream,
        max_output_tokens=output_limit(parsed),
        choices=choices(parsed),
        temperature=None if (v := get("temperature")) is None else number(v, "temperature"),
        top_p=None if (v := get("top_p")) is None else number(v, "top_p"),
        logprobs=logprobs is not None,
        top_logprobs=None if logprobs is None else integer(logprobs, "logprobs"),
        logit_bias=() if (v := get("logit_bias")) is None else logit_bias(v),
        end_user=end_user(None, get("user")),
        asks_usage=not stream or asks_usage(get("stream_options")),
        parameters=tuple(parsed),
        prompt_logprobs=prompt_logprobs or (echo and logprobs is not None),
        constrained=not CONSTRAINTS.isdisjoint(parsed),
        echo=echo,
    )
    more = [replace(ask, turns=(Turn("user", prompt + suffix),)) for prompt in others]
    return (ask, *more)


def _prompts(value: object) -> list[str]:
    """The prompts as text; one that is absent is empty, as the API has it."""
    if value is None:
        return [""]
    if type(value) is str:
        return [value]
    if type(value) is not list:
        raise wrong_type("prompt", "a string or an array")
    if not value or type(value[0]) is int:
        return [token_words(value, "prompt")]
    if len(value) > MAX_PROMPTS:
        raise UnreadableBody("too_many_values", "The body holds too many prompts.")
    return [
        one if type(one) is str else token_words(one, f"prompt[{index}]")
        for index, one in enumerate(value)
    ]


def token_words(value: Any, field: str) -> str:
    """Token ids as words, each digit a letter: numbers would be left out of what tells prompts apart."""
    if type(value) is not list or not all(type(token) is int for token in value):
        raise wrong_type(field, "a string or an array of token ids")
    return " ".join(map(str, value)).translate(_LETTERS)


class OpenAICompletions:
    """See `base.Dialect`."""

    name = "openai_completions"
    path_hints: tuple[str, ...] = ()
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    ask_usage = staticmethod(ask_usage)
    refusal = staticmethod(openai_refusal)

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply."""
        return CompletionStream(drop_usage=drop_usage) if streamed else OpenAIPlain()


OPENAI_COMPLETIONS = OpenAICompletions()
