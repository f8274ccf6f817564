"""How a judged request goes on to the upstream: credentials, usage, and who watches its reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.client.credentials import CREDENTIAL_HEADERS, strip_key_parameter
from proxy.dialects.base import ReplyReader
from proxy.dialects.openai_files import UploadReply
from proxy.dialects.routes import dialect
from proxy.head import Head
from proxy.passage import Forward
from proxy.visit import Visit

_IDENTITY = (("Accept-Encoding", "identity"),)


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the process settings say about forwarding."""

    credential: tuple[str, str] | None
    """Header and value that replace every caller credential; None passes the caller's own on."""
    ask_usage: bool
    """Whether streams are asked for their usage, and replies for a body that can be read."""
    withheld: Callable[[Head], tuple[str, ...]]
    """Headers that this peer may not send on, such as a gateway's from somebody else."""

    def of(self, visit: Visit) -> Forward:
        """How this request is to be sent on."""
        head = visit.head
        body: bytes | None = visit.body or None
        query, drop = head.query, self.withheld(head)
        add: tuple[tuple[str, str], ...] = ()
        if self.credential is not None:
            query = strip_key_parameter(query)
            drop += CREDENTIAL_HEADERS
            add = (self.credential,)
        read = visit.read
        asked = False
        route = visit.route
        metered = route is not None and route.kind == "metered"
        if visit.file is not None or (self.ask_usage and (metered or read is not None)):
            # A compressed reply could not be read for its usage, or an uploaded file's id.
            add += _IDENTITY
        if read is not None and self.ask_usage:
            assert route is not None
            changed = dialect(route.dialect).ask_usage(visit.body, read.parsed)
            if changed is not None:
                body, asked = changed, True
        if read is not None:
            visit.let_go()
        own = ((b"X-Excise-Request-Id", visit.id.encode("ascii")),)
        streams = read is not None and read.ask.stream
        alone = body is not None and read is None
        observe = _observing(visit, asked)
        return Forward(query, body, drop, add, own, streams, alone, visit.file, observe)


def _observing(visit: Visit, asked: bool) -> Callable[[int, bool], ReplyReader | None]:
    def observe(status: int, streamed: bool) -> ReplyReader | None:
        route = visit.route
        if visit.file is not None and status < 300:
            visit.reader = UploadReply()
            return visit.reader
        if route is None or status >= 300 or (visit.read is None and route.kind != "metered"):
            return None
        speaker = dialect(route.dialect)
        visit.reader = speaker.reply_reader(streamed=streamed, drop_usage=asked and streamed)
        return visit.reader

    return observe
