"""
generateContent: what is taken from a reply, whole or in pieces.

Parts of thought go whole. So do thought signatures, which only the API itself can read, save for those of
function calls: newer models refuse a call's result without them.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.degrade.editor import Budget, Editor, Shape, by_bytes, shortened
from proxy.degrade.settings import JsonObject
from proxy.dialects.jsonbody import written

_LOGPROBS: Final = ("logprobsResult", "avgLogprobs")
_CALLS: Final = ("functionCall", "toolCall")


class GeminiEditor(Editor):
    """See `Editor`."""

    length_stop = "MAX_TOKENS"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._spent: dict[int, int] = {}
        self._over: set[int] = set()

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        candidates = event.get("candidates")
        if type(candidates) is not list:
            return None
        changed = self.object(event)
        kept: list[Any] = []
        cut = False
        for candidate in candidates:
            if type(candidate) is not dict:
                continue
            index = candidate.get("index")
            index = index if type(index) is int else 0
            if index in self._over:
                changed = True
                continue
            cut |= self._count(candidate, index)
            kept.append(candidate)
        if cut:
            self.touched.add("output")
            self.ended = len(self._over) >= self.shape.choices
            self._tell(event)
        if not (changed or cut):
            return None
        event["candidates"] = kept
        nothing = not any(one.get("finishReason") or _parts(one) for one in kept)
        return [] if nothing and not event.get("promptFeedback") else [event]

    def _count(self, candidate: JsonObject, index: int) -> bool:
        """Count what passes; whether the candidate ends here."""
        most = self.shape.cut_after
        for part in _parts(candidate):
            text = part.get("text")
            tokens = by_bytes(text if type(text) is str else written(part))
            spent = self._spent.get(index, 0)
            if most is not None and spent + tokens > most:
                tokens = most - spent
                if type(text) is str:
                    part["text"] = shortened(text, tokens)
            self._spent[index] = spent + tokens
            self.passed += tokens
        if candidate.get("finishReason"):
            self._over.add(index)
        if most is None or self._spent.get(index, 0) < most:
            return False
        self._over.add(index)
        candidate["finishReason"] = self.length_stop
        return True

    def _tell(self, event: JsonObject) -> None:
        """The usage of what has passed."""
        usage = event.get("usageMetadata")
        if type(usage) is dict:
            given = usage.get("promptTokenCount")
            usage.pop("thoughtsTokenCount", None)
            usage["candidatesTokenCount"] = self.passed
            usage["totalTokenCount"] = self.passed + (given if type(given) is int else 0)

    def object(self, found: JsonObject) -> bool:
        """See `Editor.object`: a reply, or a piece of one."""
        changed = False
        candidates = found.get("candidates")
        for candidate in candidates if type(candidates) is list else ():
            if type(candidate) is not dict:
                continue
            if self.shape.strip_logprobs:
                for name in _LOGPROBS:
                    if candidate.pop(name, None) is not None:
                        changed = True
                        self.touched.add("logprobs")
            if self.shape.hide_reasoning and _hide(candidate):
                changed = True
                self.touched.add("reasoning")
        return changed

    def cut(self, reply: JsonObject, most: int) -> bool:
        """See `Editor.cut`."""
        short = False
        for candidate in reply.get("candidates") or ():
            if type(candidate) is not dict:
                continue
            budget = Budget(most)
            for part in _parts(candidate):
                if type(part.get("text")) is str:
                    part["text"] = budget.take(part["text"])
            self.passed += budget.spent
            if budget.short:
                candidate["finishReason"] = self.length_stop
                short = True
        if short:
            self.touched.add("output")
            self.ended = True
            self._tell(reply)
        return short


def _parts(candidate: JsonObject) -> list[JsonObject]:
    content = candidate.get("content")
    parts = content.get("parts") if type(content) is dict else None
    return [part for part in parts if type(part) is dict] if type(parts) is list else []


def _hide(candidate: JsonObject) -> bool:
    parts = _parts(candidate)
    kept = [part for part in parts if part.get("thought") is not True]
    changed = len(kept) < len(parts)
    for part in kept:
        if "thoughtSignature" in part and not any(call in part for call in _CALLS):
            del part["thoughtSignature"]
            changed = True
    if changed:
        candidate["content"]["parts"] = [part for part in kept if part]
    return changed
