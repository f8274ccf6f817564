"""/v1/bans, /v1/allowances, /v1/background of the admin API: what operators put up and take down."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from proxy.admin.health import json_answer
from proxy.notices import MAX_DURATION_S, Notice, Notices, told
from proxy.rules.subjects import BANNABLE, read_subject
from proxy.rules.units import parse_duration

MAX_BODY = 16_384
_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,500}").fullmatch


def board_routes(
    board: Notices,
    subjects: tuple[str, ...] = BANNABLE,
    take_down: Callable[[str], Notice | None] | None = None,
) -> list[web.RouteDef]:
    """GET, POST and DELETE of one board; `subjects` are the kinds that it may name, `take_down` what
    a DELETE does instead of lifting."""
    path, name = f"/v1/{board.board}", str(board.board)

    async def listed(_request: web.Request) -> web.Response:
        return json_answer({name: [told(notice) for notice in board.all()]})

    async def put(request: web.Request) -> web.Response:
        try:
            subject, seconds, because = _wanted(await request.content.read(MAX_BODY), subjects)
        except ValueError as error:
            return json_answer({"error": str(error)}, 400)
        notice = board.put(subject, seconds, "operator", because)
        if notice is None:
            return json_answer({"error": "There is no room for more."}, 507)
        return json_answer(told(notice), 201)

    async def lift(request: web.Request) -> web.Response:
        try:
            subject = read_subject(request.query.get("subject", ""), subjects)
        except ValueError as error:
            return json_answer({"error": str(error)}, 400)
        notice = (take_down or board.lift)(subject)
        if notice is None:
            return json_answer({"error": f"Nothing stands for {subject}."}, 404)
        return json_answer(told(notice))

    return [web.get(path, listed), web.post(path, put), web.delete(path, lift)]


def _wanted(body: bytes, subjects: tuple[str, ...]) -> tuple[str, float, str]:
    """(subject, seconds, reason) of `{"subject": "account:acme", "for": "24h", "because": "…"}`."""
    try:
        given: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("The body must be a JSON object.") from None
    if not isinstance(given, dict) or set(given) != {"subject", "for", "because"}:
        raise ValueError("The body must hold `subject`, `for` and `because`, and no more.")
    because = one_line(given["because"])
    subject = read_subject(str(given["subject"]), subjects)
    seconds = parse_duration(given["for"])
    if seconds > MAX_DURATION_S:
        raise ValueError("`for` must be at most 366d.")
    return subject, seconds, because


def one_line(because: Any) -> str:
    """Why something is done, as it was given. Raises ValueError in operators' words."""
    if not isinstance(because, str) or not _ONE_LINE(because.strip()):
        raise ValueError("`because` must say why, in one line of at most 500 characters.")
    return because.strip()
