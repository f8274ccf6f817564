"""SIGTERM: red at once, streams finish within the grace period, the rest is cut and logged."""

from __future__ import annotations

import asyncio
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.excise import Excise, running_excise
from tests.support.inside import CHAT, STREAMED, excise_inside, post, read_answer, read_head
from tests.support.raw_upstream import (
    LAST_CHUNK,
    STREAM_HEAD,
    Call,
    chunk,
    plain,
    raw_upstream,
)

SLOW_POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - name: slow
    kind: rate_limit
    per: address
    limit: 1/minute
    burst: 1
    action: {delay: {at_most: 60s}}
"""
EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


async def test_a_stream_finishes_and_an_idle_connection_ends(tmp_path: Path) -> None:
    finish = asyncio.Event()

    async def script(call: Call) -> None:
        if b'"stream"' not in call.body:
            await call.send(plain())
            return
        await call.send(STREAM_HEAD + chunk(EVENT))
        await finish.wait()
        await call.send(chunk(b"data: [DONE]\n\n") + LAST_CHUNK)

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, drain={"grace": 20.0}) as excise,
    ):
        idle, idle_writer = await excise.send(post(CHAT))
        await read_answer(idle)
        reader, writer = await excise.send(post(STREAMED))
        await reader.readuntil(EVENT)
        stopping = asyncio.create_task(excise.app.stop())
        assert await asyncio.wait_for(idle.read(), 5) == b""
        assert not excise.app.readiness.ready
        with pytest.raises(ConnectionRefusedError):
            await excise.send(post(CHAT))
        finish.set()
        await reader.readuntil(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        await asyncio.wait_for(stopping, 10)
        assert (await excise.log.wait_for(decision="allow"))["outcome"] == "complete"
        assert (await excise.log.wait_for("drain_finished"))["cut"] == 0
        writer.close()
        idle_writer.close()


async def test_what_outlives_the_grace_period_is_cut_and_logged(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        await call.hung_up()

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, drain={"grace": 0.1}) as excise,
    ):
        reader, _ = await excise.send(post(STREAMED))
        await reader.readuntil(EVENT)
        await asyncio.wait_for(excise.app.stop(), 10)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"0\r\n\r\n")
        assert (await excise.log.wait_for())["outcome"] == "drained"
        assert (await excise.log.wait_for("drain_finished"))["cut"] == 1


async def test_a_request_after_sigterm_on_an_open_connection_is_the_last(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def script(call: Call) -> None:
        await release.wait()
        await call.send(plain())

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, drain={"grace": 20.0}) as excise,
    ):
        reader, writer = await excise.send(post(CHAT))
        await upstream.next_call()
        stopping = asyncio.create_task(excise.app.stop())
        await excise.log.wait_for("drain_started")
        release.set()
        status, headers = await read_head(reader)
        assert (status, headers["connection"]) == (200, "close")
        await asyncio.wait_for(reader.read(), 5)
        await asyncio.wait_for(stopping, 10)
        writer.close()


def test_a_second_sigterm_cuts_at_once(tmp_path: Path) -> None:
    with running_excise(tmp_path, SLOW_POLICY, drain_grace="60s") as excise:
        address = ("127.0.0.1", excise.ports["data"])
        with socket.create_connection(address) as first, socket.create_connection(address) as held:
            first.sendall(post(CHAT))
            excise.wait_for("request", decision="allow")
            held.sendall(post(CHAT))
            while b"\nexcise_delayed_requests 1.0\n" not in scraped(excise):
                pass
            excise.process.send_signal(signal.SIGTERM)
            excise.wait_for("drain_started")
            excise.process.send_signal(signal.SIGTERM)
            assert excise.process.wait(20) == 0
        assert excise.wait_for("drain_finished")["cut"] == 1


def scraped(excise: Excise) -> bytes:
    with urllib.request.urlopen(f"{excise.health_url}/metrics", timeout=5) as answer:
        text: bytes = answer.read()
    return text


def test_sigterm_ends_the_process_cleanly_and_flushes_the_log(tmp_path: Path) -> None:
    with running_excise(tmp_path) as excise:
        with socket.create_connection(("127.0.0.1", excise.ports["data"])) as client:
            client.sendall(post(CHAT, headers=("Authorization: Bearer sk-x",)))
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert excise.terminate() == 0
        excise.wait_for("request", decision="allow")
        excise.wait_for("drain_finished")


def test_health_readiness_and_metrics_are_on_their_own_listener(tmp_path: Path) -> None:
    with running_excise(tmp_path, admin_token="t" * 32) as excise:

        def get(url: str, token: str | None = None) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            request = urllib.request.Request(url, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        assert get(f"{excise.health_url}/healthz")[0] == 200
        assert get(f"{excise.health_url}/readyz")[0] == 200
        assert "excise_build_info" in get(f"{excise.health_url}/metrics")[1]
        assert get(f"{excise.url}/healthz")[0] == 404
        assert get(f"{excise.admin_url}/v1/status")[0] == 401
        assert get(f"{excise.admin_url}/v1/status", "x" * 32)[0] == 401
        status, body = get(f"{excise.admin_url}/v1/status", "t" * 32)
        assert status == 200
        assert '"shape-requests"' in body
