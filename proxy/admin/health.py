"""The health listener: is the process alive, may it be sent requests, and its metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from proxy.metrics import Metrics

JSON = "application/json"


class Readiness:
    """Named conditions, all of which must hold."""

    def __init__(self, *names: str) -> None:
        self._states: dict[str, str] = dict.fromkeys(names, "starting")
        self._notes: dict[str, str] = {}

    def set(self, name: str, state: str = "ok") -> None:
        """`ok`, or a few words on what is missing."""
        self._states[name] = state

    def note(self, name: str, state: str) -> None:
        """Something worth knowing that keeps nobody from being served."""
        self._notes[name] = state

    @property
    def ready(self) -> bool:
        """Whether all hold."""
        return all(state == "ok" for state in self._states.values())

    @property
    def states(self) -> dict[str, str]:
        """Each condition and note, and its state."""
        return {**self._states, **self._notes}


def json_answer(body: Any, status: int = 200, **more: str) -> web.Response:
    """A JSON answer without our versions in its headers; `more` headers by name, `_` for `-`."""
    headers = {"Content-Type": JSON, "Server": "excise", "Cache-Control": "no-store"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return web.Response(body=orjson.dumps(body), status=status, headers=headers)


@web.middleware
async def quiet(request: web.Request, handler: Any) -> web.StreamResponse:
    """Errors as JSON; what went wrong inside stays inside."""
    try:
        answer: web.StreamResponse = await handler(request)
    except web.HTTPMethodNotAllowed as error:
        return json_answer(
            {"error": error.reason}, 405, Allow=",".join(sorted(error.allowed_methods))
        )
    except web.HTTPException as error:
        return json_answer({"error": error.reason}, error.status)
    except Exception:
        return json_answer({"error": "Internal Server Error"}, 500)
    return answer


def health_app(
    readiness: Readiness, metrics: Metrics, before_scrape: Callable[[], None]
) -> web.Application:
    """/healthz, /readyz and /metrics. `before_scrape` brings gauges up to date."""

    async def healthz(_request: web.Request) -> web.Response:
        return json_answer({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        ready = readiness.ready
        body = {"ready": ready, "conditions": readiness.states}
        return json_answer(body, 200 if ready else 503)

    async def scrape(_request: web.Request) -> web.Response:
        before_scrape()
        content_type, body = metrics.render()
        return web.Response(body=body, headers={"Content-Type": content_type, "Server": "excise"})

    app = web.Application(middlewares=[quiet])
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)]
    )
    return app
