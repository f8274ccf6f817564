"""
One exchange out of a record: what the line asks of the edge, carried out without any.

Heads are screened, bodies bounded, requests held back in lanes and uploads inspected as over HTTP; only
the answer comes out of the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from proxy.dialects.base import RefusalReply
from proxy.dialects.openai_files import UploadReply
from proxy.edge.body import TOO_LARGE
from proxy.edge.lanes import DelayLanes
from proxy.edge.screen import screen
from proxy.errors import Refusal
from proxy.head import Head
from proxy.passage import EARLY_BODY_BYTES, Forward, Progress
from proxy.replay.answer import Answer, RecordedReply, degraded_answer, plain_answer
from proxy.replay.clock import Until, VirtualClock
from proxy.replay.records import Record
from proxy.replay.upload import inspect
from proxy.visit import Visit

Stage = Literal["judging", "held", "forwarded", "refused"]
HTTP_1_1: Final = (1, 1)
_OF_HOST: Final = frozenset({b"host"})
_HOST: Final = (b"Host", b"recorded.invalid")


@dataclass(frozen=True, slots=True)
class Venue:
    """What all exchanges of a replay share."""

    clock: VirtualClock
    lanes: DelayLanes
    header_bytes: int
    body_bytes: int


class RecordedExchange:
    """See `passage.Exchange`."""

    __slots__ = (
        "_venue",
        "answered",
        "head",
        "progress",
        "reads_early",
        "record",
        "stage",
        "told",
        "visit",
    )

    def __init__(self, record: Record, visit: Visit, venue: Venue) -> None:
        self.record = record
        self.visit = visit
        self.head: Head = record.head
        self.progress = Progress()
        self.reads_early = len(record.body) <= EARLY_BODY_BYTES
        self.stage: Stage = "judging"
        self.answered: Answer | None = None
        """What the upstream has answered, as far as it comes through."""
        self.told = False
        """Whether its result is known."""
        self._venue = venue

    def objection(self) -> Refusal | None:
        """Why the edge takes no further look: a head that reads in several ways."""
        head = self.head
        if not head.layout.places(_OF_HOST):  # records may leave out what every client sends
            head = Head(head.method, head.path, head.query, (_HOST, *head.headers), head.peer)
        return screen(head, HTTP_1_1, self._venue.header_bytes)

    async def receive(self) -> bytes | Refusal:
        """The whole body."""
        body = self.record.body
        return body if len(body) <= self._venue.body_bytes else TOO_LARGE

    async def hold(self, subject: str, seconds: float) -> bool:
        """Hold the request back; False at once where there is no room to."""
        venue = self._venue
        if not venue.lanes.enter(subject):
            return False
        self.stage = "held"
        await Until(venue.clock.at + seconds)
        venue.lanes.leave(subject)
        return True

    def answer(self, reply: RefusalReply, *, close: bool) -> None:
        """An answer of our own."""
        self.stage = "refused"
        self.progress.status = reply.status
        self.progress.end = "complete"

    async def forward(self, forward: Forward) -> Refusal | None:
        """Take the answer out of the record, as far as the policy lets it through."""
        record, visit, progress = self.record, self.visit, self.progress
        response, clock = record.response, self._venue.clock
        if forward.file is not None:
            refusal = await inspect(forward.file, record.head, record.body)
            if refusal is not None:
                return refusal
        observer = forward.observe(response.status, forward.streams, True)
        degradation, route, read = visit.degradation, visit.route, visit.read
        if degradation is None or route is None or response.status >= 300:
            answer = plain_answer(response)
        else:
            asks = () if read is None else (read.ask, *read.more)
            answer = degraded_answer(response, degradation, route, asks, observer)
        if isinstance(observer, UploadReply):
            observer.file_id = visit.id  # what the upstream has called it stands in no record
        elif observer is not None and forward.file is None:
            visit.reader = RecordedReply(answer.usage)
        if forward.ready is not None:
            await forward.ready()
        self.answered, self.stage = answer, "forwarded"
        progress.status = response.status
        progress.streamed = forward.streams
        progress.bytes_out = answer.tokens * 4
        progress.upstream_s = 0.0 if forward.streams else response.duration
        await Until(clock.at + answer.duration)
        progress.end = "complete"
        return None
