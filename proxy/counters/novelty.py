"""
What a `Novel` counter and a board of notices hold in memory. Pure; the model of novel.lua and notices.lua.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.counters.codec import DONE, micros
from proxy.counters.protocol import (
    NOVEL_BITS,
    POSTS_MAX,
    Count,
    Done,
    Novel,
    Novelty,
    Post,
    Posts,
    ReadPosts,
    Uncount,
    Unnovel,
)
from proxy.counters.states import Buckets, State

LEAST_CHANCE = 0.02
"""A new item counts at most 1 / LEAST_CHANCE: beyond, the bitmaps are too full to tell."""

MOST_SWEPT = 64
"""Ended notices that a `Post` clears away."""


@dataclass(slots=True)
class Panes(Buckets):
    """Novel: the weights by time bucket, and the marks of this pane of time and the one before."""

    pane: int | None = None
    marks: set[int] = field(default_factory=set)
    before: set[int] = field(default_factory=set)
    requests: Buckets = field(default_factory=lambda: Buckets(0))

    def note(self, op: Novel, at: int) -> Novelty:
        """Note the marks; how many were new in the window."""
        pane = max(at, self.at) // micros(op.window)
        if pane != self.pane:
            follows = self.pane is not None and pane - self.pane == 1
            self.before = self.marks if follows else set()
            self.marks = set()
            self.pane = pane
        each = (1 - len(self.marks) / NOVEL_BITS) * (1 - len(self.before) / NOVEL_BITS)
        chance, new, fresh = 1.0, True, list[int]()
        for mark in op.marks:
            chance *= each
            if mark in self.marks:
                new = False
            else:
                self.marks.add(mark)
                fresh.append(mark)
                new = new and mark not in self.before
        weight = int(1000 / max(chance, LEAST_CHANCE)) if new else 0
        total = self.count(Count(op.subject, op.key, op.window, weight), at)
        asked = self.requests.count(Count(op.subject, op.key, op.window), at)
        return Novelty(total.total / 1000, asked.total, total.now, weight, tuple(fresh))

    def unnote(self, op: Unnovel) -> Done:
        """Take back a weight, and the marks that were fresh."""
        pane = micros(op.at) // micros(op.window)
        if self.pane is not None and pane in {self.pane, self.pane - 1}:
            marks = self.marks if pane == self.pane else self.before
            marks.difference_update(op.fresh)
        self.requests.uncount(Uncount(op.subject, op.key, op.window, 1, op.at))
        return self.uncount(Uncount(op.subject, op.key, op.window, op.weight, op.at))


@dataclass(slots=True)
class Board(State):
    """Notices: name → (when posted, text, when it ends)."""

    notices: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    latest: int = 0

    def post(self, op: Post, at: int) -> Done:
        """Put up or replace one; clear some away that have ended."""
        now = self.latest = max(at, self.latest)
        self.notices[op.name] = (now, op.text, now + micros(op.ttl))
        ended = sorted((end, name) for name, (_, _, end) in self.notices.items() if end <= now)
        for _, name in ended[:MOST_SWEPT]:
            del self.notices[name]
        return DONE

    def read(self, op: ReadPosts, at: int) -> Posts:
        """Those that were posted since."""
        now, since = max(at, self.latest), micros(op.since)
        changed = sorted((posted, name) for name, (posted, _, _) in self.notices.items())
        found = [(posted, name) for posted, name in changed if posted >= since][:POSTS_MAX]
        until = found[-1][0] if len(found) == POSTS_MAX else now
        posts = [(name, *self.notices[name][1:]) for _, name in found]
        told = [(name, text, end / 1e6) for name, text, end in posts if end > now]
        return Posts(tuple(told), until / 1e6)
