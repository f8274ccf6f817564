"""
What an upstream's bytes say: reply heads and bodies, taken apart as they come. No I/O.

llhttp (through httptools) reads them, strictly; what it leaves to its user is decided here: which answers
are none, where one without a length ends, and that nothing behind it is ever believed.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.edge.upstream_reply import Reply

MAX_INTERIM = 16
"""Interim answers (1xx) before the answer proper; a real upstream sends one or two."""

_BODILESS = frozenset({204, 304})
_VERSIONS = frozenset({"1.0", "1.1"})
_FIRST_BYTE = b"H"[0]


class _Unfit(Exception):  # noqa: N818 -- never leaves the parser, which wraps what callbacks raise
    """Well-formed to llhttp, and still nothing that could be passed on."""


class ReplyParser:
    """Fills one reply after the other. The `on_…` methods are what httptools calls."""

    def __init__(self, max_header_bytes: int) -> None:
        self.keep_alive = False
        """Whether the connection may carry another request once this reply is over."""
        self._llhttp = HttpResponseParser(self)
        self._max_header_bytes = max_header_bytes
        self._reply: Reply | None = None
        self._without_body = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._interim = 0
        self._barren = 0
        """Bytes since the last that gave something to pass on: heads, chunk extensions, trailers."""
        self._until_close = False

    def expect(self, reply: Reply, *, without_body: bool) -> None:
        """A request goes out; `without_body` where its answer has none whatever it says (HEAD)."""
        if self._without_body:
            # llhttp has not been told that no body followed, and would wait for it still.
            self._llhttp = HttpResponseParser(self)
        self._reply = reply
        self._without_body = without_body
        self._interim = 0
        self._barren = 0
        self._until_close = False
        self.keep_alive = False

    def feed(self, data: bytes) -> bool:
        """
        Take what has come; False where it ends the connection.

        Either the reply has failed then, or it is whole and more came behind it. (Line breaks alone
        llhttp passes over; they carry nothing.)
        """
        reply = self._reply
        assert reply is not None
        if not self._barren and not reply.status and data[0] != _FIRST_BYTE:
            reply.end("malformed")  # llhttp would also read RTSP, ICE and empty lines
            return False
        self._barren += len(data)
        try:
            self._llhttp.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not reply.over:
                reply.end("malformed")
            return False
        if self._barren > self._max_header_bytes and not reply.over:
            reply.end("malformed")
            return False
        return True

    def close(self, *, clean: bool) -> None:
        """The upstream says no more: the end of a body without a length, if the close was clean."""
        reply = self._reply
        if reply is not None and not reply.over:
            whole = clean and reply.status and self._until_close
            reply.end(None if whole else "reset")

    def on_message_begin(self) -> None:
        """A head begins. Raises where the answer has been given already."""
        self._owed()
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        """A piece of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. Trailers come here too, when nobody looks at the list any more."""
        self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is whole: is it an answer, and how long is its body?"""
        reply = self._owed()
        llhttp = self._llhttp
        status = llhttp.get_status_code()
        length, chunked = self._framing()
        if not 200 <= status <= 599:
            self._pass_over(status, framed=chunked or length is not None)
            return
        if llhttp.get_http_version() not in _VERSIONS or self._too_large():
            raise _Unfit
        self.keep_alive = llhttp.should_keep_alive()
        self._barren = 0
        reply.begin(status, self._reason, tuple(self._headers), length)
        if self._without_body or status in _BODILESS:
            reply.end()
        else:
            self._until_close = length is None and not chunked

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._barren = 0
        self._owed().add(data)

    def on_message_complete(self) -> None:
        """The answer is whole, or an interim one is."""
        reply = self._reply
        if reply is not None and reply.status:
            reply.end()

    def _owed(self) -> Reply:
        """The reply that is waited for. Raises for what comes behind it."""
        reply = self._reply
        if reply is None or reply.over:
            raise _Unfit
        return reply

    def _pass_over(self, status: int, *, framed: bool) -> None:
        """Interim answers are not passed on. At 101, which nobody has asked for, llhttp stops itself."""
        self._interim += 1
        if not 100 <= status < 200 or framed or self._interim > MAX_INTERIM:
            raise _Unfit

    def _too_large(self) -> bool:
        # The bytes counted may belong to the body already, so they only say when to look closely.
        if self._barren <= self._max_header_bytes:
            return False
        size = len(self._reason) + sum(len(name) + len(value) + 4 for name, value in self._headers)
        return size > self._max_header_bytes

    def _framing(self) -> tuple[int | None, bool]:
        """Declared length, and whether the body comes in chunks; llhttp has refused contradictions."""
        length: int | None = None
        chunked = False
        for name, value in self._headers:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                length = int(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise _Unfit  # another coding, which nobody here takes off
                chunked = True
        return length, chunked
