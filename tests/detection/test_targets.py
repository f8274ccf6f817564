"""Bounds are exact, and a target is met only by numbers that meet it."""

from __future__ import annotations

from typing import Any

import pytest

from bench.detection.intervals import at_least, at_most, over_seeds
from bench.detection.targets import NO_CAMPAIGNS, Target, targets


def row(**more: Any) -> dict[str, Any]:
    return {
        "label": "benign",
        "accounts": 3000,
        "declared": 0,
        "refused_accounts": 0,
        "refused_beyond_limits": 0,
        "stopped_accounts": 0,
        "stopped_after_max": None,
        "delay_p99_s": 0.0,
        "tokens_through": 1.0,
        "through_tokens": 100,
        "input_tokens": 100,
        "links": None,
        **more,
    }


def told(name: str, *runs: dict[str, dict[str, Any]]) -> Target:
    return next(one for one in targets(list(runs)) if name in one.what)


def test_none_in_three_thousand_bounds_a_thousandth() -> None:
    assert at_most(0, 3000) == pytest.approx(1 - 0.05 ** (1 / 3000), rel=1e-6)
    assert at_most(0, 3000) == pytest.approx(3 / 3000, rel=0.01)


def test_bounds_hold_the_share_and_each_other() -> None:
    assert at_least(45, 50) < 0.9 < at_most(45, 50)
    assert at_most(5, 50) == pytest.approx(1 - at_least(45, 50))
    assert at_most(3, 10) == pytest.approx(0.6066, abs=1e-4)  # Clopper and Pearson's own table
    assert (at_most(0, 0), at_least(0, 5), at_most(5, 5)) == (1.0, 0.0, 1.0)


def test_an_interval_over_seeds_is_students() -> None:
    assert over_seeds([]) is None
    assert over_seeds([0.4]) == (0.4, 0.4, 0.4)
    assert over_seeds([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - 2.484, 2 + 2.484), abs=1e-3)


def test_one_wrongly_refused_account_misses() -> None:
    name = "anything but a plain limit"
    assert told(name, {"p": row()}).state == "met"
    assert told(name, {"p": row(refused_beyond_limits=1)}).state == "missed"
    assert told(name, {"p": row(accounts=2999)}).state == "not measured"
    assert told(name, {"p": row(refused_accounts=4)}).state == "met"


def test_declared_profiles_may_meet_no_refusal_at_all() -> None:
    assert told("declared", {"p": row(declared=5, accounts=5)}).state == "met"
    assert (
        told("declared", {"p": row(declared=5, accounts=5, refused_accounts=1)}).state == "missed"
    )


def test_the_slowest_population_is_the_one_that_counts() -> None:
    found = told("added delay", {"quick": row(), "slow": row(delay_p99_s=0.2)})
    assert found.state == "missed"
    assert found.found == "200 ms (slow)"


def test_loud_ones_must_all_be_refused_in_time() -> None:
    def state(**more: Any) -> str:
        return told("loud_key", {"loud_key": row(label="harvest", accounts=4, **more)}).state

    assert state(stopped_accounts=4, stopped_after_max=500) == "met"
    assert state(stopped_accounts=4, stopped_after_max=501) == "missed"
    assert state(stopped_accounts=3, stopped_after_max=10) == "missed"
    assert state() == "missed"


def test_a_hydra_is_judged_by_its_links_and_by_what_was_prevented() -> None:
    linked = {"members": 1900, "busy": 2000, "busy_linked_day_one": 1850, "tokens_before_link": 0.1}
    runs = {"hydra_2k_residential": row(label="harvest", tokens_through=0.15, links=linked)}
    assert [one.state for one in targets([runs])] == ["met", "met", "met"]
    linked = {**linked, "busy_linked_day_one": 1700, "tokens_before_link": 0.2}
    runs = {"hydra_2k_residential": row(label="harvest", tokens_through=0.3, links=linked)}
    assert [one.state for one in targets([runs])] == ["missed", "missed", "missed"]


def test_without_campaigns_that_is_said() -> None:
    runs = {"hydra_2k_residential": row(label="harvest")}
    assert [one.state for one in targets([runs])] == [NO_CAMPAIGNS, NO_CAMPAIGNS, "missed"]


def test_the_adaptive_ones_cost_is_told_against_the_naive_one() -> None:
    found = told(
        "sent per harvested token",
        {
            "hydra_2k_residential": row(label="harvest"),
            "hydra_adaptive": row(label="harvest", through_tokens=100, input_tokens=600),
        },
    )
    assert found.found == "2.00 times"
