"""EXCISE_MODE: what a watching and a bypassing process still do, and what they leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

STRICT = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: closed, kind: rate_limit, per: address, limit: 1/hour, burst: 1, action: block}
"""
KEY = ("Authorization: Bearer sk-1",)


async def test_shadow_forwards_everything_and_says_what_it_would_have_done(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, STRICT, mode="shadow") as excise,
    ):
        for _ in range(2):
            assert (await excise.exchange(post(CHAT, headers=KEY)))[0] == 200
        assert (await excise.exchange(post(CHAT)))[0] == 200
        assert (await excise.exchange(post(b"{", headers=KEY)))[0] == 200
        assert (await excise.exchange(post(CHAT, "/v1/unheard-of", KEY)))[0] == 200
        assert len(upstream.calls) == 5
        events = [await excise.log.wait_for() for _ in range(5)]
        assert {event["decision"] for event in events} == {"allow"}
        assert {event["mode"] for event in events} == {"shadow"}
        assert [event.get("shadow") for event in events] == [
            None,
            ["closed"],
            ["keys", "closed"],
            ["uninspectable", "closed"],
            ["unknown_routes", "closed"],
        ]


async def test_bypass_judges_nothing_and_still_logs(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, STRICT, mode="bypass") as excise,
    ):
        for _ in range(3):
            assert (await excise.exchange(post(CHAT)))[0] == 200
        event = await excise.log.wait_for()
        assert (event["mode"], event["store"], event["decision"]) == ("bypass", "unused", "allow")
        assert event["shadow"] == ["keys"]  # a gate costs nothing to judge; no rule was asked


@pytest.mark.parametrize("mode", ["shadow", "bypass"])
async def test_what_is_no_sound_http_is_refused_in_every_mode(tmp_path: Path, mode: str) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1", STRICT, mode=mode) as excise:
        twice = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"
        assert (await excise.exchange(twice))[0] == 400


async def test_a_trusted_gateway_says_whose_account_it_is_and_nobody_else(tmp_path: Path) -> None:
    gateway = {"trusted": ["127.0.0.1/32"], "account_header": "X-Account", "tier_header": "X-Tier"}
    named = (*KEY, "X-Account: acme", "X-Tier: pro")
    for trusted, account in ((["127.0.0.1/32"], "acme"), (["192.0.2.1/32"], None)):
        async with (
            raw_upstream(replying(plain())) as upstream,
            excise_inside(
                tmp_path, upstream.url, gateway={**gateway, "trusted": trusted}
            ) as excise,
        ):
            assert (await excise.exchange(post(CHAT, headers=named)))[0] == 200
            event = await excise.log.wait_for()
            if account is None:
                assert event["account"] == event["api_key"]
                assert upstream.calls[0].header(b"X-Account") is None
            else:
                assert (event["account"], event["account.tier"]) == ("acme", "pro")
                assert upstream.calls[0].header(b"X-Account") == b"acme"


async def test_usage_never_leaves_body_and_reply_alone(tmp_path: Path) -> None:
    streamed = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    for usage, asked in (("never", False), ("ask", True)):
        async with (
            raw_upstream(replying(plain())) as upstream,
            excise_inside(tmp_path, upstream.url, upstream={"usage": usage}) as excise,
        ):
            headers = ("Accept-Encoding: gzip",)
            assert (await excise.exchange(post(streamed, headers=headers)))[0] == 200
            call = upstream.calls[0]
            assert (b"include_usage" in call.body) == asked
            assert (call.body == streamed) == (not asked)
            assert call.header(b"Accept-Encoding") == (b"identity" if asked else b"gzip")
