"""Accounts with a turn in one round are tied to its pace; clocks, people and bursts are not."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from proxy.facts import Facts
from proxy.rules.shared_pace import OFF, SharedPace, gap_of, pace_of

from .linked import shown, things, tied

RULE = SharedPace(name="r")
DAY = 86_400.0


def coming(who: str, gap: Callable[[], float], days: float = 2.0) -> list[tuple[float, Facts]]:
    t, came = 0.0, []
    while t < days * DAY:
        came.append((t, shown(who)))
        t += gap()
    return came


async def test_a_turn_in_one_round_ties_to_its_pace() -> None:
    """Twenty-six a day, each moved by chance within a seventh of the gap."""
    paces: list[set[str]] = []
    for number in range(8):
        chance = random.Random(number)
        gap = DAY / 26
        came = [(gap * (at + 0.15 * chance.random()), shown(f"a{number}")) for at in range(52)]
        ties = await tied(RULE, came)
        assert not any(ties[:9])
        assert sum(map(bool, ties[12:])) > 30
        paces.append(things(tie for one in ties for tie in one))
    assert set.intersection(*paces), "one pace for all"
    (tie,) = next(one for one in ties if one)
    assert (tie.family, tie.by_end_users, tie.thing) == ("volume", False, tie.thing)
    assert tie.thing.startswith("pace:")


@pytest.mark.parametrize("every", [300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0])
async def test_clocks_tie_nobody(every: float) -> None:
    chance = random.Random(1)
    exact = coming("a", lambda: every)
    waits = coming("b", lambda: every + 2 + chance.expovariate(1 / 4))
    assert not any(await tied(RULE, exact))
    assert sum(map(bool, await tied(RULE, waits))) == 0


@pytest.mark.parametrize("per_day", [8, 26, 60, 140])
async def test_people_and_arrivals_by_chance_tie_nobody(per_day: int) -> None:
    for seed in range(20):
        chance = random.Random(seed)
        came = coming("a", lambda: chance.expovariate(per_day / DAY), 7.0)  # noqa: B023 -- used at once
        assert not any(await tied(RULE, came))


async def test_sittings_with_pauses_tie_nobody() -> None:
    chance = random.Random(3)
    came = coming("a", lambda: chance.choice([12.0, 20.0, 40.0, 31.0, 25.0, 3_300.0]))
    assert not any(await tied(RULE, came))


async def test_an_even_pace_is_forgotten_when_it_ends() -> None:
    even = [(3_323.0 * at, shown("a")) for at in range(20)]
    after = [(even[-1][0] + 8 * DAY + 977.0 * at, shown("a")) for at in range(4)]
    ties = await tied(RULE, [*even, *after])
    assert any(ties[:20])
    assert not any(ties[20:])


async def test_who_has_no_pace_leaves_nothing_in_the_store() -> None:
    """An account in conversation costs its last time and no more."""
    rule = SharedPace(name="r")
    chat = [(5.0 * at, shown("a")) for at in range(50)]
    assert not any(await tied(rule, chat))


def test_gaps_have_names() -> None:
    assert gap_of(0.0) is None
    assert (gap_of(20.0), gap_of(30_000.0)) == (OFF, OFF)
    assert gap_of(3_600.0) is None
    assert gap_of(3_323.0) == gap_of(3_500.0) == "13"


def test_a_pace_needs_most_of_the_gaps() -> None:
    assert pace_of({"13": 8.0}, 8) == 13
    assert pace_of({"13": 5.0, "12": 4.0}, 8) == 13
    assert pace_of({"13": 5.0, "10": 4.0}, 8) is None
    assert pace_of({"13": 8.0, OFF: 4.0}, 8) is None
    assert pace_of({OFF: 20.0}, 8) is None
    assert pace_of({"13": 3.0}, 8) is None
