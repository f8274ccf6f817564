"""
derive: how and what was asked → signals, as far as the policy's rules want them.

The functions of `signals/` say what is the same; here it is keyed, so that neither a log nor the store
holds a hash that somebody could look a known text up by, and what recurs is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from proxy.counters.protocol import NOVEL_BITS
from proxy.facts import Ask, Signal, Signals, Terms
from proxy.head import Head
from proxy.signals.chunks import connections
from proxy.signals.client_stack import ClientStack, client_stack
from proxy.signals.json_style import escapes_html, json_style, marshalled_map
from proxy.signals.language import language_group
from proxy.signals.running import running_number
from proxy.signals.shape import body_sample, request_shape
from proxy.signals.sketch import prompt_context, prompt_sketch, prompt_text
from proxy.signals.template import SAMPLE, prompt_template, system_template
from proxy.signals.wants import NOTHING, RequestMarks, TextMarks, Wants

REMEMBERED: Final = 1024
"""System prompts whose fingerprints are kept at hand: at most 2 MiB of their heads."""


class Deriver:
    """Derives the signals of a request."""

    def __init__(self, item_hash: Callable[[bytes], int], *, header_evidence: bool) -> None:
        """`item_hash` is a keyed hash of 64 bits."""
        self._hash = item_hash
        self._header_evidence = header_evidence
        self._system = lru_cache(maxsize=REMEMBERED)(self._fingerprint_system)

    def signals(self, head: Head, ask: Ask, body: bytes, wants: Wants) -> Signals:
        """The signals that are wanted; all others are as if there were none."""
        stack = self._stack(head, ask, body)
        marks = _marks(wants.requests, head, ask, body) if wants.requests else ()
        first = Signals(
            client=stack.fingerprint,
            contradictions=stack.contradictions,
            marks=marks,
            shape=self._shape(head, ask, stack) if "shape" in wants.signals else None,
            body=f"{self._hash(body_sample(body)):016x}" if "body" in wants.signals else None,
        )
        return first if wants is NOTHING else self.of_ask(ask, wants, first)

    def of_ask(self, ask: Ask, wanted: Wants, client: Signals) -> Signals:
        """The same of what a body asks besides, by the `client` whose hand its first ask has shown."""
        wants, texts = wanted.signals, wanted.texts
        text = prompt_text(ask) if texts or not wants.isdisjoint(_OF_PROMPT) else ""
        sketch: tuple[bytes, ...] = ()
        if not wants.isdisjoint(_OF_SKETCH):
            sketch = prompt_sketch(text, prompt_context(ask, text))
        return Signals(  # by position: by name, thirteen fields cost as much as one of them
            self._marks(sketch) if "prompt" in wants else (),
            self._system(ask.system[:SAMPLE]) if "system" in wants else None,
            self._template(text) if "template" in wants else None,
            language_group(text) if "language" in wants else None,
            client.client,
            client.contradictions,
            self._connections(ask) if "chunks" in wants else (),
            _terms(texts, ask, text) if texts else (),
            client.marks,
            f"{self._hash(sketch[0]):016x}" if sketch and "overlap" in wants else None,
            client.shape,
            client.body,
            self._running(text) if "running" in wants else None,
        )

    def _stack(self, head: Head, ask: Ask, body: bytes) -> ClientStack:
        return client_stack(
            head,
            json_style(body),
            html_escaped=escapes_html(body),
            marshalled_map=marshalled_map(ask.parameters),
            header_evidence=self._header_evidence,
        )

    def _marks(self, sketch: tuple[bytes, ...]) -> tuple[int, ...]:
        return tuple([self._hash(part) % NOVEL_BITS for part in sketch])

    def _shape(self, head: Head, ask: Ask, stack: ClientStack) -> str | None:
        found = request_shape(head.headers, ask, stack.fingerprint)
        return f"shp_{self._hash(found):016x}" if found else None

    def _connections(self, ask: Ask) -> tuple[int, ...]:
        return tuple({self._hash(part) % NOVEL_BITS: None for part in connections(ask)})

    def _fingerprint_system(self, head: str) -> str | None:
        found = system_template(head)
        return f"sys_{self._hash(found):016x}" if found else None

    def _running(self, text: str) -> tuple[str, int] | None:
        found = running_number(text)
        if found is None:
            return None
        name, number = found
        drawn = self._hash(name)
        return f"lst_{drawn:016x}", number + self._hash(b"from\0" + name) % _FROM

    def _template(self, text: str) -> str | None:
        found = prompt_template(text)
        return f"tpl_{self._hash(found):016x}" if found else None


def _terms(texts: tuple[TextMarks, ...], ask: Ask, prompt: str) -> tuple[tuple[str, Terms], ...]:
    return tuple([(one.name, found) for one in texts if (found := one.weigh(ask, prompt))])


def _marks(
    tables: tuple[RequestMarks, ...], head: Head, ask: Ask, body: bytes
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple([(one.name, found) for one in tables if (found := one.find(head, ask, body))])


_OF_PROMPT: Final[frozenset[Signal]] = frozenset(
    {"overlap", "prompt", "template", "language", "running"}
)
_OF_SKETCH: Final[frozenset[Signal]] = frozenset({"overlap", "prompt"})
_FROM: Final = 1 << 40
"""Below this a list's first number is drawn."""
