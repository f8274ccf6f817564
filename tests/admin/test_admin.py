"""Health and admin listeners: who is told what."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.support.inside import CHAT, Inside, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

TOKEN = "t0k3n-t0k3n-t0k3n-t0k3n"


async def ask(
    excise: Inside, listener: str, path: str, method: str = "GET", **headers: str
) -> tuple[int, str, str]:
    """(status, content type, body)."""
    url = f"http://127.0.0.1:{excise.app.ports[listener]}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers) as answer,
    ):
        assert "aiohttp" not in answer.headers.get("Server", "")
        return answer.status, answer.content_type, await answer.text()


async def test_alive_ready_and_measured(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        assert await ask(excise, "health", "/healthz") == (
            200,
            "application/json",
            '{"status":"ok"}',
        )
        status, _, body = await ask(excise, "health", "/readyz")
        assert (status, json.loads(body)["ready"]) == (200, True)
        await excise.exchange(post(CHAT))
        status, content_type, text = await ask(excise, "health", "/metrics")
        assert (status, content_type) == (200, "text/plain")
        counted = (
            'excise_requests_total{decision="allow",dialect="openai_chat",route_class="inspected"}'
        )
        assert f"{counted} 1.0" in text


@pytest.mark.parametrize(
    ("listener", "path", "method", "status"),
    [
        ("health", "/", "GET", 404),
        ("health", "/metrics", "POST", 405),
        ("health", "/v1/status", "GET", 404),
        ("admin", "/metrics", "GET", 404),
        ("admin", "/v1/status", "DELETE", 405),
    ],
)
async def test_what_is_not_there_is_said_in_json(
    tmp_path: Path, listener: str, path: str, method: str, status: int
) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1", admin_token=TOKEN) as excise:
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        got, content_type, body = await ask(excise, listener, path, method, **authorized)
        assert (got, content_type) == (status, "application/json")
        assert json.loads(body)["error"]


async def test_the_admin_api_is_for_those_who_have_its_token(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1", admin_token=TOKEN) as excise:
        assert (await ask(excise, "admin", "/v1/status"))[0] == 401
        for wrong in (
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            "Bearer ",
            f"Basic {TOKEN}",
            "Bearer é",
        ):
            assert (await ask(excise, "admin", "/v1/status", Authorization=wrong))[0] == 401
        status, _, body = await ask(excise, "admin", "/v1/status", Authorization=f"Bearer {TOKEN}")
        said = json.loads(body)
        assert status == 200
        assert said["policy"]["digest"] == excise.app.policy.digest
        assert (said["mode"], said["store"], said["active_requests"]) == ("enforce", "ok", 0)
        assert TOKEN not in body


async def test_without_a_token_nobody_is_let_in(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1") as excise:
        assert (await ask(excise, "admin", "/v1/status", Authorization="Bearer "))[0] == 403
