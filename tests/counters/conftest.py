"""Every store, for the suites that all of them must pass."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from proxy.counters.protocol import Store

from .stores import memory_store, redis_store

_subjects = itertools.count()


@pytest.fixture(params=["memory", "redis", "cluster"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    match request.param:
        case "memory":
            made: Store = memory_store()
        case "redis":
            made = redis_store(request.getfixturevalue("shared_redis").url)
        case _:
            made = redis_store(request.getfixturevalue("shared_cluster").url)
    yield made
    await made.close()


@pytest.fixture
def subject() -> str:
    """A subject that no other test has."""
    return f"account:{next(_subjects)}"
