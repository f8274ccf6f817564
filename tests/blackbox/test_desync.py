"""One request in, at most one out with the same meaning; or a refusal, and a closed connection."""

from __future__ import annotations

import socket

import pytest

from tests.blackbox.conftest import raw
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: roomy, kind: rate_limit, per: api_key, limit: 100000/minute, burst: 10000, action: throttle}
  - name: never
    kind: rate_limit
    per: api_key
    limit: 1/hour
    burst: 1
    match: {model: never}
    action: block
"""
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
SMUGGLED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-smuggled\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(CHAT)
) + CHAT


def head(
    *lines: bytes, start: bytes = b"POST /v1/chat/completions HTTP/1.1", end: bytes = b"\r\n"
) -> bytes:
    usual = (b"Host: x", b"Authorization: Bearer sk-desync", b"Content-Type: application/json")
    return end.join((start, *usual, *lines, b"", b""))


def chunked(body: bytes, size: bytes | None = None) -> bytes:
    return (size or b"%x" % len(body)) + b"\r\n" + body + b"\r\n0\r\n\r\n"


LENGTH = b"Content-Length: %d" % len(CHAT)
TE = b"Transfer-Encoding: chunked"
TWO_LENGTHS = b"Content-Length: %d, %d" % (len(CHAT), len(CHAT))

REFUSED = {
    "length and chunks": head(LENGTH, TE) + chunked(CHAT) + SMUGGLED,
    "chunks and length": head(TE, b"Content-Length: 4") + chunked(CHAT) + SMUGGLED,
    "chunked twice": head(TE, TE) + chunked(CHAT) + SMUGGLED,
    "chunked twice in one": head(b"Transfer-Encoding: chunked, chunked") + chunked(CHAT),
    "identity, chunked": head(b"Transfer-Encoding: identity, chunked") + chunked(CHAT),
    "chunked, identity": head(b"Transfer-Encoding: chunked, identity") + chunked(CHAT),
    "chunked and another": head(TE, b"Transfer-Encoding: cow") + chunked(CHAT) + SMUGGLED,
    "not quite chunked": head(b"Transfer-Encoding: xchunked", LENGTH) + CHAT + SMUGGLED,
    "chunked in quotes": head(b'Transfer-Encoding: "chunked"') + chunked(CHAT),
    "chunked behind a vertical tab": head(b"Transfer-Encoding: \x0bchunked") + chunked(CHAT),
    "chunked with a parameter": head(b"Transfer-Encoding: chunked;q=1") + chunked(CHAT),
    "an empty coding": head(b"Transfer-Encoding:", LENGTH) + CHAT + SMUGGLED,
    "a space behind the name": head(b"Transfer-Encoding : chunked", LENGTH) + CHAT + SMUGGLED,
    "a tab behind the name": head(b"Content-Length\t: 4", LENGTH) + CHAT + SMUGGLED,
    "a space before the name": head(LENGTH, b" X: y") + CHAT + SMUGGLED,
    "a folded coding": head(b"Transfer-Encoding:\r\n chunked") + chunked(CHAT) + SMUGGLED,
    "a folded value": head(b"X: a\r\n b", LENGTH) + CHAT + SMUGGLED,
    "a folded line behind the start": b"POST /v1/chat/completions HTTP/1.1\r\n Host: x\r\n\r\n",
    "two lengths": head(LENGTH, b"Content-Length: 4") + CHAT + SMUGGLED,
    "one length twice": head(LENGTH, LENGTH) + CHAT + SMUGGLED,
    "a list of lengths": head(TWO_LENGTHS) + CHAT + SMUGGLED,
    "a length with a sign": head(b"Content-Length: +%d" % len(CHAT)) + CHAT + SMUGGLED,
    "a length below zero": head(b"Content-Length: -1") + CHAT + SMUGGLED,
    "a length in hex": head(b"Content-Length: 0x%x" % len(CHAT)) + CHAT + SMUGGLED,
    "a length with an underscore": head(b"Content-Length: 6_1") + CHAT + SMUGGLED,
    "a length with a fraction": head(LENGTH + b".0") + CHAT + SMUGGLED,
    "an empty length": head(b"Content-Length:") + CHAT + SMUGGLED,
    "a length beyond 64 bits": head(b"Content-Length: 18446744073709551677") + CHAT + SMUGGLED,
    "a length in other digits": head("Content-Length: ٦١".encode()) + CHAT + SMUGGLED,
    "line feeds alone": head(LENGTH, end=b"\n") + CHAT + SMUGGLED,
    "one line feed alone": head(b"X: y\nTransfer-Encoding: chunked", LENGTH) + CHAT + SMUGGLED,
    "a bare carriage return": head(b"X: y\rTransfer-Encoding: chunked", LENGTH) + CHAT + SMUGGLED,
    "a return in the start line": head(LENGTH, start=b"POST /v1/chat/completions\r HTTP/1.1")
    + CHAT,
    "a head that ends in line feeds": head(LENGTH)[:-4] + b"\n\n" + CHAT + SMUGGLED,
    "NUL in a value": head(b"X: a\x00b", LENGTH) + CHAT + SMUGGLED,
    "NUL in a name": head(b"X\x00: a", LENGTH) + CHAT + SMUGGLED,
    "a name that is no token": head(b"X(y): a", LENGTH) + CHAT + SMUGGLED,
    "no name": head(b": a", LENGTH) + CHAT + SMUGGLED,
    "no colon": head(b"Transfer-Encoding", LENGTH) + CHAT + SMUGGLED,
    "two hosts": head(b"Host: y", LENGTH) + CHAT + SMUGGLED,
    "no host": b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer sk-desync\r\n\r\n" + SMUGGLED,
    "a chunk of a size too long": head(TE) + chunked(CHAT, b"1" + b"0" * 16) + SMUGGLED,
    "a chunk of a size with a sign": head(TE) + chunked(CHAT, b"+%x" % len(CHAT)) + SMUGGLED,
    "a chunk of a size with 0x": head(TE) + chunked(CHAT, b"0x%x" % len(CHAT)) + SMUGGLED,
    "a chunk of a size with a space before": head(TE) + chunked(CHAT, b" %x" % len(CHAT)),
    "a chunk of no size": head(TE) + b"\r\n" + CHAT + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk of an underscored size": head(TE) + chunked(CHAT, b"3_c") + SMUGGLED,
    "a chunk longer than its size": head(TE) + chunked(CHAT, b"4") + SMUGGLED,
    "a chunk line that ends in a line feed": head(TE) + chunked(CHAT).replace(b"\r\n", b"\n"),
    "a chunk that ends in a line feed": head(TE) + b"%x\r\n%b\n0\r\n\r\n" % (len(CHAT), CHAT),
    "a chunk extension with a line feed": head(TE) + chunked(CHAT, b"%x;a\nb" % len(CHAT)),
    "a trailer that is no header": head(TE) + chunked(CHAT)[:-2] + b"no trailer\r\n\r\n" + SMUGGLED,
    "CONNECT": head(start=b"CONNECT elsewhere.example:443 HTTP/1.1") + SMUGGLED,
    "TRACE": head(start=b"TRACE /v1/models HTTP/1.1") + SMUGGLED,
    "a method of our own": head(LENGTH, start=b"SMUGGLE /v1/models HTTP/1.1") + CHAT + SMUGGLED,
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "HTTP/1.2": head(LENGTH, start=b"POST /v1/chat/completions HTTP/1.2") + CHAT + SMUGGLED,
    "HTTP/0.9": b"GET /v1/models\r\n\r\n" + SMUGGLED,
    "HTTP/1.0 with chunks": head(TE, start=b"POST /v1/chat/completions HTTP/1.0") + chunked(CHAT),
    "a tab in the start line": head(LENGTH, start=b"POST\t/v1/chat/completions HTTP/1.1") + CHAT,
    "another Expect": head(b"Expect: 200-maybe", LENGTH) + CHAT + SMUGGLED,
    "Connection takes the length off": head(b"Connection: content-length", LENGTH) + CHAT,
    "Connection takes the key off": head(b"Connection: Authorization", LENGTH) + CHAT,
    "Connection takes another key off": head(b"Connection: Ocp-Apim-Subscription-Key", LENGTH)
    + CHAT,
    "a length under a name that CGI reads as one": head(b"Content_Length: 4", LENGTH) + CHAT,
    "an encoding of that kind": head(b"Content_Encoding: gzip", LENGTH) + CHAT,
    "a forwarding header of that kind": head(b"X_Forwarded_For: 192.0.2.1", LENGTH) + CHAT,
    "a key of that kind": head(b"X_Api_Key: sk-other", LENGTH) + CHAT,
    "a header of ours of that kind": head(b"X_Excise_Foo: a", LENGTH) + CHAT,
    "a team of that kind": head(b"X_Team: a", LENGTH) + CHAT,
    "a team with a dot": head(b"X.Team: a", LENGTH) + CHAT,
    "X-HTTP-Method": head(b"X-HTTP-Method: PUT", LENGTH) + CHAT,
    "X-HTTP-Method-Override": head(b"X-HTTP-Method-Override: PUT", LENGTH) + CHAT,
    "X_HTTP_Method_Override": head(b"X_HTTP_Method_Override: PUT", LENGTH) + CHAT,
    "X-Method-Override": head(b"X-Method-Override: PUT", LENGTH) + CHAT,
}
for _start in (
    b"GET /v1/models",
    b"HEAD /v1/models",
    b"OPTIONS /v1/models",
    b"GET /v1/files",
    b"GET /v1/messages/batches",
    b"DELETE /v1/responses/resp_1",
    b"DELETE /v1beta/cachedContents/c1",
):
    _name, _line = _start.decode(), _start + b" HTTP/1.1"
    REFUSED[f"{_name} with a body"] = (
        head(b"Content-Length: %d" % len(SMUGGLED), start=_line) + SMUGGLED
    )
    REFUSED[f"{_name} with chunks"] = head(TE, start=_line) + chunked(SMUGGLED)


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_readers_could_read_apart_goes_nowhere(
    excise: Excise, upstream: Recorder, name: str
) -> None:
    status, received = raw(excise, REFUSED[name])  # it returns once the connection is closed
    assert 400 <= status < 500
    assert received.count(b"HTTP/1.1 ") == 1  # nothing behind it was read as a request
    assert upstream.requests == []


PASSED = {
    "a length": head(LENGTH) + CHAT,
    "white space around a length": head(b"Content-Length: \t%d \t" % len(CHAT)) + CHAT,
    "a length with zeros before": head(b"Content-Length: 000%d" % len(CHAT)) + CHAT,
    "chunks": head(TE) + chunked(CHAT),
    "chunks in another case": head(b"tRANSFER-eNCODING: Chunked") + chunked(CHAT),
    "many chunks": head(TE) + b"".join(b"1\r\n%c\r\n" % byte for byte in CHAT) + b"0\r\n\r\n",
    "a chunk extension": head(TE) + chunked(CHAT, b'%x;name="val;ue"' % len(CHAT)),
    "sizes with zeros before": head(TE) + chunked(CHAT, b"000%x" % len(CHAT)),
    "a trailer": head(TE) + chunked(CHAT)[:-2] + b"Authorization: Bearer sk-trailer\r\n\r\n",
    "HTTP/1.0": head(LENGTH, start=b"POST /v1/chat/completions HTTP/1.0") + CHAT,
    "an upgrade to HTTP/2": head(
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__", LENGTH
    ) + CHAT,
    "an upgrade to a WebSocket": head(
        b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x", LENGTH
    ) + CHAT,
    "two spaces in the start line": head(LENGTH, start=b"POST  /v1/chat/completions HTTP/1.1") + CHAT,
    "an empty line before": b"\r\n" + head(LENGTH) + CHAT,
    "hop-by-hop headers": head(b"TE: trailers", b"Keep-Alive: x", b"Proxy-Connection: x", LENGTH) + CHAT,
}  # fmt: skip
HOP_BY_HOP = {"connection", "upgrade", "http2-settings", "te", "keep-alive", "proxy-connection"}


@pytest.mark.parametrize("name", PASSED)
def test_what_is_read_in_one_way_goes_on_as_it_was_judged(
    excise: Excise, upstream: Recorder, name: str
) -> None:
    request = PASSED[name].replace(b"Host: x\r\n", b"Host: x\r\nX-Sent: yes\r\n", 1)
    with socket.create_connection(("127.0.0.1", excise.ports["data"]), timeout=10) as connection:
        connection.sendall(request)
        status = connection.recv(65536)
    assert status.startswith(b"HTTP/1.1 200 ")
    (sent,) = upstream.requests
    assert (sent.method, sent.target, sent.body) == ("POST", "/v1/chat/completions", CHAT)
    headers = [(key.lower(), value) for key, value in sent.headers]
    names = [key for key, _ in headers]
    assert HOP_BY_HOP.isdisjoint(names)
    assert "transfer-encoding" not in names
    assert [value for key, value in headers if key == "content-length"] == [str(len(CHAT))]
    assert [value for key, value in headers if key == "authorization"] == ["Bearer sk-desync"]
    assert ("x-sent", "yes") in headers


def test_requests_in_a_row_are_judged_one_by_one(excise: Excise, upstream: Recorder) -> None:
    one = head(LENGTH) + CHAT
    last = head(b"Connection: close", LENGTH) + CHAT
    status, received = raw(excise, one * 5 + last)
    assert (status, received.count(b"HTTP/1.1 200 ")) == (200, 6)
    assert [sent.body for sent in upstream.requests] == [CHAT] * 6


def test_a_head_that_cannot_be_read_ends_all_that_came_with_it(
    excise: Excise, upstream: Recorder
) -> None:
    bad = head(b"X: a\r\n b", LENGTH) + CHAT
    status, received = raw(excise, head(LENGTH) + CHAT + bad + SMUGGLED)
    assert (status, received.count(b"HTTP/1.1 ")) == (400, 1)
    assert upstream.requests == []


def test_a_request_behind_one_that_a_rule_blocks_is_its_own(
    excise: Excise, upstream: Recorder
) -> None:
    guarded = CHAT.replace(b'"m"', b'"never"')
    blocked = head(b"Content-Length: %d" % len(guarded)) + guarded
    closing = head(b"Connection: close", LENGTH) + CHAT
    _, received = raw(excise, blocked + blocked + closing)
    statuses = [part.split(b" ", 1)[0] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"403", b"200"]
    assert [sent.body for sent in upstream.requests] == [guarded, CHAT]
