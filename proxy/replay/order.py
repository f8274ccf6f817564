"""
Results in the order of their lines, and which earlier lines were refused. Pure, and bounded.

A held request is told when it goes on, a refused one at once: what is told early waits for its turn. So
much waits at most as comes while one request is held, which no policy can for longer than a minute.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from proxy.replay.result import Result

REMEMBERED: Final = 1 << 24
"""Lines that are remembered as refused or not: two MiB."""


class InOrder:
    """Gives results back in the order in which their lines were expected."""

    def __init__(self) -> None:
        self._expected: deque[int] = deque()
        self._known: dict[int, Result] = {}

    def expect(self, number: int) -> None:
        """A line has come."""
        self._expected.append(number)

    def put(self, result: Result) -> None:
        """What has become of a line."""
        self._known[result.record.number] = result

    def ready(self) -> list[Result]:
        """The results whose turn has come."""
        found: list[Result] = []
        expected, known = self._expected, self._known
        while expected and (result := known.pop(expected[0], None)) is not None:
            expected.popleft()
            found.append(result)
        return found


class Refusals:
    """One bit a line, of the newest lines."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._bits = bytearray(remembered // 8)
        self._most = len(self._bits) * 8
        self._newest = -1

    def note(self, number: int) -> None:
        """A line was refused."""
        self._forget_up_to(number)
        at = number % self._most
        self._bits[at >> 3] |= 1 << (at & 7)

    def holds(self, number: int) -> bool:
        """Whether a line was refused; a held one, or one long forgotten, was not."""
        if number > self._newest or number <= self._newest - self._most:
            return False
        at = number % self._most
        return bool(self._bits[at >> 3] >> (at & 7) & 1)

    def _forget_up_to(self, number: int) -> None:
        """Make room for all lines up to this one."""
        first = max(self._newest + 1, number - self._most + 1)
        for one in range(first, number + 1):
            at = one % self._most
            self._bits[at >> 3] &= ~(1 << (at & 7))
        self._newest = max(self._newest, number)
