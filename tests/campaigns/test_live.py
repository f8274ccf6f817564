"""Over real sockets and a real Redis: accounts on one replica, joined by it, known on the other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.redis_servers import RedisServer
from tests.support.inside import Inside, excise_inside, post
from tests.support.raw_upstream import Call, plain, raw_upstream, replying

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: same-hand, kind: shared_shape, min_accounts: 5}
  - {name: one-exit, kind: egress_hub, window: 1h, min_accounts: 5}
  - {name: together, kind: rate_limit, per: campaign, limit: 1/hour, burst: 1, action: throttle}
"""
KEYS = [f"sk-campaign-{number}" for number in range(6)]


def ask(key: str) -> bytes:
    body = {"model": "m", "temperature": 0.93, "messages": [{"role": "user", "content": "Go on"}]}
    return post(json.dumps(body).encode(), headers=(f"Authorization: Bearer {key}",))


async def answered(excise: Inside, keys: list[str]) -> list[int]:
    return [(await excise.exchange(ask(key)))[0] for key in keys]


def known(excise: Inside) -> bool:
    return len(excise.app.campaigns.names()) == len(KEYS)


def tied(excise: Inside) -> int:
    """How many keys both rules have tied, as the log says."""
    both = ["same-hand", "one-exit"]
    return len({event["api_key"] for event in excise.log.events if event.get("ties") == both})


async def leading(excise: Inside) -> bool:
    await excise.app.joiner.step()
    return excise.app.joiner.leads


async def test_a_campaign_is_found_on_one_replica_and_counted_on_both(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    shared = {"redis_url": shared_redis.url, "secret": "campaigns-0123456789abcdef"}
    for name in "ab":
        (tmp_path / name).mkdir()
    with shared_redis.client() as client:
        client.flushall()
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path / "a", upstream.url, POLICY, **shared) as one,
        excise_inside(tmp_path / "b", upstream.url, POLICY, **shared) as two,
    ):
        async with asyncio.timeout(10):
            while tied(one) < len(KEYS):  # who showed a thing is asked anew every two seconds
                assert set(await answered(one, KEYS)) == {200}
        leads = one if await leading(one) else two
        async with asyncio.timeout(10):
            while not known(leads):
                await leads.app.joiner.step()
                await asyncio.sleep(0.05)
        told = await leads.log.wait_for("campaign")
        assert told["members"] >= len(KEYS) - 1
        assert told["families"] == ["client", "network"]
        async with asyncio.timeout(10):
            while not (known(one) and known(two)):  # noqa: ASYNC110 -- boards are read once a second
                await asyncio.sleep(0.05)
        statuses = await answered(one, KEYS[:1]) + await answered(two, KEYS[1:])
        assert statuses.count(200) == 1
        assert statuses.count(429) == len(KEYS) - 1
        assert (await two.log.wait_for(decision="throttle"))["campaign"] == told["campaign"]


def echoing(excise: Inside) -> set[str]:
    """The keys that were tied for an echo."""
    return {event["api_key"] for event in excise.log.events if event.get("ties") == ["elsewhere"]}


ECHO = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: elsewhere, kind: throttle_echo}
"""


async def test_what_the_upstream_refused_one_key_and_another_brings_ties_them(
    tmp_path: Path,
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Go on. " * 50}]}
    asked = [
        post(json.dumps(body).encode(), headers=(f"Authorization: Bearer {key}",))
        for key in KEYS[:3]
    ]

    async def answer(call: Call) -> None:
        first = KEYS[0].encode() in call.head and len(call.body) > 256
        await call.send(plain(status=b"429 Too Many Requests") if first else plain())

    async with (
        raw_upstream(answer) as upstream,
        excise_inside(tmp_path, upstream.url, ECHO) as excise,
    ):
        # A key that nobody vouches for ties nobody: the upstream is to know them all.
        assert await answered(excise, KEYS[:3]) == [200, 200, 200]
        statuses = [(await excise.exchange(one))[0] for one in asked]
        assert statuses == [429, 200, 200]
        async with asyncio.timeout(10):
            while len(echoes := echoing(excise)) < 2:  # noqa: ASYNC110 -- the log is written in batches
                await asyncio.sleep(0.01)
        refused = next(
            one for one in excise.log.events if one.get("http.response.status_code") == 429
        )
        assert refused["api_key"] not in echoes
