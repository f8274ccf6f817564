"""
What a request is connected by to earlier ones: where its conversation began, and what it brings along.

A conversation goes on: its first words come again with every turn. A product that looks things up
brings the same passages again for other questions. A harvest does neither: each request stands alone,
and what it is about never comes back. Told are the beginning of the conversation and the two longest
passages between the first and the last paragraph of the newest prompt, for those two are what wraps it.
"""

from __future__ import annotations

from typing import Final

from proxy.facts import Ask, Turn

HEAD: Final = 1024
"""Characters of the conversation's first words, and of a passage."""
LEAST: Final = 40
"""A shorter paragraph is no passage."""
PASSAGES: Final = 2
SAMPLE: Final = 65_536
"""Characters of a text that is cut into passages."""


def connections(ask: Ask) -> tuple[bytes, ...]:
    """What to look for in earlier requests, to be hashed by whoever keeps it; none where nobody speaks."""
    users = [turn for turn in ask.turns if turn.role == "user" and turn.text]
    if not users:
        return ()
    found = [b"r" + users[0].text[:HEAD].encode("utf-8", "surrogatepass")]
    passages = _inner(users[-1].text) + _brought(ask.turns)
    if passages:
        passages.sort(key=lambda text: (-len(text), text))
        found += [
            b"p" + text[:HEAD].encode("utf-8", "surrogatepass") for text in passages[:PASSAGES]
        ]
    return tuple(found)


def _inner(text: str) -> list[str]:
    """Its passages, less the first and the last."""
    if "\n" not in text:
        return []
    return _paragraphs(text)[1:-1]


def _brought(turns: tuple[Turn, ...]) -> list[str]:
    """What tools have brought."""
    return [part for turn in turns if turn.role == "tool" for part in _paragraphs(turn.text)]


def _paragraphs(text: str) -> list[str]:
    parts = [part.strip() for part in text[:SAMPLE].split("\n")]
    return [part for part in parts if len(part) >= LEAST]
