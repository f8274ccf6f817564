"""What an upstream's bytes are taken for, whatever pieces they come in, and which are no answer at all."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.edge.upstream import UpstreamError
from proxy.edge.upstream_parser import MAX_INTERIM, ReplyParser
from proxy.edge.upstream_reply import Reply

LIMIT = 2048
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Nobody:
    """A connection from which nothing more will come."""

    async def arrival(self) -> None:
        raise AssertionError("waited for more")

    def resume(self) -> None:
        pass

    def release(self, *, sound: bool) -> None:
        pass


class Parsed:
    """One reply, fed piece by piece for as long as the connection bears it."""

    def __init__(self, *pieces: bytes, head: bool = False, ended: bool | None = None) -> None:
        self.reply = Reply(Nobody())
        self.parser = ReplyParser(LIMIT)
        self.parser.expect(self.reply, without_body=head)
        self.sound = all(self.parser.feed(piece) for piece in pieces)
        if ended is not None:
            self.parser.close(clean=ended)

    @property
    def kind(self) -> str:
        return self.reply.failure or ("whole" if self.reply.over else "open")

    def body(self) -> bytes:
        return asyncio.run(self.reply.read()) if self.reply.unread else b""


def test_a_head_keeps_its_headers_in_order_case_and_number() -> None:
    said = (
        OK + b"X-B: 1\r\nx-a:\r\nX-B:  two words \t\r\nX-U: \xff\xe4\r\nContent-Length: 2\r\n\r\nhi"
    )
    parsed = Parsed(said)
    reply = parsed.reply
    assert (reply.status, reply.reason, reply.length) == (200, "OK", 2)
    assert reply.headers == (
        (b"X-B", b"1"),
        (b"x-a", b""),
        (b"X-B", b"two words"),
        (b"X-U", b"\xff\xe4"),
        (b"Content-Length", b"2"),
    )
    assert (parsed.kind, parsed.body(), parsed.parser.keep_alive) == ("whole", b"hi", True)


WHOLE = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": (CHUNKED + b'3\r\nhel\r\n2;ext=1;q="x"\r\nlo\r\n0;last\r\n\r\n', b"hello"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-T: 1\r\nDate: x\r\n\r\n", b"hello"),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + OK
        + b"Content-Length: 5\r\n\r\nhello",
        b"hello",
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
}


@given(name=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_it_makes_no_difference_in_which_pieces_an_answer_comes(
    name: str, data: st.DataObject
) -> None:
    said, body = WHOLE[name]
    cuts = data.draw(st.sets(st.integers(1, len(said) - 1), max_size=len(said)))
    edges = [0, *sorted(cuts), len(said)]
    parsed = Parsed(*(said[a:b] for a, b in pairwise(edges)))
    assert (parsed.kind, parsed.sound, parsed.body()) == ("whole", True, body)
    assert not {b"X-T", b"Link"} & {name for name, _ in parsed.reply.headers}
    assert parsed.reply.headers == Parsed(said).reply.headers


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 199 Odd\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 103 Odd\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"X: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        OK + b" X: a\r\nContent-Length: 0\r\n\r\n",
        OK + b"X : a\r\nContent-Length: 0\r\n\r\n",
        OK + b"no colon\r\nContent-Length: 0\r\n\r\n",
        OK + b": no name\r\nContent-Length: 0\r\n\r\n",
        OK + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
        OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
        OK + b"X: bare line feed\nContent-Length: 0\r\n\r\n",
        OK + b"Content-Length: x\r\n\r\n",
        OK + b"Content-Length:\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: +1\r\n\r\nx",
        OK + b"Content-Length: 1, 1\r\n\r\nx",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\nx",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\nx",
        OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"0x2\r\nhi\r\n",
        CHUNKED + b"-2\r\nhi\r\n",
        CHUNKED + b"2 \r\nhi\r\n",
        CHUNKED + b"2\nhi\n",
        CHUNKED + b"2\r\nhiX\r\n",
        CHUNKED + b"fffffffffffffffff\r\nhi",
        CHUNKED + b"2\r\nhi\r\n0\r\nContent-Length: 3\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_told_at_once(said: bytes) -> None:
    for pieces in ([said], [said[at : at + 1] for at in range(len(said))]):
        parsed = Parsed(*pieces)
        assert (parsed.kind, parsed.sound) == ("malformed", False), pieces


@pytest.mark.parametrize(
    ("said", "clean", "kind"),
    [
        (b"", True, "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", True, "reset"),
        (OK + b"Content-Length: 5\r\n\r\nhell", True, "reset"),
        (CHUNKED + b"2\r\nhi\r\n", True, "reset"),
        (CHUNKED + b"2\r\nhi\r\n0\r\n", True, "reset"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", True, "reset"),
        (OK + b"\r\nuntil the end", True, "whole"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", True, "whole"),
        (OK + b"Connection: keep-alive\r\n\r\nuntil the end", True, "whole"),
        (OK + b"\r\nuntil the end", False, "reset"),
    ],
)
def test_only_a_clean_close_ends_a_body_and_only_one_without_a_length(
    said: bytes, clean: bool, kind: str
) -> None:
    parsed = Parsed(*([said] if said else []), ended=clean)
    assert parsed.kind == kind
    assert not parsed.parser.keep_alive or kind == "reset"


@pytest.mark.parametrize(
    "behind", [b"X", OK, b"\r\nX", OK + b"Content-Length: 1\r\n\r\nx", b"\x00"]
)
@pytest.mark.parametrize("name", sorted(WHOLE))
def test_what_comes_behind_an_answer_changes_nothing_of_it_and_ends_the_connection(
    name: str, behind: bytes
) -> None:
    said, body = WHOLE[name]
    parsed = Parsed(said + behind)
    assert (parsed.kind, parsed.sound, parsed.body()) == ("whole", False, body)
    assert parsed.reply.headers == Parsed(said).reply.headers


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length: 99\r\n\r\n",
        OK + b"Content-Length: 0\r\n\r\n",
        CHUNKED,
        OK + b"\r\n",
    ],
)
def test_an_answer_to_head_ends_with_its_head_and_the_next_one_has_its_body(head: bytes) -> None:
    parsed = Parsed(head, head=True)
    assert (parsed.kind, parsed.sound, parsed.body()) == ("whole", True, b"")
    after = Reply(Nobody())
    parsed.parser.expect(after, without_body=False)
    assert parsed.parser.feed(OK + b"Content-Length: 2\r\n\r\nhi")
    assert (after.over, after.failure, after.unread) == (True, None, 2)


def test_a_body_behind_an_answer_to_head_is_surplus() -> None:
    parsed = Parsed(OK + b"Content-Length: 2\r\n\r\nhi", head=True)
    assert (parsed.kind, parsed.sound, parsed.body()) == ("whole", False, b"")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (OK + b"Content-Length: 0\r\n\r\n", True),
        (OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_where_the_upstream_means_to(said: bytes, kept: bool) -> None:
    assert Parsed(said).parser.keep_alive is kept


def test_interim_answers_are_bounded() -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    last = OK + b"Content-Length: 0\r\n\r\n"
    assert Parsed(*[interim] * MAX_INTERIM, last).kind == "whole"
    assert Parsed(*[interim] * (MAX_INTERIM + 1), last).kind == "malformed"


def test_every_answer_is_counted_anew() -> None:
    parser = ReplyParser(LIMIT)
    interim = b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INTERIM
    for _ in range(3):
        reply = Reply(Nobody())
        parser.expect(reply, without_body=False)
        assert all(parser.feed(part) for part in (interim + CHUNKED, b"1\r\nx\r\n", b"0\r\n\r\n"))
        assert (reply.over, reply.failure) == (True, None)
    after = Reply(Nobody())
    parser.expect(after, without_body=False)
    assert not parser.feed(b"\r\n" + OK + b"Content-Length: 0\r\n\r\n")
    assert after.failure == "malformed"


def long_header(size: int) -> bytes:
    return OK + b"X: " + b"a" * (size - 5) + b"\r\n"


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([long_header(LIMIT - 100), b"Content-Length: 0\r\n\r\n"], "whole"),
        ([long_header(LIMIT + 1) + b"Content-Length: 0\r\n\r\n"], "malformed"),
        ([long_header(LIMIT + 1)], "malformed"),
        ([OK + b"X: "] + [b"a" * 100] * 30, "malformed"),
        ([b"HTTP/1.1 200 " + b"a" * LIMIT + b"\r\nContent-Length: 0\r\n\r\n"], "malformed"),
        ([OK + b"Content-Length: 9000\r\n\r\n" + b"a" * 9000], "whole"),
        ([CHUNKED + b"2;", *[b"e" * 100] * 30], "malformed"),
        ([CHUNKED + b"2\r\nhi\r\n0\r\n", *[b"T: t\r\n"] * 500], "malformed"),
        (
            [long_header(1500), CHUNKED[len(OK) :], b"1;" + b"e" * 1000, b"\r\nx\r\n0\r\n\r\n"],
            "whole",
        ),
        ([CHUNKED, *[b"1;" + b"e" * 90 + b"\r\nx\r\n"] * 100, b"0\r\n\r\n"], "whole"),
    ],
)
def test_bytes_that_give_nothing_to_pass_on_are_bounded(pieces: list[bytes], kind: str) -> None:
    assert Parsed(*pieces).kind == kind


async def test_what_came_before_a_failure_is_read_before_it() -> None:
    parsed = Parsed(CHUNKED + b"2\r\nhi\r\nzz\r\n")
    assert await parsed.reply.read() == b"hi"
    with pytest.raises(UpstreamError) as error:
        await parsed.reply.read()
    assert error.value.kind == "malformed"
