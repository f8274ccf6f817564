"""An upstream that records every request as it came and answers by path, over a real socket."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Recorded:
    """One request that has reached the upstream."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    data: bytes = b"{}"
    kind: str = "application/json"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    promised: int | None = None
    """Bytes that are declared beyond those that are sent: then the other side has to leave."""
    in_parts: bool = False
    """Whether a `Range` is heeded."""


class Recorder:
    """What has come, and what is answered: the reply whose key ends a path, else an empty object."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.replies: dict[str, Reply] = {}
        self.url = ""

    def reply(
        self,
        path: str,
        body: Any,
        kind: str = "application/json",
        status: int = 200,
        **more: Any,
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.replies[path] = Reply(data, kind, status, **more)

    def clear(self) -> None:
        self.requests.clear()
        self.replies.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, recording: Recorder) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.recording = recording
        recording.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        recording = self.server.recording
        body = self._body()
        recording.requests.append(
            Recorded(self.command, self.path, list(self.headers.items()), body)
        )
        path = self.path.partition("?")[0]
        fitting = [known for known in recording.replies if path.endswith(known)]
        reply = recording.replies[max(fitting, key=len)] if fitting else Reply()
        data, status = reply.data, reply.status
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if reply.in_parts and wanted is not None:
            data, status = data[int(wanted[1]) : int(wanted[2]) + 1], 206
        self.send_response(status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(data) + (reply.promised or 0)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        if reply.promised:
            self.rfile.read(1)
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := self._chunk_size():
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk_size(self) -> int:
        line = self.rfile.readline()
        if not line:
            raise ConnectionResetError("cut in the middle of a body: never recorded")
        return int(line.split(b";")[0], 16)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def recorder() -> Iterator[Recorder]:
    recording = Recorder()
    server = _Server(recording)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield recording
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
