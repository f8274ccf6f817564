"""What real programs put on the wire: their requests, recorded by a raw socket that answers them all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from proxy.head import Head, RawHeaders
from proxy.signals.client_stack import ClientStack, client_stack
from proxy.signals.json_style import escapes_html, json_style, marshalled_map

OPENAI = (
    b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}'
)
ANTHROPIC = (
    b'{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"ok"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}'
)
GEMINI = (
    b'{"candidates":[{"content":{"role":"model","parts":[{"text":"ok"}]},"finishReason":"STOP"}]}'
)


@dataclass
class Recorder:
    """A server of one answer, and the requests that it has heard."""

    url: str
    heard: list[tuple[RawHeaders, bytes]] = field(default_factory=list)


@contextmanager
def recorder(answer: bytes = OPENAI) -> Iterator[Recorder]:
    """Listen on loopback; each connection is heard once, answered and closed."""
    server = socket.create_server(("127.0.0.1", 0))
    made = Recorder(f"http://127.0.0.1:{server.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                made.heard.append(_hear(connection))
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}"
                connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode() + answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def _hear(connection: socket.socket) -> tuple[RawHeaders, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    headers = tuple(
        (name, value.strip())
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    )
    named = {name.lower(): value for name, value in headers}
    if named.get(b"transfer-encoding", b"").lower() == b"chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65_536)
        body = body.partition(b"\r\n")[2]
    else:
        while len(body) < int(named.get(b"content-length", b"0")):
            body += connection.recv(65_536)
    return headers, body


def stack_of(
    headers: RawHeaders, body: bytes, keys: tuple[str, ...] = (), *, header_evidence: bool = True
) -> ClientStack:
    """What is told of a request as it was heard."""
    return client_stack(
        Head("POST", "/", "", headers, ""),
        json_style(body),
        html_escaped=escapes_html(body),
        marshalled_map=marshalled_map(keys),
        header_evidence=header_evidence,
    )
