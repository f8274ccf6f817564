"""Accounts that walk one numbered list are tied to it; those that only write numbers are not."""

from __future__ import annotations

import random

import pytest

from proxy.counters.protocol import SEEN_MAX
from proxy.facts import Facts, Signals
from proxy.rules.shared_sequence import SharedSequence, falling
from proxy.signals.running import running_number

from .linked import shown, things, tied

RULE = SharedSequence(name="r")
Came = list[tuple[float, Facts]]


def rows(whos: list[str], numbers: list[int], name: str = "lst_a") -> Came:
    return [
        (60.0 * at, shown(who, signals=Signals(running=(name, number))))
        for at, (who, number) in enumerate(zip(whos, numbers, strict=True))
    ]


def round_robin(accounts: int, count: int) -> list[str]:
    return [f"a{at % accounts}" for at in range(count)]


async def test_a_list_dealt_out_over_accounts_ties_them_all() -> None:
    chance = random.Random(1)
    # Workers overtake each other by a row or two.
    numbers = [10_000 + 3 * at + chance.randint(-4, 4) for at in range(120)]
    ties = await tied(RULE, rows(round_robin(40, 120), numbers))
    assert not any(ties[: SEEN_MAX - 1])
    who = {tie.who for one in ties for tie in one}
    assert len(who) == 40
    assert things(tie for one in ties for tie in one) == {"list:lst_a"}
    (tie,) = ties[-1]
    assert (tie.family, tie.by_end_users) == ("content", True)


async def test_a_shuffled_list_and_customers_with_counters_of_their_own_do_not() -> None:
    chance = random.Random(2)
    numbers = list(range(10_000, 12_000))
    chance.shuffle(numbers)
    assert not any(await tied(RULE, rows(round_robin(40, 2_000), numbers)))
    counters = {who: chance.randint(1_000, 90_000) for who in round_robin(40, 40)}
    whos, own = [chance.choice(sorted(counters)) for _ in range(2_000)], []
    for who in whos:
        counters[who] += 1
        own.append(counters[who])
    assert not any(await tied(RULE, rows(whos, own)))


async def test_one_accounts_own_list_and_a_few_accounts_do_not() -> None:
    assert not any(await tied(RULE, rows(["a"] * 100, list(range(1_000, 1_100)))))
    assert not any(await tied(RULE, rows(round_robin(4, 100), list(range(1_000, 1_100)))))


async def test_a_class_with_one_exercise_shares_its_number_and_is_not_tied() -> None:
    exercise = rows(round_robin(30, 300), [417] * 300)
    assert not any(await tied(RULE, exercise))


async def test_an_app_that_writes_what_day_it_is_ties_nobody() -> None:
    for text in (
        "Today is 20251126. Plan my day",
        "In 2025 which films won?",
        "At 2025-11-26 10:31",
    ):
        assert running_number(text) is None
    days = rows(round_robin(30, 300), [20_000 + at // 100 for at in range(300)])
    assert not any(await tied(RULE, days))


async def test_keys_that_nobody_vouches_for_and_prompts_without_a_number_ask_nothing() -> None:
    made_up = [
        (at, shown("a", signals=Signals(running=("lst_a", 7)), unproven=True)) for at in range(3)
    ]
    assert not any(await tied(RULE, made_up))
    assert RULE.counters(shown("a"), "account:a") == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Problem 10432: integrate x squared", (b"problem", 10432)),
        ('{"id": "task-001043", "q": "why?"}', (b'{"id": "task-', 1043)),
        ("Write 1000 words on item #4711 of 20001", (b"write 0 words on item #", 4711)),
        ("What is 3.14159 times 2?", None),
        ("12345", None),
        ("order 1764118000123 is late", None),
        ("call 10.0.0.123 at 12:345", None),
        ("no number", None),
    ],
)
def test_which_number_is_a_place_in_a_list(text: str, found: tuple[bytes, int] | None) -> None:
    assert running_number(text) == found


def test_falling_counts_pairs_that_do_not_rise() -> None:
    assert [falling(rows) for rows in ([1, 2, 3], [3, 2, 1], [2, 2, 2], [1, 3, 2])] == [0, 3, 3, 1]


def test_chance_rises_so_seldom() -> None:
    """Orders of sixteen with at most MOST_FALLING falling pairs, of all (Mahonian numbers)."""
    counts = [1]
    for size in range(2, SEEN_MAX + 1):
        grown = [0] * (len(counts) + size - 1)
        for at, count in enumerate(counts):
            for more in range(size):
                grown[at + more] += count
        counts = grown
    assert sum(counts[:13]) / sum(counts) < 1e-6
