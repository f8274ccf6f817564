"""
The text of a streamed response, part by part, less the reasoning that a server has left at its start.

A beginning that could become a mark is held back, and comes as one more delta before the part ends.
A stream that is resumed (`starting_after`) may begin in the middle of such reasoning: of a part whose
beginning it does not show, all text is held back until the event that tells the whole of it.
"""

from __future__ import annotations

from typing import Final

from proxy.degrade.settings import JsonObject
from proxy.degrade.think import Think, without_thinking

DELTA: Final = "response.output_text.delta"
DONE: Final = "response.output_text.done"
SAID: Final = ("output_text", "text")
"""Types of parts that a model has written."""

_PART_DONE: Final = "response.content_part.done"
_ITEM_DONE: Final = "response.output_item.done"
_FINAL: Final = ("response.completed", "response.incomplete", "response.failed")
_MOST_LATE: Final = 4 * 1024 * 1024
"""Characters of a resumed part that are kept. Of a longer one the text comes with its last events alone."""

Place = tuple[int, int]
"""Output index and content index."""


class _Part:
    """One part's text as far as it has come."""

    __slots__ = ("last", "late", "think")

    def __init__(self, *, late: bool, closing: str | None = None) -> None:
        self.think = Think(closing)
        self.late: str | None = "" if late else None
        """Text whose beginning nobody has seen here."""
        self.last: JsonObject = {}
        """The last delta that was held back: it lends its place and its number."""

    def feed(self, text: str) -> str:
        """What of it may be seen."""
        if self.late is None:
            return self.think.feed(text)
        if len(self.late) < _MOST_LATE:
            self.late += text
        return ""

    def end(self, told: str | None) -> str:
        """What was held back and may be seen; `told` is all of the part that may be."""
        if self.late is None:
            return self.think.end()
        if told is None or len(self.late) >= _MOST_LATE:
            return ""
        return self.late if len(self.late) <= len(told) else told


class ResponseTexts:
    """All texts of one streamed response."""

    def __init__(self, closing: str | None = None) -> None:
        self._closing = closing
        self._parts: dict[Place, _Part] = {}
        self._begun: set[int] = set()
        self._resumed: bool | None = None
        self.hidden = False
        """Whether there was reasoning in one of them."""

    def feed(self, kind: str, event: JsonObject) -> bool:
        """Take out of an event's new text what may not be seen; whether there was any."""
        if self._resumed is None:
            self._resumed = kind not in ("response.created", "response.queued")
        output, content = _place(event)
        if kind == DELTA:
            return self._feed((output, content), event, "delta", event)
        changed = False
        if kind == "response.output_item.added":
            self._begun.add(output)
            item = event.get("item")
            parts = item.get("content") if type(item) is dict else None
            for index, part in enumerate(parts if type(parts) is list else ()):
                changed |= self._begin((output, index), part, event)
        elif kind == "response.content_part.added":
            self._begun.add(output)
            changed = self._begin((output, content), event.get("part"), event)
        return changed

    def _begin(self, place: Place, part: object, event: JsonObject) -> bool:
        if type(part) is not dict or part.get("type") not in SAID:
            return False
        self._parts[place] = _Part(late=False, closing=self._closing)
        return self._feed(place, part, "text", event)

    def _feed(self, place: Place, holder: JsonObject, key: str, event: JsonObject) -> bool:
        text = holder.get(key)
        if type(text) is not str or not text:
            return False
        part = self._parts.get(place)
        if part is None:
            late = self._resumed is True and place[0] not in self._begun
            part = self._parts[place] = _Part(late=late, closing=self._closing)
        holder[key] = seen = part.feed(text)
        self.hidden |= part.think.hidden
        if seen == text:
            return False
        part.last = _delta(place, event)
        return True

    def ended(self, kind: str, event: JsonObject) -> list[JsonObject]:
        """Deltas that have to come before an event, whose own text is changed already."""
        if not self._parts:
            return []
        place = _place(event)
        told = event.get("text") if kind == DONE else None
        if kind in (DONE, _PART_DONE):
            places = [place] if place in self._parts else []
        elif kind == _ITEM_DONE:
            places = [one for one in self._parts if one[0] == place[0]]
        else:
            places = list(self._parts) if kind in _FINAL else []
        return self._released(places, told if type(told) is str else None)

    def rest(self) -> list[JsonObject]:
        """The same at the end of a stream that has broken off."""
        return self._released(list(self._parts), None)

    def _released(self, places: list[Place], told: str | None) -> list[JsonObject]:
        events: list[JsonObject] = []
        for place in places:
            part = self._parts.pop(place)
            if held := part.end(told):
                events.append({**part.last, "delta": held})
        return events


def hide_text(holder: JsonObject, key: str, closing: str | None = None) -> bool:
    """Take the reasoning out of a whole text; whether there was any."""
    text = holder.get(key)
    if type(text) is not str or (seen := without_thinking(text, closing)) == text:
        return False
    holder[key] = seen
    return True


def _place(event: JsonObject) -> Place:
    output, content = event.get("output_index"), event.get("content_index")
    return output if type(output) is int else 0, content if type(content) is int else 0


def _delta(place: Place, event: JsonObject) -> JsonObject:
    """A delta of a part, as far as an event that bears its text tells."""
    item = event.get("item")
    named = item.get("id") if type(item) is dict else event.get("item_id")
    number = event.get("sequence_number")
    return {
        "type": DELTA,
        "item_id": named,
        "output_index": place[0],
        "content_index": place[1],
        "logprobs": [],
    } | ({"sequence_number": number} if type(number) is int else {})
