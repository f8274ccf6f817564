"""
Marks that a request bears: known relays and harvesting pipelines, told by how they write.

A table of marks is a YAML file that operators may edit or replace. Each mark names conditions that must
all hold; which there are, CONDITIONS says. What is compared is how a request is written, never what it
says, but for a few probes that programs send word for word.

    version: 1
    marks:
      - name: some-relay
        source: https://…, read on 2026-11-01
        user_agent: [go-http-client]
        prompt: "Output only your specific model name with no additional text."
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

from proxy.facts import Ask
from proxy.head import Head
from proxy.nearest import nearest
from proxy.signals.json_style import json_style
from proxy.signals.sketch import prompt_text
from proxy.signals.wants import Mistaken
from proxy.value import value

MAX_MARKS: Final = 500
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}").fullmatch
_PROMPT: Final = 400
"""Characters of a probe: longer prompts are never compared."""

_TRANSPORT: Final = frozenset(
    (b"host", b"connection", b"content-length", b"transfer-encoding", b"accept-encoding", b"via")
)
"""Headers that say nothing of who writes."""
_USER_AGENT: Final = frozenset({b"user-agent"})
_TRANSPORT_PREFIXES: Final = (b"x-forwarded-", b"x-real-", b"x-request-")


class _Written:
    """A request, as conditions look at it; what costs is made where it is first asked for."""

    __slots__ = ("_head", "_names", "_prompts", "agent", "ask", "body")

    def __init__(self, head: Head, agent: str, ask: Ask, body: bytes) -> None:
        self._head = head
        self._names: frozenset[bytes] | None = None
        self._prompts: tuple[str, ...] | None = None
        self.agent = agent
        self.ask = ask
        self.body = body

    @property
    def names(self) -> frozenset[bytes]:
        """Of its headers, lower case."""
        if self._names is None:
            self._names = frozenset([name.lower() for name in self._head.layout.names])
        return self._names

    def says(self, prompt: str) -> bool:
        """Whether the newest prompt is this and nothing else."""
        if self._prompts is None:
            turns = self.ask.turns
            short = turns and len(turns[-1].text) <= _PROMPT
            self._prompts = (prompt_text(self.ask).strip().casefold(),) if short else ()
        return prompt in self._prompts


Test = Callable[[_Written], bool]


@value
class Mark:
    """One mark: its name, where it is known from, and what must hold."""

    name: str
    source: str
    tests: tuple[Test, ...]


class MarkTable:
    """See `wants.RequestMarks`. Immutable."""

    def __init__(self, name: str, marks: tuple[Mark, ...], text: str = "") -> None:
        """`text` is what the marks were read from: by it two tables are the same."""
        self.name = name
        self.marks = marks
        self._text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MarkTable) and (self.name, self._text) == (
            other.name,
            other._text,
        )

    def __hash__(self) -> int:
        return hash((self.name, self._text))

    @cached_property
    def sources(self) -> dict[str, str]:
        """Mark → where it is known from."""
        return {mark.name: mark.source for mark in self.marks}

    def find(self, head: Head, ask: Ask, body: bytes) -> tuple[str, ...]:
        """The marks that a request bears."""
        agent = ""
        for _, text in head.among(_USER_AGENT):
            agent = text[:64].decode("latin-1").lower()
        written = _Written(head, agent, ask, body)
        found: tuple[str, ...] = ()
        for mark in self.marks:
            for test in mark.tests:
                if not test(written):
                    break
            else:
                found += (mark.name,)
        return found


def read_marks(data: Any, mistake: Mistaken, name: str = "marks") -> MarkTable:
    """A table out of a file's data; what is wrong in it is noted, and left out."""
    marks: list[Mark] = []
    if not isinstance(data, dict) or data.get("version") != 1 or data["version"] is True:
        mistake((), "a table of marks begins with `version: 1`")
        return MarkTable(name, ())
    for key in data.keys() - {"version", "marks"}:
        mistake((key,), f"`{key}` is not known here", nearest(key, ("marks",)), key=True)
    listed = data.get("marks")
    if not isinstance(listed, list) or len(listed) > MAX_MARKS:
        mistake(("marks",), f"`marks` must be a list of at most {MAX_MARKS}")
        return MarkTable(name, ())
    for at, item in enumerate(listed):
        mark = _mark(item, ("marks", at), mistake)
        if mark is not None:
            if any(mark.name == one.name for one in marks):
                mistake(("marks", at, "name"), f"`{mark.name}` stands here twice")
            marks.append(mark)
    return MarkTable(name, tuple(marks), repr(listed))


