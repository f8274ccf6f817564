"""
How many tokens a request may use, told before: by what it asks for, and by what its account and model
have used of late. Each replica learns for itself; what it knows is bounded, and lost when it ends.

Pure but for what it remembers. Too high an estimate holds room back while a request lasts, too low a one
is charged late: at a cold start it is high.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from proxy.facts import ANSWERING, NO_USAGE, Ask, Client, Usage, prompt_bytes

REMEMBERED: Final = 16_384
"""Accounts' models that are remembered, those seen last: some 4 MiB."""

COLD_PER_BYTE: Final = 0.5
"""Tokens a byte of a prompt, where nothing is known: English has a quarter, Chinese a third or more."""
COLD_OVERHEAD: Final = 32
"""Tokens around a prompt, where nothing is known."""
COLD_OUTPUT: Final = 2048
"""Tokens of an answer whose length nobody limits, where nothing is known."""

HEADROOM: Final = 1.5
"""How much longer than those before an answer is taken to be."""
LEAST_OUTPUT: Final = 256
"""Tokens of an answer whose length nobody limits: no past makes an estimate smaller. Short answers would
else teach that many long ones fit at once."""
MOST_LEARNED: Final = 65_536
"""Tokens of an answer: no past makes an estimate greater."""

_WEIGHT = 0.25
"""Of the newest; older ones fade."""
_LONGEST_NAME = 128
_LEAST_PER_BYTE, _MOST_PER_BYTE = 1 / 16, 1.0


class _Past:
    """What one account has used of one model, each a mean that fades."""

    __slots__ = ("output", "overhead", "per_byte", "reasoning")

    def __init__(self) -> None:
        self.per_byte: float | None = None
        self.overhead = 0.0
        """What came with prompts besides their text: tools, images."""
        self.output: float | None = None
        self.reasoning: float | None = None


class Estimates:
    """Estimates requests, and learns from what they have used."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, str], _Past] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, client: Client, ask: Ask | None, operation: str) -> Usage:
        """What a request may use. Output holds the reasoning."""
        if ask is None:
            return NO_USAGE
        name = _name(client, ask)
        past = self._known.get(name)
        if past is None:
            past = _COLD
        else:
            self._known.move_to_end(name)
        given = _input(past, prompt_bytes(ask))
        if operation not in ANSWERING:
            return Usage(given, 0, 0)
        made = _output(past, ask) + (given * ask.choices if ask.echo else 0)
        return Usage(given, made, min(_reasoning(past, ask), made))

    def learn(self, client: Client, asks: Sequence[Ask], usage: Usage) -> None:
        """What the upstream reports that all asks of one body have used together."""
        name = _name(client, asks[0])
        past = self._known.get(name)
        if past is None:
            past = self._known[name] = _Past()
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        if usage.input_tokens is not None:
            size = sum(prompt_bytes(ask) for ask in asks)
            ratio = usage.input_tokens / size if size else _LEAST_PER_BYTE
            ratio = min(max(ratio, _LEAST_PER_BYTE), _MOST_PER_BYTE)
            first = past.per_byte is None
            past.per_byte = _faded(past.per_byte, ratio)
            besides = max(0.0, usage.input_tokens - past.per_byte * size) / len(asks)
            past.overhead = _faded(None if first else past.overhead, besides)
        answers = sum(ask.choices for ask in asks)
        if usage.output_tokens is not None:
            past.output = _faded(past.output, usage.output_tokens / answers)
        if usage.reasoning_tokens is not None:
            past.reasoning = _faded(past.reasoning, usage.reasoning_tokens / answers)


_COLD: Final = _Past()


def _name(client: Client, ask: Ask) -> tuple[str, str]:
    who = client.address if client.unproven else client.account or client.address
    return who, (ask.model or "")[:_LONGEST_NAME]


def _faded(before: float | None, newest: float) -> float:
    return newest if before is None else before + (newest - before) * _WEIGHT


def _input(past: _Past, size: int) -> int:
    if past.per_byte is None:
        return COLD_OVERHEAD + int(size * COLD_PER_BYTE)
    return round(past.overhead + size * past.per_byte)


def _output(past: _Past, ask: Ask) -> int:
    if ask.max_output_tokens is not None:
        return ask.max_output_tokens * ask.choices
    if past.output is None:
        return COLD_OUTPUT * ask.choices
    return _learned(past.output) * ask.choices


def _reasoning(past: _Past, ask: Ask) -> int:
    asked = ask.reasoning
    if asked is not None and asked.budget_tokens is not None and asked.budget_tokens >= 0:
        return asked.budget_tokens * ask.choices
    thinks = asked is not None and asked.effort not in {None, "none"}
    if past.reasoning is None:
        return COLD_OUTPUT * ask.choices if thinks else 0
    # A model that has never reasoned is not taken to begin with it unasked.
    return _learned(past.reasoning) * ask.choices if past.reasoning or thinks else 0


def _learned(mean: float) -> int:
    return min(max(round(mean * HEADROOM) + 1, LEAST_OUTPUT), MOST_LEARNED)
