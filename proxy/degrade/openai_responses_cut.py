"""
Where the items of a response hold what a model has written, and how an item ends at a limit.

A message has parts, a reasoning item has parts and a summary, a call has one text or a small object.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.degrade.editor import Budget
from proxy.degrade.settings import JsonObject
from proxy.degrade.trimming import trimmed, trimmed_call

_TEXTS: Final = {
    "function_call": "arguments",
    "mcp_call": "arguments",
    "custom_tool_call": "input",
    "code_interpreter_call": "code",
}
"""Calls that are streamed: where their text stands."""
_DONE: Final = {
    "function_call": "response.function_call_arguments.done",
    "mcp_call": "response.mcp_call_arguments.done",
    "custom_tool_call": "response.custom_tool_call_input.done",
    "code_interpreter_call": "response.code_interpreter_call_code.done",
}
_PARTS: Final = ("content", "summary")
_OBJECTS: Final = ("action", "operation", "queries")
"""Calls that come whole: a shell's commands, a patch, what is searched for."""
_WRITTEN: Final = (*_PARTS, "arguments", "input", "code", *_OBJECTS)


def is_written(item: object) -> bool:
    """Whether a model has written something of an item."""
    return type(item) is dict and any(item.get(key) for key in _WRITTEN)


def shorten(item: JsonObject, budget: Budget) -> None:
    """Leave as much of an item as there is room for."""
    before = budget.short
    for key in _WRITTEN:
        if item.get(key):
            of = trimmed_call if key in _OBJECTS else trimmed
            item[key] = of(item[key], budget)
    if budget.short and not before:
        item["status"] = "incomplete"
        parts = item.get("content")
        for part in parts if type(parts) is list else ():
            if type(part) is dict and part.get("logprobs"):
                part["logprobs"] = []  # they tell the text that is cut once more


def begin_part(item: JsonObject, kind: str, event: JsonObject) -> None:
    """Remember a part of an item that is under way, by the event that begins it."""
    part = event.get("part")
    for name, key in (("content_part", "content"), ("reasoning_summary_part", "summary")):
        if kind == f"response.{name}.added":
            item.setdefault(key, []).append(dict(part if type(part) is dict else {}))


def append(item: JsonObject, event: JsonObject, text: str) -> None:
    """Add what a delta says to its item."""
    key = _TEXTS.get(item.get("type", ""))
    if key is not None:
        item[key] = (item.get(key) or "") + text
        return
    for key, place in (("content", "content_index"), ("summary", "summary_index")):
        index, parts = event.get(place), item.get(key)
        if type(index) is int and type(parts) is list and 0 <= index < len(parts):
            part = parts[index]
            said = "refusal" if part.get("type") == "refusal" else "text"
            part[said] = part.get(said, "") + text


def closing(index: int, item: JsonObject) -> list[JsonObject]:
    """The events by which an item that is under way ends."""
    events: list[JsonObject] = []
    at = {"item_id": item.get("id"), "output_index": index}
    kind = item.get("type", "")
    if kind in _TEXTS:
        key = _TEXTS[kind]
        said = {key: item.get(key, "")} | ({"name": item["name"]} if "name" in item else {})
        events.append({"type": _DONE[kind], **at, **said})
    for number, part in enumerate(_parts(item, "summary")):
        place = {**at, "summary_index": number}
        done = {"type": "response.reasoning_summary_text.done", "text": part.get("text", "")}
        events.append({**done, **place})
        events.append({"type": "response.reasoning_summary_part.done", **place, "part": part})
    for number, part in enumerate(_parts(item, "content")):
        place = {**at, "content_index": number}
        events.append({**_part_done(part), **place})
        events.append({"type": "response.content_part.done", **place, "part": part})
    return [
        *events,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _part_done(part: JsonObject) -> JsonObject:
    match part.get("type"):
        case "refusal":
            return {"type": "response.refusal.done", "refusal": part.get("refusal", "")}
        case "reasoning_text":
            return {"type": "response.reasoning_text.done", "text": part.get("text", "")}
    return {"type": "response.output_text.done", "text": part.get("text", ""), "logprobs": []}


def _parts(item: JsonObject, key: str) -> list[Any]:
    parts = item.get(key)
    return [part for part in parts if type(part) is dict] if type(parts) is list else []
