"""/v1/campaigns and /v1/verdicts of the admin API: who belongs together, and what operators say of it."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import orjson
from aiohttp import web

from proxy.admin.boards import one_line
from proxy.admin.health import JSON, json_answer
from proxy.campaigns.desk import Desk, Said, UnknownCampaignError, WrongAccountsError
from proxy.campaigns.verdicts import Verdict
from proxy.clock import utc
from proxy.errors import StoreError
from proxy.notices import MAX_DURATION_S
from proxy.rules.subjects import read_subject
from proxy.rules.units import parse_duration

MAX_BODY: Final = 4 * 1024 * 1024
"""Enough to name 50,000 accounts."""
VERDICTS: Final[dict[str, Verdict]] = {
    "split": "split",
    "forgive": "apart",
    "confirm": "confirmed",
}
_STORE_GONE: Final = (
    "The store does not answer, which holds what accounts have asked. Try again shortly."
)


class _Routes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def listed(self, request: web.Request) -> web.Response:
        try:
            return json_answer({"campaigns": await self._desk.heads(request.query.get("account"))})
        except StoreError:
            return json_answer({"error": _STORE_GONE}, 503)

    async def one(self, request: web.Request) -> web.Response:
        name = request.match_info["campaign"]
        try:
            told = await self._desk.one(name)
        except UnknownCampaignError:
            return _unknown(name)
        except StoreError:
            return json_answer({"error": _STORE_GONE}, 503)
        # Of a large campaign these are megabytes.
        return web.Response(body=await asyncio.to_thread(orjson.dumps, told), content_type=JSON)

    async def say(self, request: web.Request) -> web.Response:
        name, verdict = request.match_info["campaign"], VERDICTS[request.match_info["verdict"]]
        try:
            accounts, seconds, because = _wanted(await _body(request))
            said = await self._desk.say(verdict, name, accounts, seconds, because)
        except (ValueError, WrongAccountsError) as error:
            return json_answer({"error": str(error)}, 400)
        except UnknownCampaignError:
            return _unknown(name)
        if not said.accounts:
            return json_answer({"error": "There is no room for more."}, 507)
        return json_answer(_told(said), 201)

    async def verdicts(self, _request: web.Request) -> web.Response:
        return json_answer({"verdicts": self._desk.verdicts()})

    async def withdraw(self, request: web.Request) -> web.Response:
        try:
            subject = read_subject(request.query.get("subject", ""), ("account",))
        except ValueError as error:
            return json_answer({"error": str(error)}, 400)
        if not self._desk.withdraw(subject):
            return json_answer({"error": f"Nothing has been said of {subject}."}, 404)
        return json_answer({"subject": subject})


def campaign_routes(desk: Desk) -> list[web.RouteDef]:
    """What GET tells, and what POST and DELETE say; nothing is changed by a GET."""
    routes = _Routes(desk)
    return [
        web.get("/v1/campaigns", routes.listed),
        web.get("/v1/campaigns/{campaign}", routes.one),
        web.post("/v1/campaigns/{campaign}/{verdict:split|forgive|confirm}", routes.say),
        web.get("/v1/verdicts", routes.verdicts),
        web.delete("/v1/verdicts", routes.withdraw),
    ]


def _unknown(name: str) -> web.Response:
    return json_answer({"error": f"There is no campaign {name[:64]}."}, 404)


def _told(said: Said) -> dict[str, Any]:
    return {
        "campaign": said.campaign,
        "verdict": said.verdict,
        "accounts": said.accounts,
        "no_room": said.no_room,
        "subjects": list(said.subjects),
        "bans_lifted": list(said.lifted),
        "because": said.because,
        "ends": utc(said.ends),
    }


async def _body(request: web.Request) -> bytes:
    body = bytearray()
    async for piece in request.content.iter_chunked(65_536):
        body += piece
        if len(body) > MAX_BODY:
            raise ValueError(f"The body must have at most {MAX_BODY} bytes.")
    return bytes(body)


def _wanted(body: bytes) -> tuple[list[str], float, str]:
    """(accounts, seconds, reason) of `{"accounts": ["key_…"], "for": "30d", "because": "…"}`."""
    try:
        given: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("The body must be a JSON object.") from None
    if not isinstance(given, dict) or set(given) != {"accounts", "for", "because"}:
        raise ValueError("The body must hold `accounts`, `for` and `because`, and no more.")
    accounts = given["accounts"]
    if not isinstance(accounts, list) or not all(isinstance(one, str) for one in accounts):
        raise ValueError(
            "`accounts` must be a list of accounts, as the campaign's document names them."
        )
    because = one_line(given["because"])
    seconds = parse_duration(given["for"])
    if seconds > MAX_DURATION_S:
        raise ValueError("`for` must be at most 366d.")
    return cast("list[str]", accounts), seconds, because
