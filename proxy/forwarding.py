"""How a judged request goes on to the upstream: degraded, credentials, usage, and who watches its reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.client.credentials import CREDENTIAL_HEADERS, strip_key_parameter
from proxy.decision import Degradation
from proxy.degrade.readers import changes_replies, degraded_reader
from proxy.degrade.requests import degraded_body, degraded_line
from proxy.degrade.think import left_open
from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.openai_files import UploadReply
from proxy.dialects.replies import BYTES_PER_TOKEN, COMPRESSED_BYTES_PER_TOKEN, UnreadReply
from proxy.dialects.routes import dialect
from proxy.errors import Refusal
from proxy.facts import Route
from proxy.head import Head
from proxy.passage import Forward
from proxy.visit import Visit

UNDEGRADABLE = Refusal(
    400, "undegradable", "The request cannot be served in the form in which it was sent."
)
"""What a request is told that would have slipped through whole."""

_IDENTITY = (("Accept-Encoding", "identity"),)
PARTIAL = 206
_PARTS = ("Range", "If-Range")
"""Headers that ask for a part of a reply, whose usage would stand in another part or in none."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the process settings say about forwarding."""

    credential: tuple[str, str] | None
    """Header and value that replace every caller credential; None passes the caller's own on."""
    ask_usage: bool
    """Whether streams are asked for their usage, and replies for a body that can be read."""
    withheld: Callable[[Head], tuple[str, ...]]
    """Headers that this peer may not send on, such as a gateway's from somebody else."""

    def of(self, visit: Visit) -> Forward | Refusal:
        """How this request is to be sent on; a Refusal where it cannot be degraded as it must be."""
        head = visit.head
        body: bytes | None = visit.body or None
        query, drop = head.query, self.withheld(head)
        add: tuple[tuple[str, str], ...] = ()
        if self.credential is not None:
            query = strip_key_parameter(query)
            drop += CREDENTIAL_HEADERS
            add = (self.credential,)
        read, route = visit.read, visit.route
        if route is not None and route.kind in {"inspected", "metered"} and visit.mode != "bypass":
            drop += _PARTS
        degradation = visit.degradation
        if degradation is not None and route is not None:
            degraded = _degraded(visit, route, degradation)
            if isinstance(degraded, Refusal):
                return degraded
            body = degraded
        answers = read is not None or (route is not None and route.kind == "metered")
        must_read = degradation is not None and answers and changes_replies(route, degradation)
        counts = self.ask_usage or visit.policy.settles
        if visit.file is not None or (counts and answers) or must_read:
            # A compressed reply could not be read for its usage, or an uploaded file's id.
            add += _IDENTITY
        asked = False
        if read is not None and self.ask_usage:
            assert route is not None
            changed = dialect(route.dialect).ask_usage(body or b"", read.parsed)
            if changed is not None:
                body, asked = changed, True
        hides = degradation is not None and degradation.hide_reasoning
        closing = _left_open(read) if hides and read is not None else None
        if read is not None:
            visit.let_go()
        own: tuple[tuple[bytes, bytes], ...]
        own = ((b"X-Excise-Request-Id", visit.id.encode("ascii")),)
        if degradation is not None:
            own += _disclosed(visit, degradation, must_read=must_read)
        streams = read is not None and read.ask.stream
        alone = body is not None and read is None
        observe = _observing(visit, asked, closing)
        return Forward(
            query, body, drop, add, own, streams, alone, visit.file, observe, must_read=must_read
        )


def _degraded(visit: Visit, route: Route, degradation: Degradation) -> bytes | Refusal | None:
    """The body as it goes on. What was let through unread cannot be degraded, so it goes no further."""
    if route.kind != "inspected" or visit.file is not None:
        return visit.body or None
    if visit.read is None:
        return UNDEGRADABLE
    try:
        body, visit.degraded = degraded_body(visit.body, route, degradation)
    except (ValueError, TypeError):
        return UNDEGRADABLE
    return body


def degraded_upload(visit: Visit, route: Route, line: bytes) -> bytes:
    """One line of a batch's file as it goes on, by what was found of all lines so far."""
    degradation = visit.degradation
    if degradation is None:
        return line
    changed, names = degraded_line(line, route, degradation)
    visit.degraded = tuple(dict.fromkeys((*visit.degraded, *names)))
    return changed


def _disclosed(
    visit: Visit, degradation: Degradation, *, must_read: bool
) -> tuple[tuple[bytes, bytes], ...]:
    """The header that says what was changed, and what is taken from the answer if it is there."""
    if visit.policy.disclose == "none":
        return ()
    names = list(visit.degraded)
    if must_read:
        for name, taken in (
            ("logprobs", degradation.takes_logprobs),
            ("reasoning", degradation.hide_reasoning),
            ("output", degradation.cut_after is not None),
            ("pace", degradation.pace is not None),
        ):
            if taken and name not in names:
                names.append(name)
    return ((b"X-Excise-Modified", ", ".join(names).encode("ascii")),) if names else ()


def _left_open(read: ReadAsk) -> str | None:
    """What ends the reasoning within which a request ends: in the last turn of a model that is to go on, or
    in a prompt that is all there is."""
    prompt = read.parsed.get("prompt")
    texts = [prompt] if type(prompt) is str else []
    last = [ask.turns[-1] for ask in (read.ask, *read.more) if ask.turns]
    texts += [one.text for one in last if one.role == "assistant" or "prompt" in read.parsed]
    return next((closing for text in texts if (closing := left_open(text))), None)


def _observing(
    visit: Visit, asked: bool, closing: str | None
) -> Callable[[int, bool, bool], ReplyReader | None]:
    def observe(status: int, streamed: bool, readable: bool) -> ReplyReader | None:
        route, read = visit.route, visit.read
        if visit.file is not None and status < 300:
            if not readable:
                return None
            visit.reader = UploadReply()
            return visit.reader
        if route is None or status >= 300 or (read is None and route.kind != "metered"):
            return None
        speaker = dialect(route.dialect)
        degradation = visit.degradation
        if not readable:
            visit.reader = UnreadReply(COMPRESSED_BYTES_PER_TOKEN)
            return visit.reader
        if status == PARTIAL and degradation is None:
            visit.reader = UnreadReply(BYTES_PER_TOKEN)
            return visit.reader
        visit.reader = speaker.reply_reader(streamed=streamed, drop_usage=asked and streamed)
        if degradation is not None and changes_replies(route, degradation):
            asks = () if read is None else (read.ask, *read.more)
            visit.reader = degraded_reader(
                visit.reader, route, degradation, asks, streamed=streamed, closing=closing
            )
        return visit.reader

    return observe
