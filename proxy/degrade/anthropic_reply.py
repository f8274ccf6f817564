"""
Messages and legacy completions of Anthropic's API: what is taken from a reply, whole or in events.

Blocks of thinking go whole, signature included, and the blocks behind them are numbered anew: an emptied
block that a caller sends back would be refused, for its signature no longer fits. `anthropic_request.py`
sees to it that a turn without its thinking can be answered.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.degrade.editor import Budget, Editor, Shape, by_bytes, shortened
from proxy.degrade.settings import JsonObject

_THINKING: Final = ("thinking", "redacted_thinking")
_SAID: Final = ("text", "partial_json", "thinking")


class MessageEditor(Editor):
    """See `Editor`."""

    named = True
    length_stop = "max_tokens"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._hidden: set[int] = set()
        self._open: int | None = None

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        changed = False
        index = event.get("index")
        if type(index) is int:
            block = event.get("content_block")
            if self.shape.hide_reasoning:
                if type(block) is dict and block.get("type") in _THINKING:
                    self._hidden.add(index)
                    self.touched.add("reasoning")
                if index in self._hidden or _is_thought(event.get("delta")):
                    return []
            before = sum(1 for hidden in self._hidden if hidden < index)
            if before:
                event["index"] = index = index - before
                changed = True
            if type(block) is dict:
                self._open = index
            elif event.get("type") == "content_block_stop":
                self._open = None
        elif self.shape.hide_reasoning and type(message := event.get("message")) is dict:
            changed |= self.object(message)
        delta = event.get("delta")
        if event.get("type") != "content_block_delta" or type(delta) is not dict:
            return [event] if changed else None
        return self._count(event, delta, changed=changed)

    def _count(
        self, event: JsonObject, delta: JsonObject, *, changed: bool
    ) -> list[JsonObject] | None:
        key = next((name for name in _SAID if type(delta.get(name)) is str), None)
        tokens = 0 if key is None else by_bytes(delta[key])
        most = self.shape.cut_after
        if key is not None and most is not None and self.passed + tokens > most:
            tokens = most - self.passed
            delta[key] = shortened(delta[key], tokens)
            changed = True
        self.passed += tokens
        if most is not None and self.passed >= most:
            return [event, *self._ending()]
        return [event] if changed else None

    def _ending(self) -> list[JsonObject]:
        self.ended = True
        self.touched.add("output")
        events: list[JsonObject] = []
        if self._open is not None:
            events.append({"type": "content_block_stop", "index": self._open})
        stop = {"stop_reason": self.length_stop, "stop_sequence": None}
        usage = {"output_tokens": self.passed}
        events.append({"type": "message_delta", "delta": stop, "usage": usage})
        return [*events, {"type": "message_stop"}]

    def object(self, found: JsonObject) -> bool:
        """See `Editor.object`: a message."""
        content = found.get("content")
        if not self.shape.hide_reasoning or type(content) is not list:
            return False
        kept = [
            block
            for block in content
            if not (type(block) is dict and block.get("type") in _THINKING)
        ]
        if len(kept) == len(content):
            return False
        found["content"] = kept
        self.touched.add("reasoning")
        return True

    def cut(self, reply: JsonObject, most: int) -> bool:
        """See `Editor.cut`."""
        content = reply.get("content")
        if type(content) is not list:
            return False
        budget = Budget(most)
        kept: list[Any] = []
        for block in content:
            if budget.left <= 0:
                budget.short = True
                break
            if type(block) is dict:
                for key in ("text", "thinking"):
                    if type(block.get(key)) is str:
                        block[key] = budget.take(block[key])
            kept.append(block)
        self.passed += budget.spent
        if not budget.short:
            return False
        self.ended = True
        self.touched.add("output")
        reply |= {"content": kept, "stop_reason": self.length_stop, "stop_sequence": None}
        if type(usage := reply.get("usage")) is dict:
            usage["output_tokens"] = self.passed
        return True


class CompleteEditor(Editor):
    """Legacy completions: text alone."""

    named = True
    length_stop = "max_tokens"

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        text = event.get("completion")
        if type(text) is not str:
            return None
        tokens, most = by_bytes(text), self.shape.cut_after
        if most is None or self.passed + tokens < most:
            self.passed += tokens
            return None
        event["completion"] = shortened(text, most - self.passed)
        event["stop_reason"] = None
        self.passed, self.ended = most, True
        self.touched.add("output")
        return [event, {**event, "completion": "", "stop_reason": self.length_stop}]

    def object(self, _found: JsonObject) -> bool:
        """See `Editor.object`: there is nothing but text."""
        return False

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


def _is_thought(delta: object) -> bool:
    return type(delta) is dict and delta.get("type") in ("thinking_delta", "signature_delta")
