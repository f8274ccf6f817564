"""Legacy completions of Anthropic's API: what is taken from a reply, whole or in events."""

from __future__ import annotations

from proxy.degrade.editor import Budget, Editor, Shape, by_bytes, shortened
from proxy.degrade.settings import JsonObject
from proxy.degrade.think import Think, without_thinking


class CompleteEditor(Editor):
    """Legacy completions: text alone."""

    named = True
    length_stop = "max_tokens"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._think = Think(shape.closing)

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        text = event.get("completion")
        if type(text) is not str:
            return None
        changed = False
        if self.shape.hide_reasoning and not self._think.passes:
            seen = self._seen(text, over=event.get("stop_reason") is not None)
            if not seen and text and event.get("stop_reason") is None:
                return []
            changed = seen != text
            event["completion"] = text = seen
        tokens, most = by_bytes(text), self.shape.cut_after
        if most is None or self.passed + tokens < most:
            self.passed += tokens
            return [event] if changed else None
        event["completion"] = shortened(text, most - self.passed)
        event["stop_reason"] = None
        self.passed, self.ended = most, True
        self.touched.add("output")
        return [event, {**event, "completion": "", "stop_reason": self.length_stop}]

    def _seen(self, text: str, *, over: bool) -> str:
        seen = self._think.feed(text) if text else ""
        if over:
            seen += self._think.end()
        if self._think.hidden:
            self.touched.add("reasoning")
        return seen

    def rest(self) -> list[JsonObject]:
        """A beginning that was held back: the stream has ended without a reason."""
        held = self._think.end()
        return [{"type": "completion", "completion": held, "stop_reason": None}] if held else []

    def object(self, found: JsonObject) -> bool:
        """See `Editor.object`: a completion."""
        text = found.get("completion")
        if not self.shape.hide_reasoning or type(text) is not str:
            return False
        found["completion"] = seen = without_thinking(text, self.shape.closing)
        if seen == text:
            return False
        self.touched.add("reasoning")
        return True

    def cut(self, reply: JsonObject, most: int) -> bool:
        """See `Editor.cut`."""
        budget = Budget(most)
        text = reply.get("completion")
        if type(text) is str:
            reply["completion"] = budget.take(text)
        self.passed += budget.spent
        if budget.short:
            reply["stop_reason"] = self.length_stop
            self.ended = True
            self.touched.add("output")
        return budget.short
