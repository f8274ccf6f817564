"""
Callers, keys, programs, templates and prompts invented without end: what Redis keeps of them is bounded.

At the shipped bounds this is measured: `python -m bench.flood`. Here bounds are small, the rest is real.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.background import Background
from proxy.counters.bounds import SubjectBounds
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import NOVEL_BITS, Op
from proxy.counters.resilient import ResilientStore
from proxy.facts import Facts, Outcome, Signals
from proxy.judge import Judge
from proxy.judgement import Judgement
from proxy.notices import Notices
from proxy.policy.load import load
from proxy.policy.shipped import shipped
from tests.policy.facts import facts
from tests.redis_servers import RedisServer, redis_server
from tests.support.campaigns import no_campaigns

from .stores import StillClock, redis_store

SUBJECTS, SUBNETS = 96, 24


def invented(number: int) -> Facts:
    """A request of somebody whom nobody has seen, in nothing like any other."""
    key = f"key_{number:016d}"
    seen = facts(
        address=f"198.{number >> 8 & 255}.{number & 255}.7",
        subnet=f"198.{number >> 8 & 255}.{number & 255}.0/24",
        key_id=key,
        account=key,
        account_source="key",
        network_kind="hosting",
        asn=64_496 + number,
        ja4=f"t13d{number:032x}",
        unproven=True,  # as every key is that nobody has seen
    )
    signals = Signals(
        prompt=(number * 7919 % NOVEL_BITS, number * 104_729 % NOVEL_BITS),
        system=f"sys_{number:016x}",
        template=f"tpl_{number:016x}",
        language=f"l{number}",
        client=f"client-{number}",
        chunks=(number * 6007 % NOVEL_BITS,),
    )
    return replace(seen, end_user=f"eu_{number:016d}", signals=signals, id=f"request-{number}")


class Line:
    """A judge as an App joins it, over a Redis of its own."""

    def __init__(self, server: RedisServer) -> None:
        clock = StillClock()
        self.settled: list[Op] = []
        self.local = MemoryStore(clock=clock)
        self.bounds = SubjectBounds(per_subnet=16, max_subnets=SUBNETS, max_subjects=SUBJECTS)
        self.store = ResilientStore(redis_store(server.url), self.local, clock, replicas=1)
        put = self.settled.extend
        boards = [Notices(name, clock, put) for name in ("bans", "allowances", "background")]
        self.judge = Judge(
            self.store,
            self.bounds,
            clock,
            put,
            put,
            boards[0],
            boards[1],
            Background(boards[2]),
            **no_campaigns(clock),
        )

    async def flood(self, policy_name: str, numbers: range) -> None:
        policy = load(shipped(policy_name))
        for number in numbers:
            judgement = Judgement(policy, shadow=False)
            await self.judge.judge(judgement, invented(number), "all")
            assert judgement.store == "ok"
            refused = judgement.decision.verb.refuses
            if refused:
                self.judge.take_back(judgement)
            self.judge.settle(judgement, Outcome(refused=refused, served=not refused))
            await self.store.apply(self.settled)
            self.settled.clear()


@pytest.mark.parametrize("policy", ["default.yaml", "strict.yaml"])
async def test_invented_callers_without_end_leave_no_more_keys_than_the_bounds_allow(
    policy: str,
) -> None:
    with redis_server() as server:
        line = Line(server)
        keys: list[int] = []
        used: list[int] = []
        for start in range(0, 1600, 400):
            await line.flood(policy, range(start, start + 400))
            with server.client() as client:
                keys.append(int(client.dbsize()))
                used.append(int(client.info("memory")["used_memory"]))
                assert all(client.pttl(key) > 0 for key in client.scan_iter()), "it never expires"
        await line.store.close()
    assert len(line.bounds) <= SUBJECTS
    # The first 400 fill every bound; the rest share what is there.
    assert keys[0] > SUBJECTS / 2, keys
    assert keys[-1] == keys[1], keys
    assert used[-1] - used[1] < 256 * 1024, used
