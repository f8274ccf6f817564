"""rate_limit: what it counts, and what it makes of the readings. Realistic traffic both ways."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Take, Taken
from proxy.decision import Finding
from proxy.rules.rate_limit import RateLimit
from tests.policy.facts import facts

T0 = 1_700_000_000.0


def rule(**fields: Any) -> RateLimit:
    given = {"per": "api_key", "limit": "60/minute", "action": "throttle", **fields}
    return RateLimit.model_validate({"name": "few", **given})


async def after(one: RateLimit, times: list[float]) -> list[Finding | None]:
    """What the rule finds about requests of one key at these seconds."""
    store = MemoryStore(clock=SystemClock())
    found = []
    for at in times:
        ops = one.counters(facts(), "api_key:a")
        found.append(one.judge(facts(), await store.apply(ops, T0 + at)))
    return found


def test_it_takes_one_from_the_subjects_budget() -> None:
    (take,) = rule(burst=7).counters(facts(), "api_key:a")
    assert take == Take("api_key:a", rule(burst=7).key, 60, 60.0, 7, 1, 0.0)


def test_without_a_burst_a_tenth_may_come_at_once() -> None:
    for limit, burst in (("60/minute", 6), ("5/minute", 1), ("600/minute", 60)):
        (take,) = rule(limit=limit).counters(facts(), "s")
        assert isinstance(take, Take)
        assert take.burst == burst


def test_only_a_delay_may_wait() -> None:
    (take,) = rule(action={"delay": {"at_most": "3s", "then": "block"}}).counters(facts(), "s")
    assert isinstance(take, Take)
    assert take.max_wait == 3.0


@pytest.mark.parametrize(
    ("by", "client", "amount"),
    [
        ("tier", {"tier": "pro"}, 600),
        ("tier", {"tier": "unheard-of"}, 60),
        ("tier", {"tier": None}, 60),
        ("account", {"account": "pro"}, 600),
    ],
)
def test_tiers_choose_the_rate(by: str, client: dict[str, Any], amount: int) -> None:
    one = rule(limit={"by": by, "pro": "600/minute", "else": "60/minute"})
    (take,) = one.counters(facts(**client), "s")
    assert isinstance(take, Take)
    assert take.amount == amount
    assert not one.needs_body


def test_each_tier_has_counters_of_its_own() -> None:
    one = rule(limit={"by": "profile", "eval": "600/minute", "else": "60/minute"})
    keys = {one.counters(facts(profile=profile), "s")[0].key for profile in ("eval", "rag", None)}
    assert keys == {one.key, f"{one.key}:eval"}


def test_a_limit_by_model_waits_for_the_body() -> None:
    one = rule(limit={"by": "model", "large": "1/minute", "else": "60/minute"})
    assert one.needs_body
    (take,) = one.counters(facts("large"), "s")
    assert isinstance(take, Take)
    assert take.amount == 1


def test_a_refusal_says_when_to_come_back() -> None:
    finding = rule().judge(
        facts(), [Taken(admitted=False, wait_s=0, retry_after_s=0.876, remaining=0)]
    )
    assert finding is not None
    assert finding.retry_after_s == 0.876
    assert finding.evidence == {"limit": "60/minute", "retry_after_s": 0.876}


def test_a_wait_is_told_as_one() -> None:
    finding = rule().judge(
        facts(), [Taken(admitted=True, wait_s=0.5, retry_after_s=0, remaining=0)]
    )
    assert finding is not None
    assert (finding.wait_s, finding.retry_after_s) == (0.5, None)
    assert finding.evidence == {"limit": "60/minute", "wait_s": 0.5}


async def test_a_person_in_a_chat_is_never_found() -> None:
    # A turn every eight seconds, now and then two at once from an app that also asks for a title.
    times = sorted(
        [8.0 * turn for turn in range(60)] + [8.0 * turn + 0.2 for turn in range(0, 60, 5)]
    )
    assert set(await after(rule(limit="20/minute", burst=4), times)) == {None}


async def test_a_product_at_its_limit_is_never_found() -> None:
    assert set(await after(rule(limit="60/minute", burst=1), [float(at) for at in range(600)])) == {
        None
    }


async def test_a_harvester_gets_its_limit_and_not_one_request_more() -> None:
    found = await after(rule(limit="60/minute", burst=6), [at / 50 for at in range(50 * 60)])
    assert found.count(None) == 60 + 6 - 1
