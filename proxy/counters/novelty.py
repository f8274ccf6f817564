"""
What a `Novel` counter and a board of notices hold in memory. Pure; the model of novel.lua and notices.lua.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import takewhile

from proxy.counters.codec import DONE
from proxy.counters.protocol import (
    NOVEL_BITS,
    PANE_PARTS,
    POSTS_MAX,
    Done,
    Novel,
    Novelty,
    Post,
    Posts,
    ReadPosts,
    Unnovel,
)
from proxy.counters.states import State
from proxy.counters.sums import micros, part_of, span_of

LEAST_CHANCE = 0.02
"""A new item counts at most 1 / LEAST_CHANCE: beyond, the bitmaps are too full to tell."""

MOST_SWEPT = 64
"""Ended notices that a `Post` clears away."""


@dataclass(slots=True)
class Panes(State):
    """Novel: what this pane of time and the one before have counted, and the marks that stand in each.

    Redis keeps few marks as a list and many as bitmaps; what is read is the same.
    """

    at: int
    weight: list[int] = field(default_factory=lambda: [0, 0])
    requests: list[int] = field(default_factory=lambda: [0, 0])
    marks: set[int] = field(default_factory=set)
    before: set[int] = field(default_factory=set)

    def note(self, op: Novel, at: int) -> Novelty:
        """Note the marks; how many were new in the window."""
        window = span_of(op.window)
        now = max(at, self.at)
        if passed := now // window - self.at // window:
            self._turn(passed)
        self.at = now
        marks, before = self.marks, self.before
        each = (1 - len(marks) / NOVEL_BITS) * (1 - len(before) / NOVEL_BITS)
        chance, new, fresh = 1.0, True, list[int]()
        for mark in op.marks:
            chance *= each
            if mark in marks:
                new = False
            else:
                marks.add(mark)
                fresh.append(mark)
                new = new and mark not in before
        weight = int(1000 / max(chance, LEAST_CHANCE)) if new else 0
        self.weight[0] += weight
        self.requests[0] += 1
        total, asked = self.weight[0], self.requests[0]
        if self.requests[1] or self.weight[1]:
            part = part_of(now, window)
            total += self.weight[1] * part // PANE_PARTS
            asked += self.requests[1] * part // PANE_PARTS
        return Novelty(total / 1000, asked, now / 1e6, weight, tuple(fresh))

    def unnote(self, op: Unnovel) -> Done:
        """Take back a request, its weight, and the marks that were fresh, if a pane still holds them."""
        window = span_of(op.window)
        age = self.at // window - micros(op.at) // window
        if age in {0, 1}:
            (self.marks, self.before)[age].difference_update(op.fresh)
            self.weight[age] = max(0, self.weight[age] - op.weight)
            self.requests[age] = max(0, self.requests[age] - 1)
        return DONE

    def _turn(self, passed: int) -> None:
        follows = passed == 1
        self.before, self.marks = self.marks if follows else set(), set()
        self.weight = [0, self.weight[0] if follows else 0]
        self.requests = [0, self.requests[0] if follows else 0]


@dataclass(slots=True)
class Board(State):
    """Notices: name → (when posted, text, when it ends), in the order of posting."""

    notices: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    ends: list[tuple[int, str]] = field(default_factory=list)
    """A heap of when each ends; of one that was posted again the earlier end stays in it, unheeded."""
    latest: int = 0

    def post(self, op: Post, at: int) -> Done:
        """Put up or replace one; clear some away that have ended."""
        now = self.latest = max(at, self.latest)
        until = now + span_of(op.ttl)
        self.notices.pop(op.name, None)
        self.notices[op.name] = (now, op.text, until)
        heappush(self.ends, (until, op.name))
        swept = 0
        while swept < MOST_SWEPT and self.ends and self.ends[0][0] <= now:
            end, name = heappop(self.ends)
            held = self.notices.get(name)
            if held is not None and held[2] == end:
                del self.notices[name]
                swept += 1
        return DONE

    def read(self, op: ReadPosts, at: int) -> Posts:
        """Those that were posted since."""
        now, since = max(at, self.latest), micros(op.since)
        changed = takewhile(lambda one: one[1][0] >= since, reversed(self.notices.items()))
        found = sorted([(posted, name) for name, (posted, _, _) in changed])[:POSTS_MAX]
        until = found[-1][0] if len(found) == POSTS_MAX else now
        posts = [(name, *self.notices[name][1:]) for _, name in found]
        told = [(name, text, end / 1e6) for name, text, end in posts if end > now]
        return Posts(tuple(told), until / 1e6)
