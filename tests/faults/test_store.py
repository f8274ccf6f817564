"""What becomes of requests while Redis is gone, hangs, is full or comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_servers import RedisServer
from tests.redis_servers import redis_server as start_redis
from tests.support.inside import CHAT, Inside, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of the test's own, for it is paused and restarted."""
    with start_redis() as server:
        yield server


def policy(on_failure: str, limit: str = "2/hour", burst: int = 2) -> str:
    return f"""
version: 1
keys: {{missing: allow, unknown: allow}}
rules:
  - name: few
    kind: rate_limit
    per: address
    limit: {limit}
    burst: {burst}
    action: throttle
    on_store_failure: {on_failure}
"""


async def statuses(excise: Inside, count: int) -> list[int]:
    return [(await excise.exchange(post(CHAT)))[0] for _ in range(count)]


async def test_two_replicas_share_one_limit(tmp_path: Path, redis_server: RedisServer) -> None:
    shared = {"redis_url": redis_server.url, "secret": SECRET}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    rules = policy("block", burst=3)
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path / "a", upstream.url, rules, **shared) as one,
        excise_inside(tmp_path / "b", upstream.url, rules, **shared) as other,
    ):
        got = [await statuses(replica, 1) for replica in (one, other, one, other, one)]
        assert got == [[200], [200], [200], [429], [429]]
        assert (await one.log.wait_for(decision="throttle"))["store"] == "ok"


@pytest.mark.parametrize("where", ["policy", "rule"])
async def test_what_only_watches_refuses_nothing_for_a_lost_store(
    tmp_path: Path, where: str
) -> None:
    gone = {"redis_url": "redis://127.0.0.1:1/0", "secret": SECRET}
    rules = policy("block")
    if where == "policy":
        rules = rules.replace("version: 1", "version: 1\nmode: shadow")
    else:
        rules += "    mode: shadow\n"
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, rules, **gone) as excise,
    ):
        assert await statuses(excise, 3) == [200, 200, 200]


async def test_the_rule_that_blocks_for_a_lost_store_is_named(tmp_path: Path) -> None:
    gone = {"redis_url": "redis://127.0.0.1:1/0", "secret": SECRET}
    async with excise_inside(tmp_path, "http://127.0.0.1:1", policy("block"), **gone) as excise:
        assert await statuses(excise, 1) == [503]
        event = await excise.log.wait_for()
        assert (event["rule"], event["kind"]) == ("few", "store")
        assert b'excise_counted_total{store="blocked"} 1.0' in await excise.metrics()


@pytest.mark.parametrize(
    ("on_failure", "expected", "store"),
    [
        ("local", [200, 200, 429], "local"),
        ("allow", [200, 200, 200], "skipped"),
        ("block", [503, 503, 503], "blocked"),
    ],
)
async def test_without_a_store_each_rule_decides(
    tmp_path: Path, on_failure: str, expected: list[int], store: str
) -> None:
    gone = {"redis_url": "redis://127.0.0.1:1/0", "secret": SECRET}
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy(on_failure), **gone) as excise,
    ):
        assert await statuses(excise, 3) == expected
        assert (await excise.log.wait_for())["store"] == store


async def test_the_local_share_is_divided_by_the_replicas(tmp_path: Path) -> None:
    gone = {"redis_url": "redis://127.0.0.1:1/0", "secret": SECRET, "replicas": 4}
    rules = policy("local", "8/hour", 8)
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, rules, **gone) as excise,
    ):
        assert await statuses(excise, 3) == [200, 200, 429]


async def test_a_store_that_hangs_costs_one_timeout_and_then_nothing(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    shared = {"redis_url": redis_server.url, "secret": SECRET}
    loop = asyncio.get_running_loop()
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy("allow"), **shared) as excise,
    ):
        assert await statuses(excise, 1) == [200]
        redis_server.pause()
        try:
            started = loop.time()
            assert set(await statuses(excise, 20)) == {200}
            assert loop.time() - started < 5.0
            await excise.log.wait_for("store_down")
        finally:
            redis_server.resume()
        await excise.log.wait_for("store_up")
        # It counts again where it had stopped. What timed out may have been carried out or not, so
        # the second of two is taken by now or by the next request.
        assert (await statuses(excise, 2))[-1] == 429


async def test_a_store_that_restarts_is_found_again(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    shared = {"redis_url": redis_server.url, "secret": SECRET}
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy("block"), **shared) as excise,
    ):
        assert await statuses(excise, 1) == [200]
        redis_server.restart()
        async with asyncio.timeout(10):
            while await statuses(excise, 1) == [503]:
                pass
        event = await excise.log.wait_for(store="ok", **{"http.response.status_code": 200})
        assert event["outcome"] == "complete"


async def readiness(excise: Inside) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", excise.app.ports["health"])
    writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["conditions"]["secret"]


async def settled(excise: Inside, status: int) -> str:
    async with asyncio.timeout(10):
        while (got := await readiness(excise))[0] != status:
            pass
    return got[1]


async def registered(server: RedisServer, count: int) -> None:
    """Until so many secrets are known to the store."""
    async with asyncio.timeout(10):
        while server.command("HLEN", "x1:{replicas}:secrets") != count:
            await asyncio.to_thread(server.command, "PING")


async def test_the_newcomer_with_another_secret_is_not_ready_and_the_fleet_stays(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    url = redis_server.url
    upstream = "http://127.0.0.1:1"
    async with excise_inside(tmp_path / "a", upstream, redis_url=url, secret=SECRET) as one:
        await registered(redis_server, 1)
        async with excise_inside(tmp_path / "b", upstream, redis_url=url, secret="x" * 32) as other:
            assert "secret" in await settled(other, 503)
            assert (await other.log.wait_for("secret_mismatch"))["level"] == "error"
            one.app._upkeep._checked_at = float("-inf")
            await one.app._upkeep._look(one.app._clock.monotonic())
            assert await settled(one, 200) == "ok"


async def test_a_rotation_keeps_old_and_new_replicas_ready(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    url = redis_server.url
    upstream = "http://127.0.0.1:1"
    new = {"redis_url": url, "secret": "n" * 32}
    async with excise_inside(tmp_path / "a", upstream, redis_url=url, secret=SECRET) as old:
        await registered(redis_server, 1)
        async with excise_inside(
            tmp_path / "b", upstream, secret_previous=SECRET, **new
        ) as between:
            await registered(redis_server, 2)
            async with excise_inside(tmp_path / "c", upstream, **new) as last:
                for replica in (old, between, last):
                    replica.app._upkeep._checked_at = float("-inf")
                    await replica.app._upkeep._look(replica.app._clock.monotonic())
                    assert await settled(replica, 200) == "ok"


async def test_a_store_out_of_memory_is_said_and_heals(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    shared = {"redis_url": redis_server.url, "secret": SECRET}
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy("block"), **shared) as excise,
    ):
        assert await statuses(excise, 1) == [200]
        with redis_server.client() as admin:
            admin.config_set("maxmemory", "1")
            assert await statuses(excise, 1) == [503]
            assert (await excise.log.wait_for("store_full"))["level"] == "error"
            admin.config_set("maxmemory", "0")
        async with asyncio.timeout(10):
            while await statuses(excise, 1) == [503]:
                pass
        await excise.log.wait_for("store_up")


async def test_a_store_that_evicts_is_warned_of(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.command("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    shared = {"redis_url": redis_server.url, "secret": SECRET}
    async with excise_inside(tmp_path, "http://127.0.0.1:1", **shared) as excise:
        assert (await excise.log.wait_for("store_evicts"))["policy"] == "volatile-ttl"
