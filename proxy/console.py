"""The event log for people: one aligned line a request, in colour on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_COLOURS: Final = {
    "allow": "32",
    "log": "36",
    "delay": "33",
    "degrade": "33",
    "throttle": "35",
    "block": "31",
    "error": "31",
    "warning": "33",
    "info": "2",
}
_SHOWN_APART: Final = frozenset({"event", "level", "timestamp"})


class ConsoleRenderer:
    """A structlog renderer, after `timestamp` has become text."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: Any, _method: str, event: Mapping[str, Any]) -> str:
        """One line, without its line end. What callers sent can neither end it nor steer a terminal."""
        event = {name: printable(value) for name, value in event.items()}
        clock = str(event["timestamp"])[11:23]
        if event["event"] != "request":
            level = str(event["level"])
            details = " ".join(
                f"{name}={value}" for name, value in event.items() if name not in _SHOWN_APART
            )
            return f"{clock} {self._paint(level, event['event'])} {details}".rstrip()
        decision = str(event["decision"])
        return " ".join(
            part
            for part in (
                clock,
                self._paint(decision, f"{decision:<8}"),
                f"{event.get('http.response.status_code') or '---'!s:<3}",
                f"{event.get('http.request.method', '-')} {event.get('url.path', '-')}",
                str(event.get("account") or event.get("client.address", "-")),
                str(event.get("gen_ai.request.model", "")),
                _why(event),
                _cost(event),
            )
            if part
        )

    def _paint(self, word: str, text: str) -> str:
        code = _COLOURS.get(word)
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code else text


def printable(value: Any) -> Any:
    """The value with characters that are not for the eye written as escapes."""
    if isinstance(value, str) and not value.isprintable():
        return value.encode("unicode_escape").decode("ascii")
    if isinstance(value, dict):
        return {name: printable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [printable(inner) for inner in value]
    return value


def _why(event: Mapping[str, Any]) -> str:
    parts: list[str] = []
    if event.get("reason"):
        rule = event.get("rule")
        parts.append(f"{rule}: {event['reason']}" if rule else str(event["reason"]))
    evidence = event.get("evidence") or {}
    if evidence:
        numbers = ", ".join(f"{name}={value}" for name, value in evidence.items())
        parts.append(f"({numbers})")
    if event.get("shadow"):
        parts.append(f"shadow: {', '.join(event['shadow'])}")
    if event.get("outcome") not in {None, "complete"}:
        parts.append(str(event["outcome"]))
    return " ".join(parts)


def _cost(event: Mapping[str, Any]) -> str:
    parts: list[str] = []
    used = event.get("gen_ai.usage.input_tokens"), event.get("gen_ai.usage.output_tokens")
    if any(used):
        parts.append(f"{used[0] or 0}→{used[1] or 0} tokens")
    if event.get("duration_ms") is not None:
        parts.append(f"{event['duration_ms']:.0f} ms")
    return " ".join(parts)
