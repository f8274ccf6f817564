"""
Responses: what is taken from a reply, whole or in events.

A reasoning item stays, emptied of its summary, content and encrypted content: its place keeps the numbers
of the items behind it, and its id lets a later request build on the response that the API has stored.
Reasoning that stands in the text itself is taken out wherever it is told (`openai_responses_text.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from proxy.degrade.editor import Budget, Editor, Shape, by_pieces, shortened
from proxy.degrade.openai_responses_text import DELTA, DONE, SAID, ResponseTexts, hide_text
from proxy.degrade.settings import JsonObject

_OPEN: Final = {"message": "content", "function_call": "arguments", "custom_tool_call": "input"}
_DONE: Final = {
    "function_call": ("response.function_call_arguments.done", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input.done", "input"),
}


class ResponsesEditor(Editor):
    """See `Editor`."""

    named = True
    length_stop = "max_output_tokens"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._response: JsonObject = {}
        self._items: dict[int, JsonObject] = {}
        self._open: dict[int, JsonObject] = {}
        self._texts = ResponseTexts()

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
        hidden = kind == DONE and hide_text(event, "text")
        if hidden or self._texts.hidden:
            self.touched.add("reasoning")
        return changed or hidden

    def rest(self) -> list[JsonObject]:
        """Beginnings that were held back: the stream has ended without the events that end a text."""
        return self._texts.rest()

    def _measured(self, kind: str, event: JsonObject, *, changed: bool) -> list[JsonObject] | None:
        if self.shape.cut_after is not None:
            return self._follow(kind, event, self.shape.cut_after, changed=changed)
        if kind.endswith(".delta"):
            self.passed += by_pieces(_delta(event))
        return [event] if changed else None

    def _follow(
        self, kind: str, event: JsonObject, most: int, *, changed: bool
    ) -> list[JsonObject] | None:
        """Remember what a cut answer must hold, and cut it."""
        response, item, index = event.get("response"), event.get("item"), event.get("output_index")
        if type(response) is dict:
            self._response = response
        if type(index) is int and type(item) is dict:
            if kind == "response.output_item.added":
                self._open[index] = item
            elif kind == "response.output_item.done":
                self._open.pop(index, None)
                self._items[index] = item
        if not kind.endswith(".delta"):
            held = self._open.get(index) if type(index) is int else None
            if kind == "response.content_part.added" and held is not None:
                held.setdefault("content", []).append(dict(event.get("part") or {}))
            return [event] if changed else None
        text = _delta(event)
        tokens = by_pieces(text)
        if self.passed + tokens > most:
            tokens = most - self.passed
            event["delta"] = text = shortened(text, tokens)
            changed = True
        self.passed += tokens
        if type(index) is int and index in self._open:
            _append(self._open[index], event.get("content_index"), text)
        if self.passed >= most:
            return [event, *self._ending(event)]
        return [event] if changed else None

    def _ending(self, last: JsonObject) -> list[JsonObject]:
        """The events that end a response at its limit, behind `last`."""
        self.ended = True
        self.touched.add("output")
        events: list[JsonObject] = []
        for index, item in sorted(self._open.items()):
            item["status"] = "incomplete"
            events += _closing(index, item)
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
        if not hide_text(found, key):
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
            if budget.left <= 0 and type(item) is dict and item.get("type") in _OPEN:
                budget.short = True
                break
            kept.append(item)
            if type(item) is dict:
                short = budget.short
                _shorten(item, budget)
                if budget.short and not short:
                    item["status"] = "incomplete"
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


def _append(item: JsonObject, content_index: object, text: str) -> None:
    key = _OPEN.get(item.get("type", ""))
    if key == "content":
        parts = item.get("content") or []
        if type(content_index) is int and 0 <= content_index < len(parts):
            part = parts[content_index]
            said = "refusal" if part.get("type") == "refusal" else "text"
            part[said] = part.get(said, "") + text
    elif key is not None:
        item[key] = (item.get(key) or "") + text


def _closing(index: int, item: JsonObject) -> list[JsonObject]:
    """The events by which an item that is under way ends."""
    events: list[JsonObject] = []
    at = {"item_id": item.get("id"), "output_index": index}
    kind = item.get("type", "")
    if kind == "message":
        for number, part in enumerate(item.get("content") or ()):
            place = {**at, "content_index": number}
            if part.get("type") == "refusal":
                done = {"type": "response.refusal.done", "refusal": part.get("refusal", "")}
            else:
                done = {"type": "response.output_text.done", "text": part.get("text", "")}
                done["logprobs"] = []
            events.append({**done, **place})
            events.append({"type": "response.content_part.done", **place, "part": part})
    elif kind in _DONE:
        name, key = _DONE[kind]
        said = {key: item.get(key, "")} | ({"name": item["name"]} if "name" in item else {})
        events.append({"type": name, **at, **said})
    return [
        *events,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _shorten(item: JsonObject, budget: Budget) -> None:
    key = _OPEN.get(item.get("type", ""))
    if key == "content":
        for part in item.get("content") or ():
            for said in ("text", "refusal"):
                if type(part) is dict and type(part.get(said)) is str:
                    part[said] = budget.take(part[said])
    elif key is not None and type(item.get(key)) is str:
        item[key] = budget.take(item[key])
