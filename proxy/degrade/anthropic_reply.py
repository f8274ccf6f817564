"""
Messages of Anthropic's API: what is taken from a reply, whole or in events.

Blocks of thinking go whole, signature included, and the blocks behind them are numbered anew: an emptied
block that a caller sends back would be refused, for its signature no longer fits. `anthropic_request.py`
sees to it that a turn without its thinking can be answered.

Servers without a reasoning parser leave it in a block's text, between `<think>` and `</think>`. A block of
nothing else goes whole, too, for the API takes no empty text back: so its start waits for its first word.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.degrade.editor import ENDLESS, Budget, Editor, Shape, by_bytes, shortened
from proxy.degrade.settings import JsonObject
from proxy.degrade.think import Think, without_thinking
from proxy.degrade.trimming import trimmed_call

_THINKING: Final = ("thinking", "redacted_thinking")
_SAID: Final = ("text", "partial_json", "thinking")
_HELD: Final = ("text", "thinking", "input")
"""What a model has written, in a whole block."""


class _Text:
    """A block of text as far as it has come."""

    __slots__ = ("start", "think")

    def __init__(self, start: JsonObject, closing: str | None) -> None:
        self.start: JsonObject | None = start
        """The event that begins the block, until it has passed."""
        self.think = Think(closing)


class MessageEditor(Editor):
    """See `Editor`."""

    named = True
    length_stop = "max_tokens"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._hidden: set[int] = set()
        self._texts: dict[int, _Text] = {}
        self._open: int | None = None
        self._closing = shape.closing
        """For the first text alone: it goes on where the request ends."""

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        index = event.get("index")
        if type(index) is not int:
            message = event.get("message")
            return [event] if type(message) is dict and self.object(message) else None
        if not self.shape.hide_reasoning:
            return self._passed(event, index, changed=False)
        block = event.get("content_block")
        if type(block) is dict and block.get("type") in _THINKING:
            self._hidden.add(index)
            self.touched.add("reasoning")
        if index in self._hidden or _is_thought(event.get("delta")):
            return []
        shown = self._shown(event, index)
        if shown is None:
            return self._passed(event, index, changed=False)
        events: list[JsonObject] = []
        for one in shown:
            events += self._passed(one, index, changed=True) or ()
            if self.ended:
                break
        return events

    def _shown(self, event: JsonObject, index: int) -> list[JsonObject] | None:
        """What of a block of text may be seen; None where the event passes as it is."""
        block, delta = event.get("content_block"), event.get("delta")
        if type(block) is dict and block.get("type") == "text":
            self._texts[index] = _Text(event, self._closing)
            self._closing = None
            return self._fed(index, block, event)
        if index not in self._texts:
            return None
        if type(delta) is dict and type(delta.get("text")) is str:
            return self._fed(index, delta, event)
        if event.get("type") == "content_block_stop":
            return self._over(index, event)
        start, self._texts[index].start = self._texts[index].start, None
        return None if start is None else [start, event]  # a citation before the first word

    def _fed(self, index: int, holder: JsonObject, event: JsonObject) -> list[JsonObject] | None:
        text = self._texts[index]
        given = holder.get("text")
        given = given if type(given) is str else ""
        seen = text.think.feed(given) if given else ""
        if text.think.hidden:
            self.touched.add("reasoning")
        holder["text"] = seen
        if not seen:
            return []
        start, text.start = text.start, None
        if start is None or start is event:
            return None if seen == given else [event]
        return [start, event]

    def _over(self, index: int, event: JsonObject) -> list[JsonObject] | None:
        """The end of a block of text: with what was held back of it, or without a block."""
        text = self._texts.pop(index)
        events = self._held(index, text)
        if text.start is None or events:
            return [*events, event] if events else None
        if text.think.hidden:
            self._hidden.add(index)
            return []
        return [text.start, event]

    def _held(self, index: int, text: _Text) -> list[JsonObject]:
        if not (held := text.think.end()):
            return []
        said = {"type": "text_delta", "text": held}
        delta = {"type": "content_block_delta", "index": index, "delta": said}
        return [delta] if text.start is None else [text.start, delta]

    def rest(self) -> list[JsonObject]:
        """Beginnings that were held back: the stream has ended within their block."""
        return [
            one
            for index, text in self._texts.items()
            for event in self._held(index, text)
            for one in self._passed(event, index, changed=True) or ()
        ]

    def _passed(self, event: JsonObject, index: int, *, changed: bool) -> list[JsonObject] | None:
        """Number what passes anew, and count it."""
        before = sum(1 for hidden in self._hidden if hidden < index)
        if before:
            event["index"] = index - before
            changed = True
        block = event.get("content_block")
        if type(block) is dict:
            self._open = index - before
            return self._begun(event, block, changed=changed)
        if event.get("type") == "content_block_stop":
            self._open = None
        delta = event.get("delta")
        if event.get("type") != "content_block_delta" or type(delta) is not dict:
            return [event] if changed else None
        return self._count(event, delta, changed=changed)

    def _begun(
        self, event: JsonObject, block: JsonObject, *, changed: bool
    ) -> list[JsonObject] | None:
        """Count what the start of a block holds already."""
        if not any(block.get(key) for key in _HELD):
            return [event] if changed else None
        most = self.shape.cut_after
        budget = Budget(ENDLESS if most is None else most - self.passed)
        _shorten(block, budget)
        self.passed += budget.spent
        if budget.left <= 0:
            return [event, *self._ending()]
        return [event] if changed else None

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
        kept: list[Any] = []
        changed, closing = False, self.shape.closing
        for block in content:
            kind = block.get("type") if type(block) is dict else None
            hidden = kind in _THINKING
            if kind == "text" and type(block.get("text")) is str:
                seen = without_thinking(block["text"], closing)
                closing = None
                changed |= seen != block["text"]
                hidden = not seen and seen != block["text"]
                block["text"] = seen
            if hidden:
                changed = True
            else:
                kept.append(block)
        if changed:
            found["content"] = kept
            self.touched.add("reasoning")
        return changed

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
                _shorten(block, budget)
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


def _shorten(block: JsonObject, budget: Budget) -> None:
    for key in _HELD:
        if block.get(key):
            block[key] = trimmed_call(block[key], budget)


def _is_thought(delta: object) -> bool:
    return type(delta) is dict and delta.get("type") in ("thinking_delta", "signature_delta")
