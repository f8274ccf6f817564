"""Bans and allowances: looked up in memory, shared over the store, ended by time."""

from __future__ import annotations

import pytest

from proxy import notices
from proxy.clock import SystemClock
from proxy.counters.protocol import Op, Posts, Store
from proxy.notices import Notices
from tests.counters.stores import memory_store


class Moved(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0

    def now(self) -> float:
        return self.at


class Replica:
    """One replica's board on a store that several share."""

    def __init__(self, store: Store, clock: Moved) -> None:
        self._store, self._clock = store, clock
        self.unsent: list[Op] = []
        self.heard: list[tuple[str, bool]] = []
        self.board = Notices(
            "bans",
            clock,
            self.unsent.extend,
            lambda _, n, stands: self.heard.append((n.subject, stands)),
        )

    async def meet(self) -> None:
        """Send what is unsent, and read what has changed."""
        if self.unsent:
            await self._store.apply(self.unsent, self._clock.now())
            self.unsent.clear()
        (read,) = await self._store.apply([self.board.reading()], self._clock.now())
        assert isinstance(read, Posts)
        self.board.learn(read)


def subjects(replica: Replica) -> list[str]:
    return [notice.subject for notice in replica.board.all()]


async def test_a_ban_reaches_every_replica_and_so_does_its_end() -> None:
    clock, memory = Moved(), memory_store()
    one, other = Replica(memory, clock), Replica(memory, clock)
    one.board.put("account:acme", 60.0, "operator", "abuse")
    assert (subjects(one), subjects(other)) == (["account:acme"], [])
    await one.meet()
    await other.meet()
    found = other.board.of("account:acme")
    assert found is not None
    assert (found.by, found.because, found.ends) == ("operator", "abuse", clock.at + 60)
    assert other.board.lift("account:acme") is not None
    await other.meet()
    await one.meet()
    assert (subjects(one), subjects(other)) == ([], [])
    # Each is told once, by the replica that did it.
    assert (one.heard, other.heard) == ([("account:acme", True)], [("account:acme", False)])


async def test_a_ban_ends_by_itself() -> None:
    clock, memory = Moved(), memory_store()
    replica = Replica(memory, clock)
    replica.board.put("account:acme", 60.0, "rule", "why")
    clock.at += 59.9
    assert replica.board.of("account:acme") is not None
    clock.at += 0.2
    assert replica.board.of("account:acme") is None
    assert replica.board.lift("account:acme") is None
    assert subjects(replica) == []


async def test_a_newcomer_learns_all_that_stands() -> None:
    clock, memory = Moved(), memory_store()
    first = Replica(memory, clock)
    for number in range(5):
        first.board.put(f"account:a{number}", 600.0 - number, "rule", "why")
    await first.meet()
    clock.at += 100
    newcomer = Replica(memory, clock)
    await newcomer.meet()
    assert subjects(newcomer) == [f"account:a{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    "text", ["{}", "[1]", '["x","y","z"]', "[1e300,1,1]", "nonsense", "[null,1,1]"]
)
def test_what_is_not_ours_in_the_store_is_left_alone(text: str) -> None:
    board = Notices("bans", Moved(), list)
    board.learn(Posts((("account:acme", text, 1_800_000_000.0),), 1.0))
    assert board.all() == []


def test_a_full_board_takes_no_more_until_some_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MAX_NOTICES", 2)
    clock = Moved()
    board = Notices("bans", clock, list)
    assert board.put("account:a", 10.0, "r", "w")
    assert board.put("account:b", 100.0, "r", "w")
    assert board.put("account:c", 10.0, "r", "w") is None
    assert board.put("account:b", 200.0, "r", "longer")
    assert board.refused == 1
    clock.at += 11
    assert board.put("account:c", 10.0, "r", "w")


def test_another_servers_clock_lets_the_board_be_read_from_its_beginning() -> None:
    board = Notices("bans", Moved(), list)
    board.learn(Posts((), 1_700_000_100.0))
    assert board.reading().since == 1_700_000_100.0
    board.learn(Posts((), 1_600_000_000.0))
    assert board.reading().since == 0.0
