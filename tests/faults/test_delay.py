"""Requests held back by `delay`: their places are few, and free again whatever becomes of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.inside import CHAT, Inside, excise_inside, post, read_answer
from tests.support.raw_upstream import plain, raw_upstream, replying

# A second request conforms after ten seconds: longer than any of these tests lasts.
SLOW = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - name: slow
    kind: rate_limit
    per: address
    limit: 6/minute
    burst: 1
    action: {delay: {at_most: 30s, then: throttle}}
"""


async def held(excise: Inside, count: int) -> None:
    """Until the metrics say that so many are held."""
    line = f"\nexcise_delayed_requests {count}.0\n".encode()
    async with asyncio.timeout(5):
        while line not in await excise.metrics():
            pass


@pytest.mark.parametrize(
    "limits",
    [{"delayed_per_subject": 1}, {"delayed_per_subject": 8, "delayed_total": 1}],
    ids=["of a subject", "of the process"],
)
async def test_where_the_lane_is_full_the_rule_does_what_then_says(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, SLOW, limits=limits) as excise,
    ):
        assert (await excise.exchange(post(CHAT)))[0] == 200
        _, waiting = await excise.send(post(CHAT))
        await held(excise, 1)
        status, headers, _ = await excise.exchange(post(CHAT))
        assert status == 429
        assert 10 < int(headers["retry-after"]) <= 20
        # What the refused one took is given back: the next may come no later than it could have.
        again, later, _ = await excise.exchange(post(CHAT))
        assert again == 429
        assert 10 < int(later["retry-after"]) <= 20  # 30, had it been kept
        assert len(upstream.calls) == 1
        waiting.close()


async def test_a_client_that_leaves_while_it_is_held_frees_its_place(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, SLOW) as excise,
    ):
        assert (await excise.exchange(post(CHAT)))[0] == 200
        _, waiting = await excise.send(post(CHAT))
        await held(excise, 1)
        waiting.close()
        await held(excise, 0)
        event = await excise.log.wait_for(outcome="client_closed")
        assert event["http.response.status_code"] is None
        assert len(upstream.calls) == 1


async def test_a_held_request_is_sent_on_when_its_time_has_come(tmp_path: Path) -> None:
    rules = SLOW.replace("6/minute", "10/second")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, rules) as excise,
    ):
        assert (await excise.exchange(post(CHAT)))[0] == 200
        reader, writer = await excise.send(post(CHAT))
        assert (await read_answer(reader))[0] == 200
        event = await excise.log.wait_for(decision="delay")
        assert 0 < event["delayed_s"] <= 0.1
        assert event["duration_ms"] >= event["delayed_s"] * 1000
        writer.close()


async def test_invented_keys_share_the_lane_of_their_address(tmp_path: Path) -> None:
    limits = {"delayed_per_subject": 1}
    rules = SLOW.replace("burst: 1", "burst: 1\n    mode: enforce")
    async with (
        raw_upstream(replying(plain(status=b"401 Unauthorized"))) as upstream,
        excise_inside(tmp_path, upstream.url, rules, limits=limits) as excise,
    ):
        first = post(CHAT, headers=("Authorization: Bearer sk-0",))
        assert (await excise.exchange(first))[0] == 401
        _, waiting = await excise.send(post(CHAT, headers=("Authorization: Bearer sk-1",)))
        await held(excise, 1)
        third = post(CHAT, headers=("Authorization: Bearer sk-2",))
        assert (await excise.exchange(third))[0] == 429
        assert (await excise.log.wait_for(decision="throttle"))["reason"] == "delay_lanes_full"
        waiting.close()
