"""
Responses: what is taken from a reply, whole or in events.

A reasoning item stays, emptied of its summary, content and encrypted content: its place keeps the numbers
of the items behind it, and its id lets a later request build on the response that the API has stored.
Reasoning that stands in the text itself is taken out wherever it is told (`openai_responses_text.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.degrade.editor import ENDLESS, Budget, Editor, Shape, by_pieces, shortened
from proxy.degrade.openai_responses_cut import append, begin_part, closing, is_written, shorten
from proxy.degrade.openai_responses_text import DELTA, DONE, SAID, ResponseTexts, hide_text
from proxy.degrade.settings import JsonObject


class ResponsesEditor(Editor):
    """See `Editor`."""

    named = True
    length_stop = "max_output_tokens"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._response: JsonObject = {}
        self._items: dict[int, JsonObject] = {}
        self._open: dict[int, JsonObject] = {}
        self._said: set[int] = set()
        """Items that have come by deltas."""
        self._texts = ResponseTexts(shape.closing)

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        kind = event.get("type")
        kind = kind if type(kind) is str else ""
        part = event.get("part")
        if self.shape.hide_reasoning and (
            kind.startswith("response.reasoning")
            or (type(part) is dict and part.get("type") == "reasoning_text")
        ):
            self.touched.add("reasoning")
            return []
        changed = self._strip(event)
        if self.shape.hide_reasoning:
            hidden = self._hide_text(kind, event)
            if hidden and kind == DELTA and not event["delta"]:
                return []
            changed |= hidden
        for key in ("item", "response", "part"):
            found = event.get(key)
            if type(found) is dict:
                changed |= self.object(found)
        events: list[JsonObject] = []
        for held in self._texts.ended(kind, event):
            events += self._measured(DELTA, held, changed=True) or ()
            if self.ended:
                return events
        measured = self._measured(kind, event, changed=changed)
        return [*events, *([event] if measured is None else measured)] if events else measured

    def _hide_text(self, kind: str, event: JsonObject) -> bool:
        """Take the reasoning out of the text that an event adds or tells; whether something is changed."""
        changed = self._texts.feed(kind, event)
        hidden = kind == DONE and hide_text(event, "text", self.shape.closing)
        if hidden or self._texts.hidden:
            self.touched.add("reasoning")
        return changed or hidden

    def rest(self) -> list[JsonObject]:
        """Beginnings that were held back: the stream has ended without the events that end a text."""
        return self._texts.rest()

    def _measured(self, kind: str, event: JsonObject, *, changed: bool) -> list[JsonObject] | None:
        """Count what an event says, and cut the answer where it has said enough."""
        self._remember(kind, event)
        most = self.shape.cut_after
        budget = Budget(ENDLESS if most is None else most - self.passed)
        index, item = event.get("output_index"), event.get("item")
        if kind.endswith(".delta"):
            self._say(event, index, budget)
        elif (
            kind == "response.output_item.done"
            and type(item) is dict
            and is_written(item)
            and index not in self._said
        ):
            shorten(item, budget)  # a call that comes whole
            self.passed += budget.spent
        if budget.left <= 0:
            return [event, *self._ending(event)]
        return [event] if changed else None

    def _say(self, event: JsonObject, index: object, budget: Budget) -> None:
        text = _delta(event)
        tokens = by_pieces(text)
        if tokens > budget.left:
            tokens = budget.left
            event["delta"] = text = shortened(text, tokens)
            if event.get("logprobs"):
                event["logprobs"] = []
        budget.left -= tokens
        self.passed += tokens
        if type(index) is int:
            self._said.add(index)
            if index in self._open:
                append(self._open[index], event, text)

    def _remember(self, kind: str, event: JsonObject) -> None:
        """What an answer must hold if it is cut."""
        if self.shape.cut_after is None:
            return
        response, item, index = event.get("response"), event.get("item"), event.get("output_index")
        if type(response) is dict:
            self._response = response
        if type(index) is not int:
            return
        if type(item) is dict and kind == "response.output_item.added":
            self._open[index] = item
        elif type(item) is dict and kind == "response.output_item.done":
            self._open.pop(index, None)
            self._items[index] = item
        elif index in self._open:
            begin_part(self._open[index], kind, event)

    def _ending(self, last: JsonObject) -> list[JsonObject]:
        """The events that end a response at its limit, behind `last`."""
        self.ended = True
        self.touched.add("output")
        events: list[JsonObject] = []
        for index, item in sorted(self._open.items()):
            item["status"] = "incomplete"
            events += closing(index, item)
            self._items[index] = item
        given = self.shape.input_tokens
        whole = {
            **self._response,
            "status": "incomplete",
            "incomplete_details": {"reason": self.length_stop},
            "output": [item for _, item in sorted(self._items.items())],
            "usage": {
                "input_tokens": given,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": self.passed,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": given + self.passed,
            },
        }
        events.append({"type": "response.incomplete", "response": whole})
        number = last.get("sequence_number")
        if type(number) is int:
            for further, event in enumerate(events, number + 1):
                event["sequence_number"] = further
        return events

    def object(self, found: JsonObject) -> bool:
        """See `Editor.object`: a response, an item of one, or a part of that."""
        changed = self._strip(found)
        if self.shape.hide_reasoning and found.get("type") == "reasoning":
            changed |= _emptied(found)
            self.touched.add("reasoning")
        for key in ("output", "content", "input"):
            inner = found.get(key)
            for one in inner if type(inner) is list else ():
                if type(one) is dict:
                    changed |= self.object(one)
        if self.shape.hide_reasoning:
            changed |= self._hide_said(found)
            parts = found.get("content")
            kept = [one for one in parts if not _thinks(one)] if type(parts) is list else []
            if type(parts) is list and len(kept) < len(parts):
                found["content"] = kept
                self.touched.add("reasoning")
                changed = True
        return changed

    def _hide_said(self, found: JsonObject) -> bool:
        """The same of the text of a part, of a message that is text alone, or of a whole response."""
        key = "output_text"
        if found.get("type") in SAID:
            key = "text"
        elif found.get("role") == "assistant":
            key = "content"
        if not hide_text(found, key, self.shape.closing):
            return False
        if key == "output_text" and type(output := found.get("output")) is list:
            found[key] = "".join(_texts(output))  # several texts may each have begun so
        self.touched.add("reasoning")
        return True

    def _strip(self, found: JsonObject) -> bool:
        if not (self.shape.strip_logprobs and found.get("logprobs")):
            return False
        found["logprobs"] = []
        self.touched.add("logprobs")
        return True

    def cut(self, reply: JsonObject, most: int) -> bool:
        """See `Editor.cut`."""
        output = reply.get("output")
        if type(output) is not list:
            return False
        budget = Budget(most)
        kept: list[Any] = []
        for item in output:
            if budget.left <= 0 and is_written(item):
                budget.short = True
                break
            kept.append(item)
            if type(item) is dict:
                shorten(item, budget)
        self.passed += budget.spent
        if not budget.short:
            return False
        self.ended = True
        self.touched.add("output")
        reply |= {
            "output": kept,
            "status": "incomplete",
            "incomplete_details": {"reason": self.length_stop},
        }
        usage = reply.get("usage")
        if type(usage) is dict:
            given = usage.get("input_tokens")
            usage["output_tokens"] = self.passed
            usage["total_tokens"] = self.passed + (given if type(given) is int else 0)
        return True


def _texts(output: list[Any]) -> Iterator[str]:
    for item in output:
        parts = item.get("content") if type(item) is dict else None
        for part in parts if type(parts) is list else ():
            if type(part) is dict and part.get("type") in SAID and type(part.get("text")) is str:
                yield part["text"]


def _delta(event: JsonObject) -> str:
    text = event.get("delta")
    return text if type(text) is str else ""


def _thinks(part: object) -> bool:
    return type(part) is dict and part.get("type") == "reasoning_text"


def _emptied(item: JsonObject) -> bool:
    changed = bool(item.get("summary")) or "content" in item or "encrypted_content" in item
    item["summary"] = []
    item.pop("content", None)
    item.pop("encrypted_content", None)
    return changed
