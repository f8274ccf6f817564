"""A body that nobody reads is nobody's next request, before an upstream that reads no bodies."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.blackbox.conftest import call
from tests.support.excise import running_excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
unknown_routes: allow
also_serve: [evals]
"""
UNINSPECTED = POLICY + "uninspectable: allow\n"
HIDDEN = b"GET /v1/hidden HTTP/1.1\r\nHost: x\r\n\r\n"


class Careless(socketserver.ThreadingTCPServer):
    """Takes whatever follows a head for the next head, as some servers do on routes without a body."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.heads: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.StreamRequestHandler):
    server: Careless

    def handle(self) -> None:
        more = True
        while more and (first := self.rfile.readline()):
            lines = [first]
            while (line := self.rfile.readline()) not in {b"\r\n", b""}:
                lines.append(line)
            self.server.heads.append(b"".join(lines))
            more = b"connection: close" not in self.server.heads[-1].lower()
            said = first.split(b" ")[1]
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)


@contextmanager
def careless() -> Iterator[Careless]:
    with Careless() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("policy", "method", "path"),
    [
        (POLICY, "POST", "/v1/messages/batches/b1/cancel"),
        (POLICY, "POST", "/v1/batches/b1/cancel"),
        (POLICY, "PATCH", "/v1beta/cachedContents/c1"),
        (POLICY, "POST", "/v1/evals"),
        (POLICY, "POST", "/v9/unknown"),
        (UNINSPECTED, "POST", "/v1/chat/completions"),
    ],
)
def test_what_hides_in_a_body_is_neither_served_nor_anothers_answer(
    tmp_path: Path, policy: str, method: str, path: str
) -> None:
    with (
        careless() as upstream,
        running_excise(tmp_path, policy, upstream=upstream.url, mode="enforce") as excise,
    ):
        assert call(excise, method, path, HIDDEN)[1].endswith(path.encode())
        for _ in range(3):
            status, received = call(excise, "GET", "/v1/models", key="sk-victim")
            assert status == 200
            assert received.endswith(b"/v1/models")
        heads = [one.split(b" HTTP", 1)[0] for one in upstream.heads]
        assert heads == [f"{method} {path}".encode(), *[b"GET /v1/models"] * 3]
