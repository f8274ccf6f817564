"""Suspicion: levels add up over rules, a block needs two families, and shadow stays apart."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.decision import Family, Verb
from proxy.policy.suspicion import Standing, Suspicion, found, standing

FAMILIES: dict[str, Family] = {
    "loud": "volume",
    "louder": "volume",
    "wide": "content",
    "cloud": "network",
}


def stood(**levels: float) -> Standing:
    named = {name.replace("shadow_", "~"): level for name, level in levels.items()}
    return standing("account", "account:acme", named, FAMILIES)


def suspicion(*thresholds: Any) -> Suspicion:
    return Suspicion.model_validate({"thresholds": list(thresholds)})


def test_levels_of_all_rules_add_up_and_families_count_once() -> None:
    one = stood(loud=10.0, louder=5.0, wide=25.5)
    assert (one.level, one.families) == (40.5, ("content", "volume"))


def test_a_level_that_has_faded_is_no_family_any_more() -> None:
    assert stood(loud=1.0, wide=0.99).families == ("volume",)


def test_rules_that_are_gone_weigh_nothing() -> None:
    assert stood(removed=50.0, loud=1.0).level == 1.0


def test_shadow_levels_stay_apart() -> None:
    one = stood(loud=10.0, shadow_wide=30.0)
    assert (one.level, one.families) == (10.0, ("volume",))
    assert (one.level_with_shadow, one.families_with_shadow) == (40.0, ("content", "volume"))


def test_every_threshold_that_is_reached_is_found() -> None:
    policy = suspicion(
        {"at": 10, "action": "log"},
        {"at": 20, "action": {"delay": {"at_most": "2s"}}},
        {"at": 20.6, "action": "throttle"},
    )
    at_20 = found(policy, stood(loud=20.0), watching=False)
    assert [one.verb for one in at_20] == [Verb.LOG, Verb.DELAY]
    assert at_20[1].delay_s == 0.5, "a quarter of it at first"
    assert at_20[0].finding.evidence == {
        "subject": "account",
        "suspicion": 20.0,
        "at": 10.0,
        "families": "volume",
    }


@pytest.mark.parametrize(
    ("levels", "blocked"),
    [
        ({"loud": 500.0, "louder": 500.0}, False),
        ({"loud": 99.5, "wide": 0.9}, False),
        ({"loud": 99.0, "wide": 1.0}, True),
        ({"loud": 60.0, "wide": 39.0}, False),
    ],
)
def test_one_family_alone_never_blocks(levels: dict[str, float], blocked: bool) -> None:
    policy = suspicion({"at": 100, "action": {"block": {"for": "24h"}}})
    findings = found(policy, stood(**levels), watching=False)
    assert [(one.verb, one.ban_s, one.subject) for one in findings] == (
        [(Verb.BLOCK, 86_400.0, "account:acme")] if blocked else []
    )


def test_a_score_that_has_just_begun_to_fade_still_reaches_its_own_height() -> None:
    policy = suspicion({"at": 40, "action": "log"})
    assert found(policy, stood(loud=39.5), watching=False)
    assert not found(policy, stood(loud=39.4), watching=False)


def test_a_delay_that_ends_in_a_block_needs_two_families_too() -> None:
    policy = suspicion({"at": 5, "action": {"delay": {"at_most": "1s", "then": "block"}}})
    assert found(policy, stood(loud=50.0), watching=False) == []
    assert found(policy, stood(loud=50.0, wide=1.0), watching=False)


def test_what_only_shadow_reaches_is_found_in_shadow() -> None:
    policy = suspicion({"at": 30, "action": "throttle"})
    (one,) = found(policy, stood(loud=10.0, shadow_wide=25.0), watching=False)
    assert (one.shadow, one.finding.evidence["suspicion"]) == (True, 35.0)
    (enforced,) = found(policy, stood(loud=30.0, shadow_wide=25.0), watching=False)
    assert (enforced.shadow, enforced.finding.evidence["suspicion"]) == (False, 30.0)
    (watched,) = found(policy, stood(loud=30.0), watching=True)
    assert watched.shadow


def test_a_delay_rises_with_suspicion() -> None:
    policy = suspicion({"at": 40, "action": {"delay": {"at_most": "2s"}}})

    def delay(level: float, jitter: float = 1.0) -> float:
        (one,) = found(policy, stood(loud=level), watching=False, jitter=jitter)
        return one.delay_s

    assert [delay(level) for level in (39.6, 40.0, 50.0, 60.0, 900.0)] == [0.5, 0.5, 1.25, 2.0, 2.0]
    assert delay(50.0, 0.8) == pytest.approx(1.0)
    both = suspicion(
        {"at": 40, "action": {"delay": {"at_most": "2s"}}},
        {"at": 44, "action": {"delay": {"at_most": "8s"}}},
    )
    delays = [one.delay_s for one in found(both, stood(loud=44.0), watching=False)]
    assert delays == [2.0, 2.0], "no step down where the next threshold takes over"
