"""A fault of ours: the caller gets a plain 500, the log its place, nobody the text that it quotes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.judge import Judge
from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying


async def test_a_fault_is_answered_logged_by_its_place_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise KeyError("the caller's own words")

    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        with monkeypatch.context() as patched:
            patched.setattr(Judge, "judge", broken)
            status, headers, body = await excise.exchange(post(CHAT))
        assert (status, headers["connection"]) == (500, "close")
        assert json.loads(body)["error"]["code"] == "internal_error"
        assert upstream.calls == []
        fault = await excise.log.wait_for("internal_error")
        assert fault["type"] == "KeyError"
        assert "test_internal.py" in fault["where"]
        event = await excise.log.wait_for()
        assert event["request_id"] == fault["request_id"] == headers["x-excise-request-id"]
        assert "own words" not in f"{fault}{event}{body!r}"
        assert (await excise.exchange(post(CHAT)))[0] == 200
