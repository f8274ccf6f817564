"""A Redis Cluster on the move: slots that wander, servers that die."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from proxy.counters.cluster import slot_of
from proxy.counters.codec import prefix_of
from proxy.counters.protocol import Count, Op, Total
from proxy.counters.redis import RedisStore
from proxy.errors import StoreError
from tests.redis_servers import RedisCluster, RedisServer, redis_cluster

from .stores import T0, redis_store


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    """A Cluster whose slots these tests may move."""
    with redis_cluster() as running:
        yield running


def _subject_of(cluster: RedisCluster, server: RedisServer, name: str) -> str:
    """A subject in a slot of `server`'s."""
    candidates = (f"{name}-{n}" for n in range(1000))
    return next(
        subject for subject in candidates if cluster.owner(slot_of(prefix_of(subject))) is server
    )


def _id(server: RedisServer) -> str:
    return str(server.command("CLUSTER", "MYID"))


async def _count(store: RedisStore, *subjects: str) -> list[int]:
    ops: list[Op] = [Count(subject, "c", 60) for subject in subjects]
    readings = await store.apply(ops, T0)
    return [reading.total for reading in readings if isinstance(reading, Total)]


def test_slots_are_those_of_the_specification() -> None:
    """Redis Cluster specification: the slot of `123456789` is 0x31C3."""
    assert slot_of(prefix_of("123456789")) == 0x31C3


async def test_one_batch_reaches_every_server(cluster: RedisCluster) -> None:
    store = redis_store(cluster.url)
    subjects = [_subject_of(cluster, server, "every") for server in cluster.servers]
    assert await _count(store, *subjects) == [1, 1, 1]
    for server, subject in zip(cluster.servers, subjects, strict=True):
        assert server.command("EXISTS", f"{prefix_of(subject)}c")
    await store.ready()
    await store.close()


async def test_a_moved_slot_is_followed_and_remembered(cluster: RedisCluster) -> None:
    store = redis_store(cluster.url)
    old, new = cluster.servers[:2]
    subject = _subject_of(cluster, old, "moved")
    await _count(store, _subject_of(cluster, new, "other"))  # the map is learnt before the move
    slot = slot_of(prefix_of(subject))
    for server in (new, old, cluster.servers[2]):
        server.command("CLUSTER", "SETSLOT", slot, "NODE", _id(new))
    assert await _count(store, subject) == [1]
    before = old.commands("evalsha"), new.commands("evalsha")
    assert await _count(store, subject) == [2]
    assert (old.commands("evalsha"), new.commands("evalsha")) == (before[0], before[1] + 1)
    await store.close()


async def test_a_slot_under_way_is_asked_for_where_it_goes(cluster: RedisCluster) -> None:
    store = redis_store(cluster.url)
    old, new = cluster.servers[1:]
    subject, other = (_subject_of(cluster, old, name) for name in ("asked", "stays"))
    slot = slot_of(prefix_of(subject))
    assert slot != slot_of(prefix_of(other))
    new.command("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(old))
    old.command("CLUSTER", "SETSLOT", slot, "MIGRATING", _id(new))
    assert await asyncio.gather(
        _count(store, subject), _count(store, other), _count(store, subject)
    ) == [[1], [1], [2]]
    old.command("CLUSTER", "SETSLOT", slot, "STABLE")
    new.command("CLUSTER", "SETSLOT", slot, "STABLE")
    await store.close()


async def test_a_dead_server_takes_only_its_own_subjects_with_it(cluster: RedisCluster) -> None:
    store = redis_store(cluster.url)
    dead, alive = cluster.servers[2], cluster.servers[0]
    gone, stays = _subject_of(cluster, dead, "gone"), _subject_of(cluster, alive, "stays")
    await _count(store, gone, stays)
    dead.pause()  # a server that does not answer is not yet a Cluster that is down
    waiting = asyncio.create_task(_count(store, gone))
    assert await _count(store, stays) == [2]
    assert not waiting.done()
    dead.resume()
    assert await waiting == [2]
    await store.close()


async def test_no_server_at_all_is_an_error() -> None:
    store = redis_store("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(StoreError, match="cannot connect"):
        await _count(store, "a")
    with pytest.raises(StoreError):
        await store.ready()
    await store.close()


async def test_a_server_that_is_no_cluster_is_an_error(shared_redis: RedisServer) -> None:
    store = redis_store(f"redis+cluster://127.0.0.1:{shared_redis.port}")
    with pytest.raises(StoreError, match="CLUSTER"):
        await _count(store, "a")
    await store.close()
