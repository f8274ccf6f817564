"""
What each parser promises of any bytes: to raise only what it says it raises, and what stands below.

A target takes bytes and returns; whatever it raises is a finding.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import ipaddress
import json
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, cast

import orjson
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from proxy.batchfile import BatchFile
from proxy.classifier import WrongAnswerError, read_categories
from proxy.client.accounts import load_accounts
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
from proxy.edge.body import BodyMemory
from proxy.edge.screen import screen
from proxy.edge.upload import Form, UploadRefused
from proxy.edge.upstream_parser import ReplyParser
from proxy.edge.upstream_reply import Reply
from proxy.errors import ConfigurationError, Refusal
from proxy.facts import Ask, Route
from proxy.head import Head
from proxy.networks.container import unpack
from proxy.networks.feed import read_entries
from proxy.networks.lists import joined, load_list
from proxy.networks.mmdb import Database
from proxy.policy.load import PolicyError, parse
from proxy.policy.mistake import Mistake
from proxy.policy.yamltree import read_tree
from proxy.signals.client_stack import client_stack
from proxy.signals.json_style import escapes_html, json_style
from proxy.signals.language import language_group
from proxy.signals.lexicon_file import read_lexicon
from proxy.signals.plain import plain
from proxy.signals.sketch import prompt_sketch
from proxy.signals.template import prompt_template, system_template

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


_BATCH_KEYS: Final = {"url", "body"}


async def _no_objection(_route: Route, _ask: Ask) -> Refusal | None:
    return None


def _refused(error: UnreadableBody) -> Refusal:
    return Refusal(400, error.reason, error.message)


async def _through(file: BatchFile, data: bytes, cut: int) -> bytes | None:
    """What of a batch's file goes on; None where it is refused."""
    passed = b""
    for start in range(0, len(data), cut):
        cleared = await file.data(data[start : start + cut])
        if isinstance(cleared, Refusal):
            return None
        passed += cleared
        assert len(passed) + file.held == min(start + cut, len(data))
    cleared = await file.end_of_file()
    return None if isinstance(cleared, Refusal) else passed + cleared


def _requests(lines: Iterable[str]) -> int:
    """How many lines a reader takes for requests that skips whatever it cannot read."""
    found = 0
    for line in lines:
        try:
            read = json.loads(line)
        except (ValueError, RecursionError):
            continue
        found += isinstance(read, dict) and read.keys() >= _BATCH_KEYS
    return found


def batch_file(data: bytes) -> None:
    """A batch's file goes on as it came, however it is cut; and whichever ends of lines its reader
    knows, it finds no request that was not judged."""
    cut, text = (data[0] or 1, data[1:]) if data else (1, b"")
    file = BatchFile(_no_objection, lambda _: None, _refused)
    assert file.field("purpose", b"batch") is None
    passed = asyncio.run(_through(file, text, cut))
    if passed is None:
        return
    assert passed == text
    decoded = passed.decode()
    for lines in (decoded.split("\n"), io.StringIO(decoded, newline=None), decoded.splitlines()):
        assert _requests(lines) <= file.asks


class _Kept:
    """An inspector that keeps what it is shown."""

    held = 0

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self.file = b""

    def field(self, name: str, value: bytes) -> Refusal | None:
        self.fields[name] = value
        return None

    async def data(self, data: bytes) -> bytes | Refusal:
        self.file += data
        return data

    async def end_of_file(self) -> bytes | Refusal:
        return b""

    async def finish(self) -> Refusal | None:
        return None


async def _form(body: bytes, boundary: str, kept: _Kept, memory: BodyMemory) -> bytes | None:
    """A form as it is written anew; None where it is refused."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    stream = StreamReader(protocol, 2**24, loop=loop)
    stream.feed_data(body)
    stream.feed_eof()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = make_mocked_request("POST", "/v1/files", kind, payload=stream)
    form = Form(cast("web.BaseRequest", request), kept, 5.0, memory)
    try:
        written = b"".join([piece async for piece in form.pieces()])
    except UploadRefused:
        return None
    finally:
        form.release()
    return written + b"\n" + form.content_type.encode()


def upload_form(data: bytes) -> None:
    """A form is refused, or written anew so that reading that again shows the same; no memory is kept."""
    memory, kept, again = BodyMemory(2**24), _Kept(), _Kept()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # aiohttp's, of headers that are refused
        written = asyncio.run(_form(data, "B", kept, memory))
    assert memory.used == 0
    if written is None:
        return
    body, _, kind = written.rpartition(b"\n")
    boundary = kind.partition(b"boundary=")[2].decode()
    assert asyncio.run(_form(body + b"\n", boundary, again, memory)) is not None
    assert (again.fields, again.file) == (kept.fields, kept.file)


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


def policy(data: bytes) -> None:
    """A policy loads, or is refused with the place of each mistake."""
    mistakes: list[Mistake] = []
    try:
        parse(data.decode("utf-8", "replace"), "policy.yaml")
    except PolicyError as error:
        mistakes += error.mistakes or [Mistake("", 0, 0, "refused without a reason")]
    assert all(one.line > 0 and one.column > 0 for one in mistakes)


def networks(data: bytes) -> None:
    """A feed's text and a packed table are read, or refused."""
    text = data.decode("utf-8", "replace")
    for form in ("cidr", "csv"):
        with contextlib.suppress(ValueError):
            assert read_entries(text, form)
    with contextlib.suppress(ConfigurationError):
        unpack(data, "networks")


def lists(data: bytes) -> None:
    """An operator's list of networks is read, or refused with the place of each mistake."""
    with _file("list.yaml", data) as file, _told_by_place(file):
        found = load_list(datetime.date(2026, 11, 25), file)
        joined([found])


def accounts(data: bytes) -> None:
    """An accounts file is read, or refused with the place of each mistake."""
    with _file("accounts.yaml", data) as file, _told_by_place(file):
        load_accounts(file)


def mmdb(data: bytes) -> None:
    """A file of networks opens or is refused; a damaged record says nothing."""
    with _file("networks.mmdb", data) as file, _told_by_place(file):
        database = Database(file)
        for address in ("0.0.0.0", "8.1.2.3", "255.255.255.255", "::1", "2001:db8::1"):
            database.find(address)


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
    reply, parser = Reply(_Nobody()), ReplyParser(2048)
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


@contextlib.contextmanager
def _file(name: str, data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(data)
        yield file


@contextlib.contextmanager
def _told_by_place(file: Path) -> Iterator[None]:
    """Every line that refuses begins with the file."""
    said = ""
    try:
        yield
    except ConfigurationError as error:
        said = str(error)
    assert not said or all(line.startswith(f"{file}:") for line in said.split("\n")), said


def texts(data: bytes) -> None:
    """Every text has its signals, and the same ones each time."""
    text = data.decode("utf-8", "replace")
    assert plain(text) == plain(text)
    assert len(prompt_sketch(text)) <= 2
    for signal in (prompt_template, system_template, language_group):
        signal(text)
    client_stack(
        ((b"Host", b"x"), (data[:64] or b"a", b"b")),
        json_style(data),
        html_escaped=escapes_html(data),
        marshalled_map=False,
        header_evidence=True,
    )


def lexicon(data: bytes) -> None:
    """A lexicon's file is read with the place of each mistake, and weighs any text within its bounds."""
    text = data.decode("utf-8", "replace")
    tree = read_tree(text, "lexicon.yaml")
    made = read_lexicon(tree.data, tree.mistake, "lexicon")
    if tree.mistakes:
        return
    assert made.entries
    for name, weight in made.weigh_text(text):
        assert 0 < weight <= made.most[name]


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
