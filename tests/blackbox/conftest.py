"""One Excise a module, enforcing, in front of a recording upstream; and raw requests to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.blackbox.recorder import Recorder, recorder
from tests.support.excise import Excise, running_excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - name: answers
    kind: rate_limit
    per: api_key
    limit: 10/hour
    burst: 10
    action: throttle
"""


@pytest.fixture(scope="module")
def recording() -> Iterator[Recorder]:
    with recorder() as made:
        yield made


@pytest.fixture(scope="module")
def excise(
    recording: Recorder, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Excise]:
    policy = getattr(request.module, "POLICY", POLICY)
    folder = tmp_path_factory.mktemp("excise")
    with running_excise(folder, policy, upstream=recording.url, mode="enforce") as running:
        yield running


@pytest.fixture
def upstream(recording: Recorder) -> Recorder:
    recording.clear()
    return recording


def raw(excise: Excise, request: bytes) -> tuple[int, bytes]:
    """(status, all that came) for the bytes of a request; the connection is read to its end."""
    with socket.create_connection(("127.0.0.1", excise.ports["data"]), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while data := connection.recv(65536):
            received += data
    return int(received.split(b" ", 2)[1]), received


def call(
    excise: Excise,
    method: str,
    target: str,
    body: bytes = b"",
    key: str = "sk-raw",
    headers: tuple[str, ...] = ("Content-Type: application/json",),
) -> tuple[int, bytes]:
    """The same for one request of its own connection."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", *headers]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return raw(excise, "\r\n".join(lines).encode("latin-1") + body)
