"""Readings of the last seconds: told again for a while, and never after they were taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.counters import recent
from proxy.counters.protocol import Different, Distinct, ReadScore, Scores, Seen, Sighting, undo
from proxy.counters.recent import RECENT_S, SIGHTING_S, Recent

T0 = 1_700_000_000.0
OP = Distinct("api_key:a", "resold:1:subnets", 86_400.0, 7, 41)


def noted(op: Distinct = OP) -> Recent:
    made = Recent()
    made.note(op, Different(3, T0, None), T0)
    return made


def test_a_reading_is_told_again_until_it_is_old() -> None:
    made = noted()
    again = made.reading(OP, T0 + RECENT_S - 0.001)
    assert again is not None
    assert again.distinct == 3
    assert made.reading(OP, T0 + RECENT_S) is None
    assert made.reading(OP, T0 - 0.001) is None, "a clock that went back tells nothing"


def test_what_was_told_again_is_not_taken_back() -> None:
    again = noted().reading(OP, T0 + 1)
    assert again is not None
    assert undo(OP, again) is None
    assert undo(OP, Different(3, T0, None)) is not None


@pytest.mark.parametrize(
    "other",
    [
        Distinct("api_key:b", OP.key, OP.window, OP.item, OP.most),
        Distinct(OP.subject, "resold:1:asns", OP.window, OP.item, OP.most),
        Distinct(OP.subject, OP.key, OP.window, 8, OP.most),
    ],
)
def test_every_counter_and_item_stands_for_itself(other: Distinct) -> None:
    assert noted().reading(other, T0) is None


def test_short_windows_are_always_asked() -> None:
    short = Distinct(OP.subject, OP.key, 60.0, OP.item, OP.most)
    assert noted(short).reading(short, T0) is None


def test_dropped_readings_are_asked_again() -> None:
    made = noted()
    made.drop(OP)
    made.drop(OP)
    assert made.reading(OP, T0) is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 10)
    made = Recent()
    for item in range(25):
        made.note(Distinct("a", "k", 86_400.0, item), Different(1, T0, None), T0)
    assert len(made._told) <= 10


SEEN = Seen("template:tpl_1", "frame:1", 0, "account:a", 86_400.0)
SHOWN = Sighting(("account:b", "account:a"))


def test_who_showed_a_thing_is_told_again_until_it_is_old() -> None:
    made = Recent()
    made.remember(SEEN, SHOWN, T0)
    assert made.recall(SEEN, T0 + SIGHTING_S - 0.001) == SHOWN
    assert made.recall(SEEN, T0 + SIGHTING_S) is None
    assert made.recall(replace(SEEN, who="account:c"), T0) is None, "another one has yet to show it"
    assert made.recall(replace(SEEN, subject="template:tpl_2"), T0) is None


def test_sightings_of_short_windows_are_always_asked_and_all_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "MOST_SIGHTINGS", 10)
    made = Recent()
    short = replace(SEEN, ttl=60.0)
    made.remember(short, SHOWN, T0)
    assert made.recall(short, T0) is None
    for number in range(25):
        made.remember(replace(SEEN, who=f"account:{number}"), SHOWN, T0)
    assert len(made._sightings) <= 10


def test_what_must_be_asked_each_time_is_not_told_again() -> None:
    made, op = Recent(), ReadScore("body:1", "echo:1", 60.0)
    made.remember(op, Scores({}), T0)
    assert made.recall(op, T0) is None
