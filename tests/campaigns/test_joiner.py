"""The step that makes campaigns: one replica at a time, handed over on death, told to all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from proxy.campaigns.forgetting import forget_ties
from proxy.campaigns.joiner import EVERY_S, LEASE_S, SHARE, Aside, Joiner, at_once
from proxy.campaigns.members import Campaigns
from proxy.campaigns.naming import Named
from proxy.campaigns.report import AGAIN_S, TieReports, name_of, text_of, tie_of
from proxy.campaigns.ties import Tie
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Op, Store
from proxy.notices import Notices
from tests.counters.stores import StillClock, redis_store
from tests.redis_servers import RedisServer

from .test_joining import shares, tie

PEOPLE = "abcdef"


class Shared:
    """A store that several replicas share, and its clock."""

    def __init__(self, store: Store, clock: StillClock) -> None:
        self.store, self.clock = store, clock


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


class Replica:
    """What one process has of campaigns."""

    def __init__(self, shared: Shared, name: str, aside: Aside = at_once) -> None:
        self._shared = shared
        self._queue: list[Op] = []
        clock = shared.clock
        self.reports = TieReports(clock, self._queue.extend)
        self.board = Notices("campaigns", clock, self._queue.extend)
        self.verdicts = Notices("verdicts", clock, self._queue.extend)
        self.campaigns = Campaigns(self.board, self.verdicts, clock)
        self.joiner = Joiner(shared.store, clock, self.campaigns, name, aside=aside)

    async def report(self, ties: Iterable[Tie]) -> None:
        self.reports.report(tuple(ties))
        await self.flush()

    async def step(self) -> int:
        changed = await self.joiner.step()
        await self.flush()
        return changed

    async def learn(self) -> None:
        (read,) = await self._shared.store.apply((self.board.reading(),))
        self.board.learn(read)  # type: ignore[arg-type]

    async def flush(self) -> int:
        ops, self._queue[:] = tuple(self._queue), []
        if ops:
            await self._shared.store.apply(ops)
        return len(ops)


def lasting(ties: Iterable[Tie], clock: StillClock) -> list[Tie]:
    now = clock.now()
    return [tie(one.who.partition(":")[2], one.thing, at=now, ends=now + 86_400) for one in ties]


async def test_what_one_replica_is_told_another_joins_and_all_learn(shared: Shared) -> None:
    one, two = Replica(shared, "one"), Replica(shared, "two")
    await one.report(lasting(shares(PEOPLE, "template:t", "request_shape:r"), shared.clock))
    assert await two.step() == len(PEOPLE)
    await one.learn()
    campaign = one.campaigns.of("account:a")
    assert campaign is not None
    assert campaign.startswith("cmp_")
    assert [one.campaigns.of(f"account:{who}") for who in PEOPLE] == [campaign] * len(PEOPLE)
    assert one.campaigns.of("account:z") is None
    (member, *_) = one.campaigns.members(campaign)
    assert {reason.signal for reason in member.reasons} == {"template", "request_shape"}


async def test_who_is_forgotten_leaves_the_campaign(shared: Shared) -> None:
    one = Replica(shared, "one")
    await one.report(lasting(shares(PEOPLE, "template:t", "request_shape:r"), shared.clock))
    await one.step()
    assert await forget_ties(shared.store, "account:a", remove=False) == 3
    assert await one.step() == 0
    assert await forget_ties(shared.store, "account:a", remove=True) == 3
    shared.clock.advance(1.0)
    await one.step()
    await one.learn()
    assert one.joiner.book.ties_of("account:a") == ()
    assert set(one.campaigns.names()) == {f"account:{who}" for who in PEOPLE[1:]}
    two = Replica(shared, "two")
    await two.learn()
    assert set(two.campaigns.names()) == {f"account:{who}" for who in PEOPLE[1:]}


async def test_only_one_joins_until_it_is_gone(shared: Shared) -> None:
    one, two = Replica(shared, "one"), Replica(shared, "two")
    await one.step()
    await two.step()
    assert (one.joiner.leads, two.joiner.leads) == (True, False)


async def test_who_has_joined_for_long_rests_and_keeps_the_lease(shared: Shared) -> None:
    if not isinstance(shared.store, MemoryStore):
        pytest.skip("Redis' own clock cannot be moved on")
    joins, took = [], 4.0

    async def aside(work: Callable[[], list[Named]]) -> list[Named]:
        joins.append(shared.clock.now())
        shared.clock.advance(took)
        return work()

    one, two = Replica(shared, "one", aside), Replica(shared, "two")
    await one.report(lasting(shares(PEOPLE, "template:t", "request_shape:r"), shared.clock))
    await one.step()
    await one.report(lasting(shares("g", "template:t", "request_shape:r"), shared.clock))
    while len(joins) < 2:
        shared.clock.advance(EVERY_S)
        await one.step()
        await two.step()
        assert (one.joiner.leads, two.joiner.leads) == (True, False)
    assert joins[1] - joins[0] >= took * SHARE > LEASE_S
    assert one.campaigns.of("account:g") == one.campaigns.of("account:a")


async def test_who_follows_reads_what_still_stands(shared: Shared) -> None:
    if not isinstance(shared.store, MemoryStore):
        pytest.skip("Redis' own clock cannot be moved on")
    one, two = Replica(shared, "one"), Replica(shared, "two")
    await one.report(lasting(shares(PEOPLE, "template:t", "request_shape:r"), shared.clock))
    await one.step()
    name = one.campaigns.of("account:a")
    shared.clock.advance(LEASE_S + 1)
    await two.learn()
    await two.report(lasting(shares("g", "template:t", "request_shape:r"), shared.clock))
    await two.step()
    assert (two.joiner.leads, two.campaigns.of("account:g")) == (True, name)
    await one.step()
    assert (one.joiner.leads, len(one.joiner.book)) == (False, 0)


async def test_nothing_new_is_no_work(shared: Shared) -> None:
    one = Replica(shared, "one")
    await one.report(lasting(shares(PEOPLE, "template:t", "request_shape:r"), shared.clock))
    assert await one.step() == len(PEOPLE)
    assert await one.step() == 0
    one.reports = TieReports(shared.clock, one._queue.extend)
    await one.report(lasting(shares("a", "template:t"), shared.clock))
    assert await one.step() == 0, "the same tie again changes nobody's place"


async def test_who_is_forgiven_is_joined_no_more(shared: Shared) -> None:
    one = Replica(shared, "one")
    one.verdicts.put("account:a", 3600.0, "apart", "a class of students")
    await one.report(lasting(shares(PEOPLE, "template:t", "request_shape:r"), shared.clock))
    await one.step()
    assert one.campaigns.of("account:a") is None
    assert one.campaigns.of("account:b") is not None


async def test_a_known_customer_is_suspected_until_somebody_confirms_it(shared: Shared) -> None:
    one = Replica(shared, "one")
    now = shared.clock.now()
    ties = lasting(shares(PEOPLE, "template:t", "request_shape:r"), shared.clock)
    ties += [
        tie("known", thing, at=now, ends=now + 86_400, trusted=True)
        for thing in ("template:t", "request_shape:r")
    ]
    await one.report(ties)
    await one.step()
    assert one.campaigns.of("account:known") is None
    assert "account:known" in one.campaigns.names()
    one.verdicts.put("account:known", 3600.0, "confirmed", "their key was stolen")
    assert one.campaigns.of("account:known") == one.campaigns.of("account:a")


def test_a_tie_is_told_once_an_hour_and_not_without_end() -> None:
    clock, told = StillClock(), list[Op]()
    reports = TieReports(clock, told.extend, most=2)
    for _ in range(3):
        reports.report(lasting(shares("abc", "template:t"), clock))
    assert (len(told), reports.refused) == (2, 3)
    clock.advance(AGAIN_S)
    reports.report(lasting(shares("c", "template:t"), clock))
    assert len(told) == 3


def test_what_is_told_of_a_tie_is_what_was_tied() -> None:
    told = tie("a", "template:t", at=5.0, ends=50.0, trusted=True)
    assert tie_of(name_of(told), text_of(told), 50.0) == told


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[1,2,3,4,5]", '["x","none",true,1,false]', "nonsense"]
)
def test_what_is_not_of_our_making_ties_nobody(text: str) -> None:
    assert tie_of("account:a template:t", text, 1.0) is None
