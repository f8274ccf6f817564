"""
Forget what ties an account to others, and what it asked as one of them: for requests to be forgotten,
never on the hot path.

What stands on the boards is taken down as everything is there, by an empty notice that stays for a while:
a replica that has read it before learns of it, and the one that joins drops what it knew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from proxy.campaigns.report import SUBJECT, TIES
from proxy.campaigns.totals import TOTALS
from proxy.counters.protocol import POSTS_MAX, Op, Post, Posts, ReadPosts, Store

GONE_S: Final = 3600.0
"""How long the store remembers that a tie was taken down."""
_BOARD: Final = ("board", "campaigns")


async def forget_ties(store: Store, account: str, *, remove: bool) -> int:
    """How many ties, totals and memberships of `account:…` stand; removed if asked. Raises StoreError."""
    ends = f"{account} ", f" {account}"
    gone: list[Op] = [
        Post(SUBJECT, TIES, name, "", GONE_S)
        async for name in _names(store, SUBJECT, TIES)
        if name.startswith(ends[0]) or name.endswith(ends[1])
    ]
    gone += [
        Post(SUBJECT, TOTALS, name, "", GONE_S)
        async for name in _names(store, SUBJECT, TOTALS)
        if name.startswith(ends[0])
    ]
    gone += [
        Post(*_BOARD, name, "", GONE_S) async for name in _names(store, *_BOARD) if name == account
    ]
    if remove:
        for first in range(0, len(gone), POSTS_MAX):
            await store.apply(gone[first : first + POSTS_MAX])
    return len(gone)


async def _names(store: Store, subject: str, board: str) -> AsyncIterator[str]:
    """The names of what stands on a board."""
    since, told = 0.0, set[str]()
    while True:
        (read,) = await store.apply((ReadPosts(subject, board, since),))
        assert isinstance(read, Posts)
        for name, text, _ in read.posts:
            if text and name not in told:
                told.add(name)
                yield name
        if len(read.posts) < POSTS_MAX or read.until <= since:
            return
        since = read.until
