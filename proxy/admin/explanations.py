"""/v1/explanations/{id} of the admin API: why a request of a moment ago was decided as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from proxy.admin.health import json_answer
from proxy.ids import known_id

NOT_KEPT = (
    "No request {} is kept here: of each replica the last {} that were acted on and as many others are. "
    "Look in the event log."
)


def explanation_routes(
    explain: Callable[[str], dict[str, Any] | None], most: int
) -> list[web.RouteDef]:
    """GET of one explanation; `explain` gives None for what is not kept, `most` is how many are."""

    async def one(request: web.Request) -> web.Response:
        wanted = request.match_info["id"].upper()
        if not known_id(wanted):
            return json_answer({"error": "An id is the text of X-Excise-Request-Id."}, 400)
        found = explain(wanted)
        if found is None:
            return json_answer({"error": NOT_KEPT.format(wanted, most)}, 404)
        return json_answer(found)

    return [web.get("/v1/explanations/{id}", one)]
