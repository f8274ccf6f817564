"""An account leaves below 16 KB in Redis, with the shipped policies and with every kind of rule on."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from bench.every_kind import everything
from bench.state import check, copy, fill
from proxy.policy.load import load
from proxy.policy.shipped import shipped
from tests.redis_servers import RedisServer, redis_server

ACCOUNTS = 300
"""`python -m bench.state` takes 10,000."""
REQUESTS = 600
"""Half of them in one hour, of two marks each: enough for bitmaps."""


async def _bytes_an_account(server: RedisServer, policy: str, folder: Path) -> float:
    loaded = everything(folder) if policy == "every kind" else load(shipped(policy))
    await fill(server.url, loaded, REQUESTS)
    with redis.Redis.from_url(server.url) as client:
        check(client, loaded)
        before = int(client.info("memory")["used_memory"])
        copy(client, ACCOUNTS)
        return (int(client.info("memory")["used_memory"]) - before) / (ACCOUNTS - 1)


@pytest.mark.parametrize("policy", ["default.yaml", "strict.yaml", "every kind"])
async def test_a_full_account_stays_below_16_kb(policy: str, tmp_path: Path) -> None:
    with redis_server() as server:
        assert await _bytes_an_account(server, policy, tmp_path) < 16_000
