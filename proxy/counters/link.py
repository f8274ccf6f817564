"""
One Redis server as callers see it: calls of one tick leave as one pipeline, answers find their way.

At most one pipeline is under way; what arrives meanwhile waits, bounded, and leaves as the next. A
pipeline that is not answered in time takes its connection with it, and with that everything it may
or may not have done; those who waited behind it fail too, so that nobody waits for two time-outs.
Nothing is sent twice unless the server said that it did not carry it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from proxy.counters.resp import ErrorReply, Reply
from proxy.counters.script import SCRIPT, SHA
from proxy.counters.wire import Replies, Wire, code_of
from proxy.errors import StoreError, StoreFullError, StoreTimeoutError

BATCH: Final = 512
"""Calls in one pipeline."""

HOPS: Final = 4
"""Redirections that one call follows."""

_EVALSHA: Final = b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % SHA
_EVAL: Final = b"$4\r\nEVAL\r\n$%d\r\n%b\r\n" % (len(SCRIPT), SCRIPT)
_ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one link: seconds to answer a pipeline, seconds to connect, calls that may wait."""

    timeout: float = 0.05
    connect_timeout: float = 1.0
    waiting: int = 16_384


class Trip:
    """What one `apply` waits for: an answer for each of its calls."""

    __slots__ = ("answers", "future", "late", "missing")

    def __init__(self, future: asyncio.Future[None], calls: int) -> None:
        self.future = future
        self.answers: list[bytes] = [b""] * calls
        self.missing = calls
        self.late: Callable[[list[bytes]], None] | None = None

    def answer(self, place: int, answer: bytes) -> None:
        """Take one call's answer; the last one wakes the caller, if it still waits."""
        self.answers[place] = answer
        self.missing -= 1
        if self.missing:
            return
        if not self.future.done():
            self.future.set_result(None)
        elif self.late is not None:
            self.late(self.answers)

    def abandon(self, late: Callable[[list[bytes]], None]) -> None:
        """The caller has gone: `late` has the answers, if all of them come or have come already."""
        if self.missing:
            self.late = late
        else:
            late(self.answers)

    def fail(self, error: StoreError) -> None:
        """Fail the caller, unless it has gone or has failed already."""
        if not self.future.done():
            self.future.set_exception(error)


class Call:
    """The script once, for one subject: its words after EVALSHA, and who waits for the answer."""

    __slots__ = ("asking", "hops", "loaded", "place", "tail", "trip", "words")

    def __init__(self, trip: Trip, place: int, words: int, tail: bytes) -> None:
        self.trip = trip
        self.place = place
        self.words = words
        self.tail = tail
        self.hops = 0
        self.asking = False
        self.loaded = False


class Router(Protocol):
    """Who knows the other servers."""

    def redirect(self, call: Call, target: str, *, asking: bool) -> None:
        """Send a call on to where a MOVED or ASK reply points: `slot host:port`."""
        ...

    def failed(self) -> None:
        """A link has lost its server."""
        ...


