"""The step that makes campaigns: one replica at a time, handed over on death, told to all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.campaigns.forgetting import forget_ties
from proxy.campaigns.joiner import EVERY_S, LEASE_S, SHARE
from proxy.campaigns.members import membership
from proxy.campaigns.naming import Named
from proxy.campaigns.report import AGAIN_S, TieReports, name_of, text_of, tie_of
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Op
from tests.counters.stores import StillClock

from .replicas import Replica, Shared, lasting
from .test_joining import shares, tie

PEOPLE = "abcdef"


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
    (member, *_) = map(membership, one.campaigns.standing())
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


async def test_a_membership_that_lasts_is_told_anew_each_day_and_no_oftener(shared: Shared) -> None:
    if not isinstance(shared.store, MemoryStore):
        pytest.skip("Redis' own clock cannot be moved on")
    one, told = Replica(shared, "one"), []
    for _ in range(60):  # hours
        await one.report(
            [
                tie(who, thing, at=shared.clock.now(), ends=shared.clock.now() + 7 * 86_400)
                for who in PEOPLE
                for thing in ("template:t", "request_shape:r")
            ]
        )
        told.append(await one.step())
        shared.clock.advance(3601)
    assert [hour for hour, changed in enumerate(told) if changed] == [0, 24, 48]
    (member, *_) = map(membership, one.campaigns.standing())
    assert {reason.seen for reason in member.reasons} == {shared.clock.now() - 12 * 3601}
