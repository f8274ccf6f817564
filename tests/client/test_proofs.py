"""A key that the upstream has accepted once is known to every replica, and after a restart."""

from __future__ import annotations

from pathlib import Path

from tests.redis_servers import RedisServer
from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

SECRET = "0123456789abcdef0123456789abcdef"
POLICY = """
version: 1
keys: {missing: block, unknown: provisional}
rules:
  - {name: few, kind: rate_limit, per: api_key, limit: 1/hour, burst: 1, action: throttle}
"""


def ask(key: str) -> bytes:
    return post(CHAT, headers=(f"Authorization: Bearer {key}",))


async def test_an_accepted_key_is_itself_on_another_replica(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    shared = {"redis_url": shared_redis.url, "secret": SECRET}
    for name in "ab":
        (tmp_path / name).mkdir()
    async with raw_upstream(replying(plain())) as upstream:
        async with excise_inside(tmp_path / "a", upstream.url, POLICY, **shared) as first:
            assert (await first.exchange(ask("sk-proofs-1")))[0] == 200
            assert (await first.log.wait_for())["account.provisional"] is True
        async with excise_inside(tmp_path / "b", upstream.url, POLICY, **shared) as second:
            # Had it been forgotten, this would be counted by the address, which has had its one.
            assert (await second.exchange(ask("sk-proofs-1")))[0] == 200
            assert "account.provisional" not in await second.log.wait_for()
            assert (await second.exchange(ask("sk-proofs-2")))[0] == 429
            assert (await second.log.wait_for())["account.provisional"] is True


async def test_a_key_that_the_upstream_refuses_stays_provisional(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain(status=b"401 Unauthorized"))) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY) as excise,
    ):
        assert (await excise.exchange(ask("sk-invented-1")))[0] == 401
        assert (await excise.exchange(ask("sk-invented-2")))[0] == 429
        for _ in range(2):
            assert (await excise.log.wait_for())["account.provisional"] is True
