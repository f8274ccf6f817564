"""
generateContent: what is taken from a reply, whole or in pieces.

Parts of thought go whole. So do thought signatures, which only the API itself can read, save for those of
function calls: newer models refuse a call's result without them. Reasoning that a server has left at the
start of the text itself is taken out of it, of each candidate for itself.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.degrade.editor import Budget, Editor, Shape, by_bytes
from proxy.degrade.settings import JsonObject
from proxy.degrade.think import Think, unopened
from proxy.degrade.trimming import trimmed_call
from proxy.dialects.jsonbody import written

_LOGPROBS: Final = ("logprobsResult", "avgLogprobs")
_CALLS: Final = ("functionCall", "toolCall")
_HELD: Final = {"functionCall": "args", "toolCall": "args", "executableCode": "code"}
"""What a part may hold besides text that a model has written, and where in there."""


class GeminiEditor(Editor):
    """See `Editor`."""

    length_stop = "MAX_TOKENS"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._spent: dict[int, int] = {}
        self._over: set[int] = set()
        self._thinks: dict[int, Think] = {}

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        candidates = event.get("candidates")
        if type(candidates) is not list:
            return None
        changed = False
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
            think = self._thinks.setdefault(index, Think(self.shape.closing))
            changed |= self._take(candidate, think, over=bool(candidate.get("finishReason")))
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
            tokens, spent = by_bytes(_written(part)), self._spent.get(index, 0)
            if most is not None and spent + tokens > most:
                tokens = most - spent
                _shorten(part, Budget(tokens))
                candidate.pop("logprobsResult", None)
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
            if type(candidate) is dict:
                changed |= self._take(candidate, Think(self._closing(candidate)), over=True)
        return changed

    def _closing(self, candidate: JsonObject) -> str | None:
        texts = [text for part in _parts(candidate) if type(text := part.get("text")) is str]
        return self.shape.closing or unopened("".join(texts))

    def _take(self, candidate: JsonObject, think: Think, *, over: bool) -> bool:
        """Take out of a candidate, or a piece of one, what may not be seen; whether there was any."""
        changed = False
        if self.shape.strip_logprobs:
            for name in _LOGPROBS:
                if candidate.pop(name, None) is not None:
                    changed = True
                    self.touched.add("logprobs")
        if self.shape.hide_reasoning:
            hidden = _hide(candidate)
            changed |= hidden | _hide_text(candidate, think, over=over)
            if hidden or think.hidden:
                self.touched.add("reasoning")
        return changed

    def rest(self) -> list[JsonObject]:
        """Beginnings that were held back: the stream has ended without a finish reason."""
        return [
            {"candidates": [{"index": index, "content": _said(held)}]}
            for index, think in self._thinks.items()
            if index not in self._over and (held := think.end())
        ]

    def cut(self, reply: JsonObject, most: int) -> bool:
        """See `Editor.cut`."""
        short = False
        for candidate in reply.get("candidates") or ():
            if type(candidate) is not dict:
                continue
            budget = Budget(most)
            kept: list[JsonObject] = []
            for part in _parts(candidate):
                if budget.left <= 0 and _written(part):
                    budget.short = True
                    break
                _shorten(part, budget)
                kept.append(part)
            self.passed += budget.spent
            if budget.short:
                candidate["content"]["parts"] = kept
                candidate.pop("logprobsResult", None)
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


def _written(part: JsonObject) -> str:
    """What a model has written in a part."""
    text = part.get("text")
    if type(text) is str:
        return text
    held = {key: part[key] for key in _HELD if key in part}
    return written(held) if held else ""


def _shorten(part: JsonObject, budget: Budget) -> None:
    if type(part.get("text")) is str:
        part["text"] = budget.take(part["text"])
    for key, inner in _HELD.items():
        call = part.get(key)
        if type(call) is dict and call.get(inner):
            call[inner] = trimmed_call(call[inner], budget)


def _said(text: str) -> JsonObject:
    return {"role": "model", "parts": [{"text": text}]}


def _hide_text(candidate: JsonObject, think: Think, *, over: bool) -> bool:
    """Take reasoning out of the text of what comes next; whether something is changed."""
    emptied: list[JsonObject] = []
    changed = False
    for part in _parts(candidate):
        text = part.get("text")
        if think.passes or type(text) is not str or not text:
            continue
        part["text"] = seen = think.feed(text)
        if seen != text:
            changed = True
            emptied += [part] if not seen and len(part) == 1 else []
    if emptied:
        content = candidate["content"]
        content["parts"] = [part for part in content["parts"] if part not in emptied]
    if over and (held := think.end()):
        content = candidate.get("content")
        if type(content) is dict and type(content.get("parts")) is list:
            content["parts"].append({"text": held})
        else:
            candidate["content"] = _said(held)
        changed = True
    return changed


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
