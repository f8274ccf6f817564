"""A key that the upstream has accepted once is known to every replica, and after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.client.proofs import Proofs
from proxy.client.proven import ProvenKeys
from proxy.facts import Client
from tests.counters.stores import StillClock
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


ROOMY = POLICY.replace("limit: 1/hour, burst: 1", "limit: 100/hour, burst: 100")


@pytest.mark.parametrize("bound", ["accepted_keys_per_subnet", "accepted_keys"])
async def test_an_upstream_that_accepts_every_key_makes_no_accounts_without_end(
    tmp_path: Path, bound: str
) -> None:
    keys = [f"sk-invented-{number}" for number in range(5)]
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, ROOMY, limits={bound: 2}) as excise,
    ):
        for _ in range(2):
            for key in keys:
                assert (await excise.exchange(ask(key)))[0] == 200
        events = [await excise.log.wait_for() for _ in range(2 * len(keys))]
        again = ["account.provisional" not in event for event in events[len(keys) :]]
        assert again == [True, True, False, False, False]
        assert (await excise.log.wait_for("accepted_keys_full"))["level"] == "warning"


def proofs(clock: StillClock, **bounds: int) -> tuple[Proofs, ProvenKeys]:
    proven = ProvenKeys()
    return Proofs(proven, clock, None, lambda _ops: None, **bounds), proven


def client(number: int, subnet: str = "192.0.2.0/24") -> Client:
    return Client("192.0.2.1", subnet, key_id=f"key_{number}", unproven=True)


def test_one_network_takes_no_other_networks_places() -> None:
    clock = StillClock()
    known, proven = proofs(clock, per_subnet=2)
    for number in range(4):
        known.record(client(number))
    known.record(client(9, "198.51.100.0/24"))
    assert [proven.is_proven(f"key_{n}", clock.now()) for n in (0, 1, 2, 3, 9)] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_place_is_free_again_once_its_key_has_not_come_for_two_lives_of_a_proof() -> None:
    clock = StillClock()
    known, proven = proofs(clock, per_subnet=1)
    known.record(client(1))
    clock.advance(proven.ttl)
    known.record(client(2))
    assert not proven.is_proven("key_2", clock.now())
    clock.advance(2 * proven.ttl)
    known.record(client(2))
    assert proven.is_proven("key_2", clock.now())


def test_every_key_may_have_a_network_of_its_own() -> None:
    clock = StillClock()
    known, proven = proofs(clock)
    for number in range(70_000):
        known.record(client(number, f"2001:db8:{number >> 8:x}:{number & 255:x}00::/56"))
    assert proven.is_proven("key_69999", clock.now())
