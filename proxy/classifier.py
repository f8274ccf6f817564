"""
An operator's own classifier, asked over HTTP about prompts that have been served.

Nobody waits for it: questions stand in a bounded queue, and what finds no room is dropped and counted.
It fails open. After failures in a row it is left alone for a while, longer each time, and its questions
are dropped meanwhile. Answers are remembered by a keyed hash of the prompt, for a time. No text is ever
logged.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final, Literal

import aiohttp

from proxy.classify import Categories, Question
from proxy.clock import Clock

Result = Literal["answered", "cached", "dropped", "failed", "skipped"]
"""What became of a question: dropped where the queue is full, skipped while the service is left alone."""

MAX_ANSWER: Final = 64 * 1024
MAX_CATEGORIES: Final = 64
FAILURES: Final = 3
"""In a row, after which the service is left alone."""
FIRST_REST: Final = 1.0
LONGEST_REST: Final = 60.0
"""Seconds."""


class WrongAnswerError(Exception):
    """What came is no answer; the text says why, and quotes nothing."""


class Classifier:
    """Asks one service. `start` needs a running loop; `close` ends it."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        item_hash: Callable[[bytes], int],
        on_result: Callable[[Result], None],
        on_state: Callable[[bool, str], None],
        on_fault: Callable[[BaseException], None],
        timeout: float = 2.0,
        max_queue: int = 256,
        concurrent: int = 4,
        cache_entries: int = 4096,
        cache_ttl: float = 3600.0,
    ) -> None:
        """`on_state` is told (whether it answers again, why not)."""
        self._url = url
        self._clock = clock
        self._hash = item_hash
        self._on_result = on_result
        self._on_state = on_state
        self._on_fault = on_fault
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._max_queue = max_queue
        self._concurrent = concurrent
        self._cache = _Cache(cache_entries, cache_ttl)
        self._queue: deque[Question] = deque()
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._failures = 0
        self._rests_until = 0.0

    def start(self) -> None:
        """Begin to work the queue off."""
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        self._tasks = [
            asyncio.create_task(self._work(self._session), name=f"classify-{number}")
            for number in range(self._concurrent)
        ]

    async def close(self) -> None:
        """What is under way is given up, and what is queued is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._queue:
            self._queue.popleft()
            self._on_result("dropped")
        if self._session is not None:
            await self._session.close()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, question: Question) -> None:
        """Queue a question. Never blocks."""
        if self._resting():
            self._on_result("skipped")
        elif len(self._queue) >= self._max_queue:
            self._on_result("dropped")
        else:
            self._queue.append(question)
            self._arrived.set()

    def _resting(self) -> bool:
        return self._clock.monotonic() < self._rests_until

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while True:
            while not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            question = self._queue.popleft()
            try:
                self._on_result(await self._answer(session, question))
            except Exception as error:
                # Whatever it was, the next question must find somebody who asks it.
                self._on_fault(error)

    async def _answer(self, session: aiohttp.ClientSession, question: Question) -> Result:
        key = self._hash(question.key)
        known = self._cache.get(key, self._clock.monotonic())
        if known is not None:
            question.told(known)
            return "cached"
        if self._resting():
            return "skipped"
        try:
            categories = await self._ask(session, question)
        except (aiohttp.ClientError, TimeoutError, WrongAnswerError, OSError) as error:
            self._failed(
                str(error) if isinstance(error, WrongAnswerError) else type(error).__name__
            )
            return "failed"
        if self._failures >= FAILURES:
            self._on_state(True, "")
        self._failures = 0
        self._cache.put(key, categories, self._clock.monotonic())
        question.told(categories)
        return "answered"

    async def _ask(self, session: aiohttp.ClientSession, question: Question) -> Categories:
        asked = {"text": question.text, "model": question.model, "id": question.id}
        # A redirect would carry the prompt to somebody else.
        async with session.post(self._url, json=asked, allow_redirects=False) as answer:
            if answer.status != 200:
                raise WrongAnswerError(f"status {answer.status}")
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > MAX_ANSWER:
                    raise WrongAnswerError("too long")
        return read_categories(bytes(body))

    def _failed(self, reason: str) -> None:
        self._failures += 1
        over = self._failures - FAILURES
        if over >= 0:
            rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(over, 10))
            self._rests_until = self._clock.monotonic() + rest
        if over == 0:
            self._on_state(False, reason)


def read_categories(body: bytes) -> Categories:
    """`{"categories": {"biology": 0.93}}` → category and confidence. Raises WrongAnswerError."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise WrongAnswerError("not JSON") from None
    told = data.get("categories") if isinstance(data, dict) else None
    if not isinstance(told, dict) or len(told) > MAX_CATEGORIES:
        raise WrongAnswerError("no `categories`")
    for sure in told.values():
        if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 <= sure <= 1:
            raise WrongAnswerError("a confidence is a number from 0 to 1")
    return told


class _Cache:
    """The answers of late: the least recently used goes first, and each after its time."""

    def __init__(self, entries: int, ttl: float) -> None:
        self._entries = entries
        self._ttl = ttl
        self._known: OrderedDict[int, tuple[float, Categories]] = OrderedDict()

    def get(self, key: int, now: float) -> Categories | None:
        found = self._known.get(key)
        if found is None:
            return None
        if now >= found[0]:
            del self._known[key]
            return None
        self._known.move_to_end(key)
        return found[1]

    def put(self, key: int, categories: Categories, now: float) -> None:
        self._known[key] = (now + self._ttl, categories)
        self._known.move_to_end(key)
        while len(self._known) > self._entries:
            self._known.popitem(last=False)
