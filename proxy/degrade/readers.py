"""Which editor and which framing a reply gets, by its dialect and how it comes."""

from __future__ import annotations

from typing import Final

from proxy.decision import Degradation
from proxy.degrade.anthropic_complete_reply import CompleteEditor
from proxy.degrade.anthropic_reply import MessageEditor
from proxy.degrade.editor import Editor, Shape
from proxy.degrade.gemini_reply import GeminiEditor
from proxy.degrade.lines import DegradedLines
from proxy.degrade.openai_chat_reply import ChatEditor, CompletionEditor
from proxy.degrade.openai_responses_reply import ResponsesEditor
from proxy.degrade.replies import (
    DegradedArray,
    DegradedReply,
    DegradedStream,
    DegradedWhole,
)
from proxy.degrade.settings import JsonObject
from proxy.dialects.base import ReplyReader
from proxy.dialects.replies import BYTES_PER_TOKEN
from proxy.facts import Ask, Route


class StoredEditor(ChatEditor):
    """A batch's results on OpenAI's surface: each line may hold a reply of any of its APIs."""

    def object(self, found: JsonObject) -> bool:
        """See `Editor.object`."""
        responses = ResponsesEditor(self.shape)
        changed = super().object(found) | responses.object(found)
        self.touched |= responses.touched
        return changed


EDITORS: Final[dict[str, type[Editor]]] = {
    "openai_chat": ChatEditor,
    "openai_completions": CompletionEditor,
    "openai_responses": ResponsesEditor,
    "openai_files": StoredEditor,
    "anthropic_messages": MessageEditor,
    "anthropic_complete": CompleteEditor,
    "anthropic_batches": MessageEditor,
    "gemini_generate": GeminiEditor,
    "gemini_batch": GeminiEditor,
}
"""Dialect → who changes its replies. Others answer no text."""

_LINES: Final = ("openai_files", "anthropic_batches", "gemini_batch")
"""Dialects whose replies are results in lines, or objects that a line is."""


def changes_replies(route: Route | None, degradation: Degradation) -> bool:
    """Whether replies of a route have to be read and changed."""
    if route is None or route.dialect not in EDITORS or not route.operation:
        return False  # routes without an operation, served by name, may answer anything
    return degradation.shapes_replies


def degraded_reader(
    inner: ReplyReader,
    route: Route,
    degradation: Degradation,
    asks: tuple[Ask, ...],
    *,
    streamed: bool,
    closing: str | None = None,
) -> DegradedReply:
    """A reader in front of `inner` that takes what the policy wants taken. `asks` is what was asked for,
    where the body tells; `closing` ends the reasoning in which the request ends."""
    stored = route.dialect in _LINES or route.kind == "metered"
    shape = Shape(
        degradation.hide_reasoning,
        degradation.takes_logprobs,
        None if stored else degradation.cut_after,  # what is stored was answered long ago
        sum(ask.choices for ask in asks) or 1,
        _input_tokens(asks) if degradation.cut_after is not None else 0,
        any(ask.stream and ask.asks_usage for ask in asks),
        closing,
    )
    editor = EDITORS[route.dialect](shape)
    framing: type[DegradedReply] = DegradedWhole
    if streamed:
        framing = DegradedStream
    elif route.dialect in _LINES and not _is_object(route):
        framing = DegradedLines
    elif route.dialect == "gemini_generate" and any(ask.stream for ask in asks):
        framing = DegradedArray
    return framing(inner, editor, None if stored else degradation.pace)


def _is_object(route: Route) -> bool:
    """Whether a route of batches answers with one object, which may be written over many lines."""
    return route.dialect == "gemini_batch" and not route.template.endswith(":download")


def _input_tokens(asks: tuple[Ask, ...]) -> int:
    size = sum(len(turn.text.encode()) for ask in asks for turn in ask.turns)
    return max(1, size // BYTES_PER_TOKEN)
