"""
What each parser promises of any bytes: to raise only what it says it raises, and what stands below.

A target takes bytes and returns; whatever it raises is a finding.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Callable
from typing import Final

import orjson

from proxy.classifier import WrongAnswerError, read_categories
from proxy.client.address import AddressResolver, subnet
from proxy.client.credentials import find_key, strip_key_parameter
from proxy.decision import Degradation
from proxy.degrade.readers import changes_replies, degraded_reader
from proxy.degrade.replies import UnreadableReply
from proxy.degrade.requests import degraded_body
from proxy.dialects.batchline import read_line
from proxy.dialects.jsonbody import UnreadableBody, read_json
from proxy.dialects.routes import dialect, find_route
from proxy.dialects.sse import EventSplitter, data_of
from proxy.edge.screen import screen
from proxy.edge.upstream_parser import ReplyParser
from proxy.edge.upstream_reply import Reply
from proxy.head import Head
from proxy.signals.client_stack import client_stack
from proxy.signals.json_style import escapes_html, json_style
from proxy.signals.language import language_group
from proxy.signals.plain import plain
from proxy.signals.sketch import prompt_sketch
from proxy.signals.template import prompt_template, system_template
from tests.fuzz.files import accounts, lexicon, lists, mmdb, networks, policy
from tests.fuzz.uploads import batch_file, upload_form

Target = Callable[[bytes], None]

PATHS: Final = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/batches",
    "/v1/complete",
    "/v1beta/models/m:generateContent",
    "/v1beta/models/m:batchEmbedContents",
    "/v1beta/models/m:batchGenerateContent",
    "/v1/rerank",
)
EVERYTHING: Final = Degradation(
    *(True, True, True, True),
    cap_output_tokens=512,
    lower_reasoning_effort="low",
    cut_after=40,
)
_TRUSTED: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))


def bodies(data: bytes) -> None:
    """A body of any dialect is read, or unreadable; and orjson reads what is read as it is."""
    path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
    body = data[1:]
    route = find_route("POST", path)
    assert route.kind == "inspected", path
    try:
        read = dialect(route.dialect).read(body, path)
    except UnreadableBody:
        return
    assert json.dumps(orjson.loads(body), sort_keys=True)
    assert read.ask is not None
    usage = dialect(route.dialect).ask_usage(body, read_json(body))
    assert usage is None or orjson.loads(usage)
    degraded, names = degraded_body(body, route, EVERYTHING)
    assert names or degraded == body
    assert degraded_body(degraded, route, EVERYTHING) == (degraded, ()), "once is enough"
    dialect(route.dialect).read(degraded, path)


def batch_line(data: bytes) -> None:
    """A line of a batch holds asks of an inspected route, or is unreadable."""
    with contextlib.suppress(UnreadableBody):
        route, asks = read_line(data)
        assert route.kind == "inspected"
        assert asks


def sse(data: bytes) -> None:
    """A stream comes out as it came in, wherever it is cut."""
    cut, stream = (data[0] or 1, data[1:]) if data else (1, b"")
    splitter = EventSplitter()
    pieces: list[bytes] = []
    for start in range(0, len(stream), cut):
        pieces += splitter.feed(stream[start : start + cut])
    assert b"".join(pieces) + splitter.rest == stream
    for piece in pieces:
        data_of(piece)


def replies(data: bytes) -> None:
    """A reply passes byte for byte whatever it holds, streamed or not, in every dialect."""
    path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
    cut, reply = (data[1] or 1, data[2:]) if len(data) > 1 else (1, b"")
    for streamed in (False, True):
        reader = dialect(find_route("POST", path).dialect).reply_reader(streamed=streamed)
        passed = b"".join(reader.feed(reply[at : at + cut]) for at in range(0, len(reply), cut))
        assert passed + reader.finish() == reply
        assert reader.estimated_output_tokens() >= 0


def degraded(data: bytes) -> None:
    """A reply is degraded or unreadable, and what is hidden does not depend on where it is cut."""
    path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
    cut, reply = (data[1] or 1, data[2:]) if len(data) > 1 else (1, b"")
    route = find_route("POST", path)
    if not changes_replies(route, EVERYTHING):
        return
    for streamed in (False, True):
        told: list[bytes | None] = []
        for size in (cut, len(reply) or 1):
            inner = dialect(route.dialect).reply_reader(streamed=streamed)
            one = degraded_reader(inner, route, EVERYTHING, (), streamed=streamed)
            try:
                passed = [one.feed(reply[at : at + size]) for at in range(0, len(reply), size)]
                told.append(b"".join(passed) + one.finish())
            except UnreadableReply:
                told.append(None)
            assert one.output_tokens >= 0
        assert told[0] == told[1]


def path(data: bytes) -> None:
    """A target that passes the screen has one reading, and no route is inspected under two."""
    target, _, query = data.decode("latin-1").partition("?")
    head = Head("POST", target, query, ((b"Host", b"x"),), "192.0.2.1")
    route = find_route("POST", target)
    if screen(head, (1, 1)) is not None:
        return
    assert not {"//", "\\", ";"} & {
        target[at : at + size] for at in range(len(target)) for size in (1, 2)
    }
    assert all(part not in {".", ".."} for part in target.split("/"))
    if route.kind == "inspected":
        assert "%" not in target.rpartition("/")[2].partition(":")[2]


def forwarding(data: bytes) -> None:
    """Whatever forwarding headers say, the address is one, and of its own subnet."""
    values = data.split(b"\n")
    headers = tuple((b"X-Forwarded-For", one) for one in values)
    headers += tuple((b"Forwarded", one) for one in values)
    for source in ("x-forwarded-for", "forwarded"):
        resolver = AddressResolver(source, _TRUSTED)  # type: ignore[arg-type]
        address, _ = resolver.resolve(Head("GET", "/", "", headers, "127.0.0.1"))
        network = ipaddress.ip_network(subnet(address))
        assert ipaddress.ip_address(address) in network


def credentials(data: bytes) -> None:
    """A key is found or refused, and none is left in a query that was stripped."""
    query, _, value = data.decode("latin-1").partition("\n")
    headers = ((b"Authorization", value.encode("latin-1")), (b"x-api-key", value.encode("latin-1")))
    find_key(Head("GET", "/", query, headers, "192.0.2.1"))
    assert find_key(Head("GET", "/", strip_key_parameter(query), (), "192.0.2.1")) is None


def upstream(data: bytes) -> None:
    """A reply says one thing in whatever pieces it comes, and nothing once it is over."""
    cut, said = (data[0] or 1, data[1:]) if data else (1, b"")
    whole, pieces = _reply(said, len(said) or 1), _reply(said, cut)
    assert whole.failure == pieces.failure
    assert (whole.status, whole.headers, whole.length) == (
        pieces.status,
        pieces.headers,
        pieces.length,
    )
    assert whole.unread == pieces.unread


def _reply(said: bytes, cut: int) -> Reply:
    # Heads stay below the limit: at it, white space counts in pieces and does not in the whole.
    reply, parser = Reply(_Nobody()), ReplyParser(8192)
    parser.expect(reply, without_body=False)
    fed = (parser.feed(said[at : at + cut]) for at in range(0, len(said), cut))
    if all(fed):
        parser.close(clean=True)
    assert reply.over
    return reply


class _Nobody:
    """A connection from which nothing more will come."""

    async def arrival(self) -> None:
        raise AssertionError("waited for more")

    def resume(self) -> None:
        pass

    def release(self, *, sound: bool) -> None:
        pass


def texts(data: bytes) -> None:
    """Every text has its signals, and the same ones each time."""
    text = data.decode("utf-8", "replace")
    assert plain(text) == plain(text)
    assert len(prompt_sketch(text)) <= 2
    for signal in (prompt_template, system_template, language_group):
        signal(text)
    client_stack(
        Head("POST", "/", "", ((b"Host", b"x"), (data[:64] or b"a", b"b")), ""),
        json_style(data),
        html_escaped=escapes_html(data),
        marshalled_map=False,
        header_evidence=True,
    )


def categories(data: bytes) -> None:
    """A classifier's answer holds confidences, or is none."""
    with contextlib.suppress(WrongAnswerError):
        assert all(0 <= sure <= 1 for sure in read_categories(data).values())


TARGETS: Final[dict[str, Target]] = {
    one.__name__: one
    for one in (
        *(bodies, batch_line, batch_file, upload_form, sse, replies, degraded, path, forwarding),
        *(credentials, policy, networks, lists, mmdb, accounts, upstream, texts),
        *(lexicon, categories),
    )
}
