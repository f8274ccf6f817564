"""The admin API: a bearer token, compared in constant time; GET changes nothing."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from aiolimiter import AsyncLimiter

from proxy.admin.health import json_answer, quiet

FAILURES_A_MINUTE = 30
NO_TOKEN = "No admin token is set; set EXCISE_ADMIN_TOKEN or EXCISE_ADMIN_TOKEN_FILE."  # noqa: S105


def admin_app(
    token: str | None,
    status: Callable[[], dict[str, Any]],
    routes: Sequence[web.RouteDef] = (),
) -> web.Application:
    """The admin API: status, and `routes`. Without a token every call is refused, and told how to
    set one."""
    expected = token.encode() if token is not None else None
    failures = AsyncLimiter(FAILURES_A_MINUTE, 60)

    @web.middleware
    async def authorised(request: web.Request, handler: Any) -> web.StreamResponse:
        if expected is None:
            return json_answer({"error": NO_TOKEN}, 403)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        given_bytes = given.strip().encode("utf-8", "surrogateescape")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given_bytes, expected):
            # Guessing is slow, and never in the way of those who have the token.
            if not failures.has_capacity():
                return json_answer({"error": "Too many failed attempts."}, 429)
            await failures.acquire()
            said = {"error": "A valid bearer token is required."}
            return json_answer(said, 401, WWW_Authenticate="Bearer")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def get_status(_request: web.Request) -> web.Response:
        return json_answer(status())

    app = web.Application(middlewares=[quiet, authorised])
    app.add_routes([web.get("/v1/status", get_status), *routes])
    return app
