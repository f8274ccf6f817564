"""Bans and allowances over the admin API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.inside import CHAT, Inside, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

TOKEN = "t0k3n-t0k3n-t0k3n-t0k3n"


async def call(excise: Inside, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """(status, JSON)."""
    url = f"http://127.0.0.1:{excise.app.ports['admin']}{path}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, data=data) as answer,
    ):
        return answer.status, await answer.json()


def ban(subject: str, duration: str = "1h", because: str = "abuse") -> dict[str, str]:
    return {"subject": subject, "for": duration, "because": because}


async def test_a_banned_address_is_refused_in_the_callers_dialect_until_lifted(
    tmp_path: Path,
) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, admin_token=TOKEN) as excise,
    ):
        status, told = await call(excise, "POST", "/v1/bans", ban("address:127.0.0.1"))
        assert (status, told["subject"], told["by"]) == (201, "address:127.0.0.1", "operator")
        event = await excise.log.wait_for("banned")
        assert (event["subject"], event["because"], event["level"]) == (
            "address:127.0.0.1",
            "abuse",
            "warning",
        )
        status, headers, body = await excise.exchange(post(CHAT))
        assert (status, headers["x-should-retry"]) == (403, "false")
        assert json.loads(body)["error"]["message"]
        assert b"ban" not in body
        seen = await excise.log.wait_for()
        assert (seen["decision"], seen["kind"], seen["reason"]) == ("block", "ban", "banned")
        assert len(upstream.calls) == 0
        listed = (await call(excise, "GET", "/v1/bans"))[1]["bans"]
        assert [one["subject"] for one in listed] == ["address:127.0.0.1"]
        assert (await call(excise, "DELETE", "/v1/bans?subject=address:127.0.0.1"))[0] == 200
        assert (await excise.log.wait_for("ban_lifted"))["subject"] == "address:127.0.0.1"
        assert (await excise.exchange(post(CHAT)))[0] == 200
        assert (await call(excise, "DELETE", "/v1/bans?subject=address:127.0.0.1"))[0] == 404


async def test_events_show_a_banned_address_no_fuller_than_others(tmp_path: Path) -> None:
    async with excise_inside(
        tmp_path, "http://127.0.0.1:1", admin_token=TOKEN, log={"addresses": "hashed"}
    ) as excise:
        for subject in ("address:198.51.100.7", "subnet:198.51.100.0/24"):
            await call(excise, "POST", "/v1/bans", ban(subject))
            event = await excise.log.wait_for("banned")
            assert "198.51.100" not in event["subject"]
            assert "addr_" in event["subject"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "must be a JSON object"),
        (b"[]", "must hold `subject`, `for` and `because`"),
        ({"subject": "account:a"}, "must hold"),
        ({**ban("account:a"), "more": 1}, "must hold"),
        (ban("acme"), "A subject is one of"),
        (ban("model:large"), "A subject is one of"),
        (ban("api_key:sk-secret"), "never by itself"),
        (ban("address:1.2.3"), "An address is written"),
        (ban("subnet:203.0.113.7/24"), "A subnet is written"),
        (ban("account:a", "24"), "must be a duration"),
        (ban("account:a", "400d"), "at most"),
        (ban("account:a", because=" "), "must say why"),
        (ban("account:a", because="two\nlines"), "must say why"),
        (ban("account:a", because="x" * 501), "must say why"),
    ],
)
async def test_what_is_not_sound_is_refused_with_its_reason(
    tmp_path: Path, body: Any, said: str
) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1", admin_token=TOKEN) as excise:
        status, told = await call(excise, "POST", "/v1/bans", body)
        assert (status, said in told["error"]) == (400, True), told
        assert "sk-secret" not in told["error"]
        assert (await call(excise, "GET", "/v1/bans"))[1] == {"bans": []}


async def test_only_accounts_are_allowed(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1", admin_token=TOKEN) as excise:
        assert (await call(excise, "POST", "/v1/allowances", ban("address:127.0.0.1")))[0] == 400
        assert (await call(excise, "POST", "/v1/allowances", ban("account:Ünï")))[0] == 201
        event = await excise.log.wait_for("allowed")
        assert event["subject"] == "account:%C3%9Cn%C3%AF"
        (listed,) = (await call(excise, "GET", "/v1/allowances"))[1]["allowances"]
        path = f"/v1/allowances?subject={listed['subject'].replace('%', '%25')}"
        assert (await call(excise, "DELETE", path))[0] == 200
        status = (await call(excise, "GET", "/v1/status"))[1]
        assert (status["bans"], status["allowances"]) == (0, 0)
