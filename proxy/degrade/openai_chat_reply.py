"""
Chat completions and legacy completions: what is taken from a reply, whole or in chunks.

Reasoning stands in fields of its own beside `content` (DeepSeek's and vLLM's `reasoning_content`, the
`reasoning` and `reasoning_details` of OpenRouter), in parts of a list (Mistral), or in the text itself.
"""

from __future__ import annotations

from typing import Any

from proxy.degrade.editor import Budget, Editor, Shape
from proxy.degrade.openai_fields import (
    LOGPROBS,
    hide_fields,
    shorten,
    tokens_in,
    without_probabilities,
)
from proxy.degrade.settings import JsonObject
from proxy.degrade.think import Think, without_thinking


class _Choice:
    """One answer as far as it has come."""

    __slots__ = ("begun", "cut", "over", "passed", "think")

    def __init__(self, closing: str | None) -> None:
        self.begun = False
        self.cut = False
        self.over = False
        self.passed = 0
        self.think = Think(closing)


class ChatEditor(Editor):
    """See `Editor`."""

    length_stop = "length"
    goodbye = b"data: [DONE]\n\n"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._choices: dict[int, _Choice] = {}
        self._cut = False

    def edit(self, event: JsonObject) -> list[JsonObject] | None:
        """See `Editor.edit`."""
        choices = event.get("choices")
        changed = self._strip(event)
        if type(choices) is not list or not choices:
            return [event] if changed else None
        kept: list[Any] = []
        stopped: list[int] = []
        for choice in choices:
            if type(choice) is not dict:
                continue  # no client reads it, and neither do we
            index = choice.get("index")
            index = index if type(index) is int else 0
            state = self._choices.setdefault(index, _Choice(self.shape.closing))
            if state.cut:
                changed = True
                continue
            altered, seen = self._choice(choice, state)
            changed |= altered
            if seen:
                kept.append(choice)
            if self.shape.cut_after is not None and state.passed >= self.shape.cut_after:
                stopped.append(index)
        if not changed and not stopped and len(kept) == len(choices):
            return None
        event["choices"] = kept
        return self._with_stops(event, stopped)

    def _with_stops(self, event: JsonObject, stopped: list[int]) -> list[JsonObject]:
        events = [event] if event["choices"] or event.get("usage") else []
        about = {key: item for key, item in event.items() if key not in {"choices", "usage"}}
        tail = {"usage": None} if "usage" in event else {}
        for index in stopped:
            state = self._choices[index]
            state.over = state.cut = self._cut = True
            self.touched.add("output")
            for choice in event["choices"]:
                if choice.get("index", 0) == index:
                    choice["finish_reason"] = None
            stop = {"index": index, **self._nothing(), "logprobs": None, "finish_reason": "length"}
            events.append({**about, "choices": [stop], **tail})
        over = sum(state.over for state in self._choices.values())
        if self._cut and over >= self.shape.choices:
            self.ended = True
            if self.shape.asks_usage:
                given, made = self.shape.input_tokens, self.passed
                usage = {"prompt_tokens": given, "completion_tokens": made}
                usage["total_tokens"] = given + made
                events.append({**about, "choices": [], "usage": usage})
        return events

    def rest(self) -> list[JsonObject]:
        """Beginnings that were held back: the stream has ended without a finish reason."""
        events: list[JsonObject] = []
        for index, state in self._choices.items():
            if not state.over and (held := state.think.end()):
                choice = {"index": index, **self._said(held), "finish_reason": None}
                events.append({"object": "chat.completion.chunk", "choices": [choice]})
        return events

    def _nothing(self) -> JsonObject:
        return {"delta": {}}

    def _said(self, text: str) -> JsonObject:
        return {"delta": {"content": text}}

    def _holder(self, choice: JsonObject) -> tuple[JsonObject, str]:
        """Where a choice's text stands."""
        delta = choice.get("delta")
        return (delta if type(delta) is dict else {}), "content"

    def _is_empty(self, holder: JsonObject) -> bool:
        return not any(item for name, item in holder.items() if name != "role")

    def _choice(self, choice: JsonObject, state: _Choice) -> tuple[bool, bool]:
        """(whether it was changed, whether anything is left of it to be seen)."""
        changed = self._strip(choice)
        holder, key = self._holder(choice)
        finish = choice.get("finish_reason")
        if self.shape.hide_reasoning:
            hidden = self._hide(choice) | self._hide_inline(holder, key, state, finish)
            changed |= hidden
            if hidden and self._is_empty(holder) and finish is None and state.begun:
                return True, False
        state.begun = True
        if finish is not None:
            state.over = True
        if self._measure(holder, key, state):
            without_probabilities(choice)
            changed = True
        return changed, True

    def _hide_inline(self, holder: JsonObject, key: str, state: _Choice, finish: object) -> bool:
        think, text = state.think, holder.get(key)
        if think.passes:
            return False
        given = text if type(text) is str else ""
        seen = think.feed(given) if given else ""
        if finish is not None:
            seen += think.end()
        if think.hidden:
            self.touched.add("reasoning")
        if seen == given:
            return False
        holder[key] = seen
        return True

    def _measure(self, holder: JsonObject, key: str, state: _Choice) -> bool:
        """Count what passes; whether it had to be shortened."""
        tokens, most = tokens_in(holder), self.shape.cut_after
        changed = most is not None and state.passed + tokens > most
        if changed:
            assert most is not None
            tokens = most - state.passed
            shorten(holder, Budget(tokens))
        state.passed += tokens
        self.passed += tokens
        return changed

    def _strip(self, holder: JsonObject) -> bool:
        if not self.shape.strip_logprobs:
            return False
        found = [name for name in LOGPROBS if holder.get(name) is not None]
        for name in found:
            if name == "logprobs":
                holder[name] = None
            else:
                del holder[name]
        if found:
            self.touched.add("logprobs")
        return bool(found)

    def _hide(self, choice: JsonObject) -> bool:
        """Take the fields and parts of reasoning out of a choice."""
        changed = False
        for holder in (choice, choice.get("delta"), choice.get("message")):
            if type(holder) is dict and hide_fields(holder):
                changed = True
        if changed:
            self.touched.add("reasoning")
        return changed

    def object(self, found: JsonObject) -> bool:
        """See `Editor.object`: a completion, or a stored message."""
        changed = self._strip(found)
        choices = found.get("choices")
        if type(choices) is not list:
            if self.shape.hide_reasoning and "role" in found:
                changed |= self._hide({"message": found}) | self._hide_text(found, "content")
            return changed
        for choice in choices:
            if type(choice) is not dict:
                continue
            changed |= self._strip(choice)
            if self.shape.hide_reasoning:
                changed |= self._hide(choice)
                message = choice.get("message")
                holder = message if type(message) is dict else choice
                changed |= self._hide_text(holder, "text" if holder is choice else "content")
        return changed

    def _hide_text(self, holder: JsonObject, key: str) -> bool:
        text = holder.get(key)
        if type(text) is list:
            hidden = [self._hide_text(part, "text") for part in text if type(part) is dict]
            return True in hidden
        if type(text) is not str or (seen := without_thinking(text, self.shape.closing)) == text:
            return False
        holder[key] = seen
        self.touched.add("reasoning")
        return True

    def cut(self, reply: JsonObject, most: int) -> bool:
        """See `Editor.cut`."""
        short = False
        for choice in reply.get("choices") or ():
            if type(choice) is not dict:
                continue
            budget = Budget(most)
            message = choice.get("message")
            shorten(message if type(message) is dict else choice, budget)
            self.passed += budget.spent
            if budget.short:
                without_probabilities(choice)
                choice["finish_reason"] = "length"
                short = True
        usage = reply.get("usage")
        if short:
            self.touched.add("output")
            self.ended = True
            if type(usage) is dict:
                given = usage.get("prompt_tokens")
                usage["completion_tokens"] = self.passed
                usage["total_tokens"] = self.passed + (given if type(given) is int else 0)
        return short


class CompletionEditor(ChatEditor):
    """The same of legacy completions, whose choices hold their text themselves."""

    def _holder(self, choice: JsonObject) -> tuple[JsonObject, str]:
        return choice, "text"

    def _nothing(self) -> JsonObject:
        return {"text": ""}

    def _said(self, text: str) -> JsonObject:
        return {"text": text}

    def _is_empty(self, holder: JsonObject) -> bool:
        return not holder.get("text")

    def _measure(self, holder: JsonObject, key: str, state: _Choice) -> bool:
        text = holder.get(key)
        said = {key: text} if type(text) is str else {}
        changed = super()._measure(said, key, state)
        holder.update(said)
        return changed
