"""One limit, two processes, one Redis: together they are admitted the limit, not one more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.redis_servers import RedisServer

from .taker import BURST, TAKES


def test_two_processes_share_one_limit_exactly(shared_redis: RedisServer, subject: str) -> None:
    takers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.counters.taker", shared_redis.url, subject],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    for taker in takers:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("go\n")
        taker.stdin.flush()
    admitted = [int(taker.communicate(timeout=60)[0]) for taker in takers]
    assert sum(admitted) == BURST < 2 * TAKES
