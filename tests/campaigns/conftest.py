"""A store that replicas share: in memory, and a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from proxy.counters.memory import MemoryStore
from tests.counters.stores import StillClock, redis_store
from tests.redis_servers import RedisServer

from .replicas import Shared


@pytest.fixture(params=["memory", "redis"])
async def shared(
    request: pytest.FixtureRequest, shared_redis: RedisServer
) -> AsyncIterator[Shared]:
    clock = StillClock()
    if request.param == "memory":
        yield Shared(MemoryStore(clock=clock), clock)
        return
    with shared_redis.client() as client:
        client.flushall()
    store = redis_store(shared_redis.url)
    yield Shared(store, clock)
    await store.close()
