"""What accounts have asked: counted by each replica, told of campaigns alone, added up for who asks."""

from __future__ import annotations

import pytest

from proxy.campaigns import totals
from proxy.campaigns.report import SUBJECT
from proxy.campaigns.totals import (
    KEEP_S,
    MOST_NAMES,
    MOST_SLOTS,
    OTHER,
    SLOT_S,
    TOTALS,
    Ledger,
    Spent,
    Totals,
    added,
    spent_of,
    summed,
    text_of,
)
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Op, Post
from proxy.facts import Ask, Client, Outcome, Usage
from proxy.outcome import enter
from tests.counters.stores import T0, StillClock

from .replicas import Replica, Shared, lasting
from .test_joining import shares

SERVED = Outcome(False, True, usage=Usage(output_tokens=100, reasoning_tokens=30))
REFUSED = Outcome(True, False)


def ledger(queue: list[Op], clock: StillClock | None = None, **given: int) -> Ledger:
    """One that tells of all but `account:honest…`."""
    campaign = "account:honest"
    return Ledger(
        clock or StillClock(),
        queue.extend,
        "one",
        lambda who: not who.startswith(campaign),
        **given,
    )


def told(queue: list[Op]) -> dict[str, Spent]:
    posts = [one for one in queue if isinstance(one, Post)]
    return summed({one.name.partition(" ")[0]: [one.text] for one in posts})


