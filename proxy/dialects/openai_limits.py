"""
How much output and how many answers a body of OpenAI's kind asks for, by every name that a server knows.

An upstream that knows one of the names may ignore the others, and we do not know which: the largest counts.
llama.cpp takes its own names before OpenAI's, on its responses too (`server.cpp`, `json_value(data,
"n_predict", …max_tokens…)`, and `n_cmpl` before `n`); `max_new_tokens` is TGI's.
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.jsonbody import JsonObject, integer, limit

LIMITS: Final = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n_predict",
    "max_new_tokens",
)
CHOICES: Final = ("n", "best_of", "n_cmpl")
"""`best_of` are made, though only `n` of them are told."""


def output_limit(parsed: JsonObject) -> int | None:
    """The largest limit of output tokens. One below zero is none, and none is larger than any."""
    get = parsed.get
    largest, unlimited = -1, False
    for name in LIMITS:
        value = get(name)
        if value is None:
            continue
        tokens = limit(value, name)
        if tokens is None:
            unlimited = True
        elif tokens > largest:
            largest = tokens
    return None if unlimited or largest < 0 else largest


def choices(parsed: JsonObject) -> int:
    """How many answers are made, at least one."""
    get = parsed.get
    most = 1
    for name in CHOICES:
        value = get(name)
        if value is not None and (asked := integer(value, name)) > most:
            most = asked
    return most
