"""An upstream over TLS that is not who it says, or does not want us: a clean 502 in every dialect."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from proxy.app import App
from proxy.clock import SystemClock
from proxy.errors import ConfigurationError
from proxy.settings import Settings
from tests.support.inside import CHAT, OPEN_POLICY, RecordedLog, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying
from tests.support.tls import Certificates, tls_front

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
MESSAGES = CHAT[:-1] + b',"max_tokens":8}'
ASKED = [("/v1/chat/completions", CHAT), ("/v1/messages", MESSAGES)]


def serving(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def expired(authority: trustme.CA) -> ssl.SSLContext:
    dates = {"not_before": YESTERDAY - datetime.timedelta(days=1), "not_after": YESTERDAY}
    return serving(authority.issue_cert("127.0.0.1", **dates))


def of_another_host(authority: trustme.CA) -> ssl.SSLContext:
    return serving(authority.issue_cert("elsewhere.test"))


def of_another_authority(_: trustme.CA) -> ssl.SSLContext:
    return serving(trustme.CA().issue_cert("127.0.0.1"))


def old(authority: trustme.CA) -> ssl.SSLContext:
    context = serving(authority.issue_cert("127.0.0.1"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def kind_of(path: str, body: bytes) -> str:
    """What the SDK of this dialect would see."""
    said = json.loads(body)
    if path == "/v1/messages":
        assert said["type"] == "error"
        assert said["request_id"]
        return str(said["error"]["type"])
    assert said["error"]["type"] == "server_error"
    return str(said["error"]["code"])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize("server", [expired, of_another_host, of_another_authority, old])
@pytest.mark.parametrize(("path", "asked"), ASKED)
async def test_who_is_not_who_it_says_is_told_nothing(
    tmp_path: Path,
    server: Callable[[trustme.CA], ssl.SSLContext],
    path: str,
    asked: bytes,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with (
        raw_upstream(replying(plain())) as upstream,
        tls_front(server(authority), upstream.port) as port,
        excise_inside(
            tmp_path, f"https://127.0.0.1:{port}", upstream={"ca_file": tmp_path / "ca.pem"}
        ) as excise,
    ):
        status, headers, body = await excise.exchange(post(asked, path))
        kind = "api_error" if path == "/v1/messages" else "upstream_unreachable"
        assert (status, kind_of(path, body)) == (502, kind)
        event = await excise.log.wait_for()
        assert event["request_id"] == headers["x-excise-request-id"]
        told = [event[name] for name in ("decision", "outcome", "level", "upstream_ms")]
        assert told == ["allow", "upstream_error", "error", None]
        assert upstream.calls == []


async def test_a_client_certificate_of_another_authority_is_no_proof(tmp_path: Path) -> None:
    made, other = Certificates(tmp_path), tmp_path / "other"
    other.mkdir()
    strangers = Certificates(other)
    tls: dict[str, Any] = {
        "ca_file": made.ca,
        "client_cert_file": strangers.client_cert,
        "client_key_file": strangers.client_key,
    }
    async with (
        raw_upstream(replying(plain())) as upstream,
        tls_front(made.server_context(ask_client=True), upstream.port) as port,
        excise_inside(tmp_path, f"https://127.0.0.1:{port}", upstream=tls) as excise,
    ):
        status, _, body = await excise.exchange(post(CHAT))
        assert status == 502
        assert kind_of("", body).startswith("upstream_")
        assert (await excise.log.wait_for())["outcome"] == "upstream_error"
        assert upstream.calls == []


@asynccontextmanager
async def without_tls() -> AsyncIterator[int]:
    """A server that answers whatever it reads in plain text, as a port set wrongly does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_an_upstream_that_speaks_no_tls_is_never_asked_in_plain_text(tmp_path: Path) -> None:
    async with (
        without_tls() as port,
        excise_inside(tmp_path, f"https://127.0.0.1:{port}") as excise,
    ):
        status, _, body = await excise.exchange(post(CHAT))
        assert (status, kind_of("", body)) == (502, "upstream_unreachable")


async def test_two_requests_share_one_handshake(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    async with (
        raw_upstream(replying(plain())) as upstream,
        tls_front(made.server_context(), upstream.port) as port,
        excise_inside(
            tmp_path, f"https://127.0.0.1:{port}", upstream={"ca_file": made.ca}
        ) as excise,
    ):
        for _ in range(3):
            assert (await excise.exchange(post(CHAT)))[0] == 200
        assert (len(upstream.calls), upstream.connections) == (3, 1)


def absent(folder: Path) -> dict[str, Path]:
    return {"ca_file": folder / "absent.pem"}


def no_certificate(folder: Path) -> dict[str, Path]:
    (folder / "text.pem").write_text("hello")
    return {"ca_file": folder / "text.pem"}


def key_of_another(folder: Path) -> dict[str, Path]:
    (folder / "other").mkdir()
    made, other = Certificates(folder), Certificates(folder / "other")
    return {
        "ca_file": made.ca,
        "client_cert_file": made.client_cert,
        "client_key_file": other.client_key,
    }


@pytest.mark.parametrize("files", [absent, no_certificate, key_of_another])
async def test_files_that_cannot_be_used_end_the_start_with_a_word_on_why(
    tmp_path: Path, files: Callable[[Path], dict[str, Path]]
) -> None:
    (tmp_path / "policy.yaml").write_text(OPEN_POLICY)
    values = {
        "listen": "127.0.0.1:0",
        "policy": tmp_path / "policy.yaml",
        "upstream": {"url": "https://127.0.0.1:1", **files(tmp_path)},
    }
    clock = SystemClock()
    log = RecordedLog(clock)
    app = App(Settings.model_validate(values), log, clock)
    try:
        with pytest.raises(ConfigurationError, match=r"^upstream TLS files: \S"):
            await app.start()
    finally:
        await app.stop()
        log.close()
    assert "ready" not in {event["event"] for event in log.events}
