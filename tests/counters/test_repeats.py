"""What comes the second time is known, and next to nothing else."""

from __future__ import annotations

from proxy.counters.repeats import Repeats


def test_the_second_time_is_again() -> None:
    repeats = Repeats()
    assert [repeats.again(thing) for thing in "abacb"] == [False, False, True, False, True]


def test_it_is_known_for_as_long_as_so_many_others_come() -> None:
    repeats = Repeats(most=100)
    repeats.again("first")
    for number in range(100):
        repeats.again(f"thing-{number}")
    assert repeats.again("first")
    for number in range(300):
        repeats.again(f"other-{number}")
    assert not repeats.again("first")


def test_hardly_anything_new_looks_known() -> None:
    repeats = Repeats()
    wrongly = sum(repeats.again(f"template:tpl_{number:016x}") for number in range(200_000))
    assert wrongly < 1000
