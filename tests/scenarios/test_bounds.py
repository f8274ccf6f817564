"""Bounds on numbers, as suites write them."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from proxy.scenarios.bounds import read_bound


@pytest.mark.parametrize(
    ("text", "holds", "does_not"),
    [
        (3, [3], [2, 4]),
        ("3", [3], [2, 4]),
        ("< 40", [0, 39.9], [40]),
        ("<=2s", [2], [2.001]),
        ("> 500ms", [0.6], [0.5]),
        (">= 90%", [0.9, 1], [0.89]),
        ("2 to 5", [2, 5], [1.9, 5.1]),
        ("10 to 20s", [10, 20], [9, 21]),
        ("1m to 2h", [60, 7200], [59, 7201]),
        ("0.5", [0.5], [0.4]),
    ],
)
def test_both_ends(text: object, holds: list[float], does_not: list[float]) -> None:
    bound = read_bound(text)
    assert all(map(bound.holds, holds))
    assert not any(map(bound.holds, does_not))


@pytest.mark.parametrize(
    "text", ["", "under 40", "< ", "<< 4", "-3", -3, True, None, "4 kg", "5 to"]
)
def test_what_is_no_bound(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        read_bound(text)


def test_some_bounds_hold_for_nothing_at_all() -> None:
    assert [read_bound(text).allows_none for text in (0, "< 3", "> 0", 1)] == [
        True,
        True,
        False,
        False,
    ]
