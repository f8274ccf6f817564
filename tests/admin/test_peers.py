"""Guessing the admin token is slow and tells nothing; nobody else suffers; reading changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import proxy.app
from proxy.admin.api import admin_app
from proxy.admin.peers import CALLS_A_MINUTE, FAILURES_A_MINUTE, MAX_PEERS, WINDOW_S, Peers
from tests.admin.test_health import RIGHT, TOKEN, Serving
from tests.support.inside import excise_inside


class Hand:
    """Monotonic seconds, moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def ask(
    port: int, token: str, local: str = "127.0.0.1", path: str = "/v1/status"
) -> tuple[int, str | None, Any]:
    """(status, Retry-After, the body's JSON), from a loopback address of one's own."""
    connector = aiohttp.TCPConnector(local_addr=(local, 0))
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        return answer.status, answer.headers.get("Retry-After"), await answer.json()


async def test_a_right_guess_in_a_flood_looks_like_any_other() -> None:
    clock = Hand()
    async with Serving(admin_app(TOKEN, dict, monotonic=clock)) as port:
        for at in range(FAILURES_A_MINUTE):
            assert (await ask(port, f"guess-{at}"))[0] == 401
        wrong, right = await ask(port, "another guess"), await ask(port, TOKEN)
        assert wrong == right
        assert right[:2] == (429, "60")
        try:
            elsewhere = await ask(port, TOKEN, "127.0.0.2")
        except OSError:
            pytest.skip("this machine has one loopback address only")
        assert elsewhere[0] == 200
        clock.now += WINDOW_S - 1
        assert (await ask(port, TOKEN))[:2] == (429, "1")
        clock.now += 1
        assert (await ask(port, TOKEN))[0] == 200


async def test_calls_with_the_right_token_are_limited_too() -> None:
    clock = Hand()
    async with (
        Serving(admin_app(TOKEN, dict, monotonic=clock)) as port,
        aiohttp.ClientSession() as session,
    ):
        url = f"http://127.0.0.1:{port}/v1/status"
        for _ in range(CALLS_A_MINUTE):
            async with session.get(url, headers=RIGHT) as answer:
                assert answer.status == 200
        clock.now += 20
        async with session.get(url, headers=RIGHT) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "40")
        clock.now += 40
        async with session.get(url, headers=RIGHT) as answer:
            assert answer.status == 200


def test_wrong_tokens_across_minutes_do_not_add_up() -> None:
    peers = Peers()
    for minute in range(5):
        for _ in range(FAILURES_A_MINUTE - 1):
            assert peers.call("192.0.2.1", minute * WINDOW_S) == 0
            peers.failed("192.0.2.1", minute * WINDOW_S)


def test_a_host_that_has_a_whole_network_is_one() -> None:
    peers = Peers()
    for at in range(FAILURES_A_MINUTE):
        peers.failed(f"2001:db8::{at:x}", 0.0)
    assert peers.call("2001:db8::ffff%eth0", 1.0) == WINDOW_S - 1
    assert peers.call("2001:db8:0:1::1", 1.0) == 0


def test_endless_addresses_are_bounded_and_share_one_budget() -> None:
    peers = Peers()
    for at in range(MAX_PEERS + 500):
        peers.failed(f"10.0.{at // 256}.{at % 256}", 0.0)
    assert len(peers) == MAX_PEERS + 1
    assert peers.call("192.0.2.1", 1.0) > 0
    assert peers.call("10.0.0.1", 1.0) == 0
    # What is over is forgotten when a new one comes.
    assert peers.call("192.0.2.1", 2 * WINDOW_S) == 0
    assert len(peers) == 1


async def test_no_get_of_any_admin_route_changes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[web.Application] = []

    def recorded(*given: Any) -> web.Application:
        made.append(admin_app(*given))
        return made[-1]

    monkeypatch.setattr(proxy.app, "admin_app", recorded)
    ban = {"subject": "address:192.0.2.9", "for": "1h", "because": "abuse"}
    allowance = {"subject": "account:acme", "for": "1h", "because": "a customer"}
    async with excise_inside(tmp_path, "http://127.0.0.1:1", admin_token=TOKEN) as excise:
        excise.app.bans.put("address:192.0.2.1", 3600, "operator", "abuse")
        excise.app.allowances.put("account:other", 3600, "operator", "a customer")

        def state() -> tuple[Any, ...]:
            app = excise.app
            return app.bans.all(), app.allowances.all(), app.policy.digest, app.status()

        before = state()
        (app,) = made
        paths = {route.resource.canonical for route in app.router.routes() if route.resource}
        assert paths >= {"/v1/status", "/v1/bans", "/v1/allowances"}
        said = {**RIGHT, "X-HTTP-Method-Override": "DELETE"}
        queries = ("", "?subject=address:192.0.2.1", "?subject=account:other&_method=DELETE")
        async with aiohttp.ClientSession() as session:
            for path in sorted(paths):
                for method in ("GET", "HEAD", "OPTIONS"):
                    for query in queries:
                        for body in (None, ban, allowance):
                            at = path.replace("{id}", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
                            url = f"http://127.0.0.1:{excise.app.ports['admin']}{at}{query}"
                            async with session.request(
                                method, url, headers=said, data=body and json.dumps(body)
                            ) as answer:
                                assert answer.status in {200, 404, 405}
        assert state() == before