def test_what_an_account_has_asked_is_counted_and_read_back_the_same() -> None:
    queue: list[Op] = []
    clock = StillClock()
    book = ledger(queue, clock)
    book.note("account:a", "large", "tpl_1", SERVED)
    clock.advance(SLOT_S)
    book.note("account:a", "large", None, SERVED)
    book.note("account:a", "small", "tpl_2", REFUSED)
    assert book.tell() == 1
    (spent,) = told(queue).values()
    assert (spent.requests, spent.refused) == (3, 1)
    assert (spent.output_tokens, spent.reasoning_tokens) == (200, 60)
    assert (spent.first, spent.last) == (T0, T0 + SLOT_S)
    assert spent.models == {"large": 2, "small": 1}
    assert spent.templates == {"tpl_1": 1, "tpl_2": 1}
    at = int(T0 // SLOT_S)
    assert spent.slots == {at: [1, 100], at + 1: [2, 100]}


def test_only_accounts_of_campaigns_are_told_and_only_what_is_new() -> None:
    queue: list[Op] = []
    book = ledger(queue)
    book.note("account:honest", "large", None, SERVED)
    book.note("account:a", "large", None, SERVED)
    assert book.tell() == 1
    assert list(told(queue)) == ["account:a"]
    assert book.tell() == 0
    book.note("account:a", "large", None, SERVED)
    assert book.tell() == 1
    assert told(queue)["account:a"].requests == 2


def test_what_was_asked_before_an_account_was_joined_is_told_without_another_request() -> None:
    queue: list[Op] = []
    joined: set[str] = set()
    book = Ledger(StillClock(), queue.extend, "one", joined.__contains__)
    book.note("account:late", "large", None, SERVED)
    assert (book.tell(), queue) == (0, [])
    joined.add("account:late")
    assert book.tell() == 1


def test_a_flood_of_accounts_fills_no_memory() -> None:
    queue: list[Op] = []
    book = ledger(queue, most=100)
    book.note("account:old", "large", None, SERVED)
    for number in range(99):
        book.note(f"account:{number}", "large", None, SERVED)
    book.note("account:old", "large", None, SERVED)  # it has come lately
    for number in range(1000, 1050):
        book.note(f"account:{number}", "large", None, SERVED)
    assert len(book) == 100
    assert book.tell() == 100
    assert told(queue)["account:old"].requests == 2
    assert "account:0" not in told(queue)


def test_an_account_that_names_everything_fills_no_memory_either() -> None:
    queue: list[Op] = []
    clock = StillClock()
    book = ledger(queue, clock)
    for number in range(200):
        book.note("account:a", f"model-{number}", f"tpl_{number}", SERVED)
        clock.advance(SLOT_S)
    book.tell()
    spent = told(queue)["account:a"]
    assert len(spent.models) == len(spent.templates) == MOST_NAMES + 1
    assert spent.models[OTHER] == 200 - MOST_NAMES
    assert len(spent.slots) == MOST_SLOTS
    assert max(spent.slots) == int((T0 + 199 * SLOT_S) // SLOT_S)
    assert spent.requests == 200
    (post,) = (one for one in queue if isinstance(one, Post))
    assert len(post.text) < 2048


def test_no_more_is_told_at_once_than_the_queue_to_the_store_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(totals, "AT_ONCE", 10)
    monkeypatch.setattr(totals, "MOST_TOLD", 20)
    queue: list[Op] = []
    book = ledger(queue)
    for number in range(35):
        book.note(f"account:{number}", "large", None, SERVED)
    assert [book.tell() for _ in range(3)] == [20, 15, 0]


async def test_replicas_totals_are_added_up_and_replaced_by_later_ones(shared: Shared) -> None:
    one, two = Replica(shared, "one"), Replica(shared, "two")
    await one.report(lasting(shares("abcde", "template:t", "request_shape:r"), shared.clock))
    await one.step()
    await two.learn()
    reader, now = Totals(shared.store), shared.clock.now()
    for times, replica in ((2, one), (3, two), (1, one)):
        for _ in range(times):
            replica.ledger.note("account:a", "large", "tpl_1", SERVED)
            replica.ledger.note("account:nobody", "large", "tpl_1", SERVED)
        replica.ledger.tell()
        await replica.flush()
        await reader.read(["account:a"], now)
    totals = summed(await reader.read(["account:a", "account:b"], now))
    assert {who: spent.requests for who, spent in totals.items()} == {"account:a": 6}
    assert totals["account:a"].output_tokens == 600
    assert await reader.read(["account:nobody"], now) == {}
    assert summed(await Totals(shared.store).read(["account:a"], now)) == totals


async def test_thousands_of_totals_are_read_page_by_page(shared: Shared) -> None:
    posts = [
        Post(SUBJECT, TOTALS, f"account:{number} one", text_of(Spent(requests=number)), KEEP_S)
        for number in range(2500)
    ]
    for at in range(0, 2500, 250):  # as they are settled
        await shared.store.apply(posts[at : at + 250])
        shared.clock.advance(0.001)
    accounts = [f"account:{number}" for number in range(2500)]
    found = summed(await Totals(shared.store).read(accounts, shared.clock.now()))
    assert {who: spent.requests for who, spent in found.items()} == {
        f"account:{number}": number for number in range(2500)
    }


async def test_what_has_not_been_told_for_two_weeks_is_told_no_more() -> None:
    clock = StillClock()
    store = MemoryStore(clock=clock)
    queue: list[Op] = []
    book, reader = ledger(queue, clock), Totals(store)
    book.note("account:a", "large", None, SERVED)
    book.tell()
    await store.apply(queue)
    assert await reader.read(["account:a"], clock.now()) != {}
    clock.advance(KEEP_S + 1)
    assert await reader.read(["account:a"], clock.now()) == {}


async def test_a_store_that_has_begun_anew_is_read_from_its_beginning() -> None:
    clock = StillClock()
    reader = Totals(MemoryStore(clock=clock))
    await reader.read([], clock.now())
    behind = StillClock(T0 - 1000)
    reader._store = MemoryStore(clock=behind)
    await reader._store.apply([Post(SUBJECT, TOTALS, "account:a one", text_of(Spent(1)), KEEP_S)])
    assert list(await reader.read(["account:a"], clock.now())) == ["account:a"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[1]", "[1,2,3,4,5,6,7,8,9]", '["x",0,0,0,0,0,{},{},[]]']
)
def test_what_is_not_of_our_making_counts_as_nothing(text: str) -> None:
    assert spent_of(text) is None
    assert summed({"account:a": [text, text_of(Spent(requests=2))]})["account:a"].requests == 2


def test_all_of_a_campaign_is_the_sum_of_its_accounts() -> None:
    whole = added([Spent(requests=1, first=20.0, last=30.0), Spent(), Spent(2, first=10.0)])
    assert (whole.requests, whole.first, whole.last) == (3, 10.0, 30.0)


def test_keys_that_nobody_vouches_for_are_nobodys_accounts() -> None:
    queue: list[Op] = []
    book = ledger(queue)
    known = Client("192.0.2.1", "192.0.2.0/24", key_id="key_a", account="key_a")
    ask = Ask(model="a model\nof two lines")
    enter(book, None, ask, None, SERVED)
    enter(book, Client("192.0.2.1", "192.0.2.0/24"), ask, None, SERVED)
    enter(
        book,
        Client("192.0.2.1", "192.0.2.0/24", key_id="k", account="k", unproven=True),
        ask,
        None,
        SERVED,
    )
    assert len(book) == 0
    enter(book, known, None, None, REFUSED)
    enter(book, known, ask, None, SERVED)
    book.tell()
    assert told(queue)["account:key_a"].models == {"a%20model%0Aof%20two%20lines": 1}
