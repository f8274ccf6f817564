"""The admin API: a bearer token, compared in constant time, few guesses; GET changes nothing."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from proxy.admin.health import json_answer, quiet
from proxy.admin.peers import Peers

NO_TOKEN = "No admin token is set; set EXCISE_ADMIN_TOKEN or EXCISE_ADMIN_TOKEN_FILE."  # noqa: S105


def admin_app(
    token: str | None,
    status: Callable[[], dict[str, Any]],
    routes: Sequence[web.RouteDef] = (),
    monotonic: Callable[[], float] = time.monotonic,
) -> web.Application:
    """The admin API: status, and `routes`. Without a token every call is refused, and told how to
    set one. `monotonic` gives seconds."""
    expected = token.encode() if token is not None else None
    peers = Peers()

    @web.middleware
    async def authorised(request: web.Request, handler: Any) -> web.StreamResponse:
        if expected is None:
            return json_answer({"error": NO_TOKEN}, 403)
        peer, now = request.remote or "", monotonic()
        wait = peers.call(peer, now)
        if wait > 0:
            # Nothing is compared: a right guess among many wrong ones gets the same answer.
            said = {"error": "Too many calls, or too many wrong tokens. Try again later."}
            return json_answer(said, 429, Retry_After=str(math.ceil(wait)))
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        given_bytes = given.strip().encode("utf-8", "surrogateescape")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given_bytes, expected):
            peers.failed(peer, now)
            said = {"error": "A valid bearer token is required."}
            return json_answer(said, 401, WWW_Authenticate="Bearer")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def get_status(_request: web.Request) -> web.Response:
        return json_answer(status())

    app = web.Application(middlewares=[quiet, authorised])
    app.add_routes([web.get("/v1/status", get_status), *routes])
    return app