def _mark(item: Any, place: tuple[str | int, ...], mistake: Mistaken) -> Mark | None:
    if not isinstance(item, dict):
        mistake(place, "a mark holds named fields: `name`, `source` and its conditions")
        return None
    name, source = item.get("name"), item.get("source")
    if not isinstance(name, str) or not _NAME(name):
        mistake((*place, "name") if "name" in item else place, "a mark needs a `name`")
        return None
    if not isinstance(source, str) or not source:
        mistake(
            (*place, "source") if "source" in item else place,
            "a mark needs a `source`: where it is known from",
        )
        return None
    tests: list[Test] = []
    # In the order of CONDITIONS, which is that of their cost: the first that fails spares the rest.
    for key in sorted(item.keys() - {"name", "source"}, key=_cost):
        made = CONDITIONS.get(key)
        if made is None:
            known = ", ".join(CONDITIONS)
            message = f"`{key}` is no condition: there are {known}"
            mistake((*place, key), message, nearest(key, CONDITIONS), key=True)
            continue
        try:
            tests.append(made(item[key]))
        except ValueError as error:
            mistake((*place, key), str(error))
    if len(item) <= 2:
        mistake(place, "a mark needs at least one condition")
    return Mark(name, source, tuple(tests)) if tests else None


def _words(given: Any) -> list[str]:
    words = given if isinstance(given, list) else [given]
    if not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError("must be a word or a list of words")
    return words


def _user_agent(given: Any) -> Test:
    """Begins with one of these, whatever the case."""
    begins = tuple(word.lower() for word in _words(given))
    return lambda written: written.agent.startswith(begins)


def _headers(given: Any) -> Test:
    """All of these are there."""
    names = frozenset(word.lower().encode() for word in _words(given))
    return lambda written: names <= written.names


def _no_headers(given: Any) -> Test:
    """None of these is there."""
    names = frozenset(word.lower().encode() for word in _words(given))
    return lambda written: names.isdisjoint(written.names)


def _only_headers(given: Any) -> Test:
    """No others than these are there, and what every request has."""
    names = frozenset(word.lower().encode() for word in _words(given)) | _TRANSPORT
    return lambda written: all(
        name in names or name.startswith(_TRANSPORT_PREFIXES) for name in written.names
    )


def _parameters(given: Any) -> Test:
    """The body has all of these at its top level."""
    names = frozenset(_words(given))
    return lambda written: names.issubset(written.ask.parameters)


def _no_parameters(given: Any) -> Test:
    """The body has none of these."""
    names = frozenset(_words(given))
    return lambda written: names.isdisjoint(written.ask.parameters)


def _order(given: Any) -> Test:
    """`sorted` by the alphabet, or the parameters that it begins with."""
    if given == "sorted":
        return lambda written: (
            len(written.ask.parameters) > 2
            and list(written.ask.parameters) == sorted(written.ask.parameters)
        )
    first = tuple(_words(given))
    return lambda written: written.ask.parameters[: len(first)] == first


def _json(given: Any) -> Test:
    """The style in which the body is written: compact, spaced, pretty, other."""
    styles = frozenset(_words(given))
    if not styles <= {"compact", "spaced", "pretty", "other"}:
        raise ValueError("must be compact, spaced, pretty or other")
    return lambda written: json_style(written.body) in styles


def _prompt(given: Any) -> Test:
    """The newest prompt is this, word for word, whatever the case."""
    words = _words(given)
    if len(words) != 1 or len(words[0]) > _PROMPT:
        raise ValueError(f"must be one text of at most {_PROMPT} characters")
    prompt = words[0].strip().casefold()
    return lambda written: written.says(prompt)


def _number(of: Callable[[Ask], float | None]) -> Callable[[Any], Test]:
    def made(given: Any) -> Test:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ValueError("must be a number")  # noqa: TRY004 - a mistake in a file
        return lambda written: of(written.ask) == given

    return made


def _logit_bias(given: Any) -> Test:
    """The body's `logit_bias` is just this."""
    if not isinstance(given, dict) or not given:
        raise ValueError("must hold tokens and their weights")
    pairs = {(str(token), float(weight)) for token, weight in given.items()}
    return lambda written: set(written.ask.logit_bias) == pairs


CONDITIONS: Final[dict[str, Callable[[Any], Test]]] = {
    "user_agent": _user_agent,
    "temperature": _number(lambda ask: ask.temperature),
    "top_p": _number(lambda ask: ask.top_p),
    "max_output_tokens": _number(lambda ask: ask.max_output_tokens),
    "choices": _number(lambda ask: ask.choices),
    "reasoning_budget": _number(
        lambda ask: None if ask.reasoning is None else ask.reasoning.budget_tokens
    ),
    "logit_bias": _logit_bias,
    "order": _order,
    "prompt": _prompt,
    "parameters": _parameters,
    "no_parameters": _no_parameters,
    "json": _json,
    "headers": _headers,
    "no_headers": _no_headers,
    "only_headers": _only_headers,
}
"""What a mark may ask of a request; all of one mark's conditions must hold."""


def _cost(name: str) -> int:
    return list(CONDITIONS).index(name) if name in CONDITIONS else len(CONDITIONS)
