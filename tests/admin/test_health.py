"""Ready or not, alive all the same; what a guess costs; and that errors keep to themselves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.admin.api import admin_app
from proxy.admin.health import Readiness, health_app
from proxy.metrics import Metrics
from tests.support.inside import STREAMED, Inside, excise_inside, post, read_head
from tests.support.raw_upstream import LAST_CHUNK, STREAM_HEAD, Call, chunk, raw_upstream

TOKEN = "t0k3n-t0k3n-t0k3n-t0k3n"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


async def ask(
    port: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], Any]:
    """(status, headers in lower case, the body's JSON)."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        body = await answer.read()
        shown = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, shown, json.loads(body) if body else None


class Serving:
    """An application of ours on a port of its own."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> int:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


def test_all_conditions_must_hold_and_notes_never_matter() -> None:
    readiness = Readiness("policy", "serving")
    assert (readiness.ready, readiness.states) == (
        False,
        {"policy": "starting", "serving": "starting"},
    )
    readiness.set("policy")
    assert not readiness.ready
    readiness.set("serving")
    readiness.note("store", "down")
    assert readiness.ready
    assert readiness.states == {"policy": "ok", "serving": "ok", "store": "down"}
    readiness.set("serving", "draining")
    assert not readiness.ready


async def test_red_says_which_condition_and_green_comes_back() -> None:
    readiness = Readiness("policy", "serving")
    async with Serving(health_app(readiness, Metrics(), lambda: None)) as port:
        for name, status in (("policy", 503), ("serving", 200)):
            readiness.set(name)
            assert (await ask(port, "/readyz"))[0] == status
            assert (await ask(port, "/healthz"))[0] == 200
        readiness.set("policy", "gone")
        status, _, body = await ask(port, "/readyz")
        assert status == 503
        assert body == {"ready": False, "conditions": {"policy": "gone", "serving": "ok"}}


async def test_a_draining_process_is_red_and_alive(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT))
        await release.wait()
        await call.send(LAST_CHUNK)

    async def conditions(excise: Inside) -> tuple[int, str]:
        status, _, body = await ask(excise.app.ports["health"], "/readyz")
        return status, body["conditions"]["serving"]

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, drain={"grace": 20.0}) as excise,
    ):
        reader, writer = await excise.send(post(STREAMED))
        assert (await read_head(reader))[0] == 200
        assert await conditions(excise) == (200, "ok")
        stopping = asyncio.create_task(excise.app.stop())
        await excise.log.wait_for("drain_started")
        assert await conditions(excise) == (503, "draining")
        assert (await ask(excise.app.ports["health"], "/healthz"))[0] == 200
        release.set()
        await asyncio.wait_for(stopping, 10)
        writer.close()


async def test_another_secret_in_the_fleet_is_red(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1") as excise:
        excise.app.readiness.set("secret", "another replica has another secret")
        status, _, body = await ask(excise.app.ports["health"], "/readyz")
        assert status == 503
        assert body["conditions"]["secret"] == "another replica has another secret"


@pytest.mark.parametrize("path", ["/v1/status", "/", "/v1/unheard-of", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_strangers_do_not_learn_which_paths_there_are(path: str, method: str) -> None:
    async with Serving(admin_app(TOKEN, dict)) as port:
        assert (await ask(port, path, method))[0] == 401
    async with Serving(admin_app(None, dict)) as port:
        assert (await ask(port, path, method, **RIGHT))[0] == 403


async def test_the_scheme_is_read_in_any_case_and_the_token_is_not() -> None:
    async with Serving(admin_app(TOKEN, dict)) as port:
        assert (await ask(port, "/v1/status", Authorization=f"bearer {TOKEN}"))[0] == 200
        assert (await ask(port, "/v1/status", Authorization=f"Bearer {TOKEN.upper()}"))[0] == 401


async def test_what_went_wrong_inside_stays_inside() -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("sk-secret")

    async with Serving(admin_app(TOKEN, broken)) as port:
        status, headers, body = await ask(port, "/v1/status", **RIGHT)
        assert (status, body) == (500, {"error": "Internal Server Error"})
        assert headers["content-type"] == "application/json"
    async with Serving(health_app(Readiness(), Metrics(), broken)) as port:
        assert (await ask(port, "/metrics"))[2] == {"error": "Internal Server Error"}


async def test_no_answer_is_kept_by_caches() -> None:
    async with Serving(admin_app(TOKEN, dict)) as port:
        for given in (RIGHT, {}):
            assert (await ask(port, "/v1/status", **given))[1]["cache-control"] == "no-store"


async def test_a_wrong_method_is_told_the_right_one() -> None:
    async with Serving(health_app(Readiness(), Metrics(), lambda: None)) as port:
        status, headers, _ = await ask(port, "/metrics", "POST")
        assert (status, headers.get("allow")) == (405, "GET,HEAD")


async def test_a_stranger_is_told_what_to_bring() -> None:
    async with Serving(admin_app(TOKEN, dict)) as port:
        status, headers, _ = await ask(port, "/v1/status")
        assert (status, headers.get("www-authenticate", "").split(" ")[0]) == (401, "Bearer")