class Link:
    """One connection, made when first needed and again after it was lost."""

    def __init__(self, dial: Callable[[], Awaitable[Wire]], limits: Limits, router: Router) -> None:
        self._dial = dial
        self._limits = limits
        self._router = router
        self._waiting: list[Call] = []
        self._flying: list[Call] = []
        self._wire: Wire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._dialing: asyncio.Task[Wire] | None = None
        self._scheduled = False

    @property
    def idle(self) -> bool:
        """Whether nobody waits for this link."""
        return not self._waiting and not self._flying

    def put(self, call: Call) -> None:
        """Queue a call for the next pipeline. StoreError where too many wait already."""
        if len(self._waiting) >= self._limits.waiting:
            raise StoreError("too many operations wait for the store")
        self._waiting.append(call)
        if not self._flying:
            self._schedule()

    def close(self, error: StoreError) -> None:
        """Drop the connection; whoever still waits fails with `error`."""
        if self._dialing is not None:
            self._dialing.cancel()
        self._drop()
        self._fail(self._take_all(), error)
        self._disarm()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._flying or not self._waiting:
            return
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._limits.timeout, self._late)
        if self._wire is None or self._wire.lost:
            self._connect()
            return
        self._flying, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self._send(self._wire, _EVALSHA)

    def _send(self, wire: Wire, first: bytes) -> None:
        """Send what is flying as one pipeline, its first command by `first`."""
        pieces: list[bytes] = []
        expected = len(self._flying)
        head = first
        for call in self._flying:
            if call.asking:
                pieces.append(_ASKING)
                expected += 1
            pieces += (b"*%d\r\n" % (call.words + 2), head, call.tail)
            head = _EVALSHA
        wire.exchange(b"".join(pieces), expected, self._answered)

    def _answered(self, replies: Replies | None) -> None:
        calls, self._flying = self._flying, []
        if replies is None:
            self._wire = None
            self._disarm()
            self._fail(calls, StoreError("the connection to the store was lost"))
            self._router.failed()
        else:
            self._deliver(calls, replies)
            if self._flying and self._wire is not None:
                self._send(self._wire, _EVAL)
                return
            self._disarm()
        if self._waiting:
            self._flush()

    def _deliver(self, calls: list[Call], replies: Replies) -> None:
        """Give out the replies; calls to send again with the script itself stay flying."""
        coming = iter(replies)
        for call in calls:
            reply = next(islice(coming, 1, None)) if call.asking else next(coming)
            if isinstance(reply, bytes):
                call.trip.answer(call.place, reply)
            elif isinstance(reply, ErrorReply):
                self._refused(call, reply)
            else:
                call.trip.fail(StoreError("the store's answer is not understood"))

    def _refused(self, call: Call, error: ErrorReply) -> None:
        code = code_of(error)
        if code == "NOSCRIPT" and not call.loaded:
            call.loaded = True
            self._flying.append(call)
        elif code in {"MOVED", "ASK"} and call.hops < HOPS:
            call.hops += 1
            self._router.redirect(call, error.text.partition(" ")[2], asking=code == "ASK")
        elif "OOM" in error.text.split("'")[0]:
            call.trip.fail(StoreFullError("the store is out of memory"))
        else:
            call.trip.fail(StoreError(f"the store refused: {code}"))
            if "READONLY" in error.text:
                self._drop()  # a replica by now: look for the master anew
                self._router.failed()

    def _late(self) -> None:
        self._timer = None
        if self._flying:
            self._drop()
            self._router.failed()
        error = StoreTimeoutError(f"the store did not answer within {self._limits.timeout:g} s")
        self._fail(self._take_all(), error)

    def _connect(self) -> None:
        if self._dialing is None:
            self._dialing = asyncio.create_task(self._dial_in_time(), name="store-connect")
            self._dialing.add_done_callback(self._dialed)

    async def _dial_in_time(self) -> Wire:
        try:
            async with asyncio.timeout(self._limits.connect_timeout):
                return await self._dial()
        except TimeoutError:
            raise StoreTimeoutError("no connection to the store in time") from None

    def _dialed(self, task: asyncio.Task[Wire]) -> None:
        self._dialing = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._wire = task.result()
        else:
            if not isinstance(error, StoreError):
                error = StoreError(f"cannot connect to the store: {type(error).__name__}")
            self._disarm()
            self._fail(self._take_all(), error)
            self._router.failed()
        if self._waiting:
            self._flush()

    def _take_all(self) -> list[Call]:
        calls = self._flying + self._waiting
        self._flying, self._waiting = [], []
        return calls

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @staticmethod
    def _fail(calls: list[Call], error: StoreError) -> None:
        for call in calls:
            # One exception each: raised in many tasks, a shared one would gather all their tracebacks.
            call.trip.fail(type(error)(*error.args))


def text_of(reply: Reply) -> str:
    """A bulk reply as text; empty for anything else."""
    return reply.decode() if isinstance(reply, bytes) else ""
