"""The scoreboard's arithmetic, on decisions made by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.detection.scoreboard import Board, quantile, score

PLAIN = frozenset({"shape"})
DAY = 86_400.0


def line(t: float, account: str = "a", tokens: int = 100, **more: Any) -> dict[str, Any]:
    return {
        "t": t,
        "population": "p",
        "label": "harvest",
        "account": account,
        "response": {"output_tokens": tokens, "input_tokens": 10},
        **more,
    }


def decided(word: str, tokens: int = 0, **more: Any) -> dict[str, Any]:
    given = {"delay_s": 0.0, "rules": [], "shadow": [], "campaign": None, "ban": False}
    return {"decision": word, "output_tokens": tokens, **given, **more}


def board(*rows: tuple[dict[str, Any], dict[str, Any]], until: float = 7 * DAY) -> Board:
    said = [json.dumps(one).encode() for one, _ in rows]
    judged = [json.dumps({"i": number, **one}).encode() for number, (_, one) in enumerate(rows)]
    return score(said, judged, PLAIN, until)


def row(*rows: tuple[dict[str, Any], dict[str, Any]], until: float = 7 * DAY) -> dict[str, Any]:
    found: dict[str, Any] = board(*rows, until=until).told()["populations"]["p"]
    return found


def test_shares_of_decisions_count_what_has_happened() -> None:
    found = row(
        (line(0), decided("allow", 100)),
        (line(1), decided("log", 100)),
        (line(2), decided("delay", 100, delay_s=2.0)),
        (line(3), decided("degrade", 50)),
        (line(4), decided("throttle", rules=["shape"])),
        (line(5, if_refused=4), decided("block", rules=["gate"])),
        (line(6, if_refused=5), decided("skipped")),
        (line(7), decided("allow", 100)),
    )
    assert found["requests"] == 7
    assert found["accounts"] == 1
    shares = {word: found[word] for word in ("allow", "delay", "degrade", "throttle", "block")}
    assert shares == pytest.approx(
        {"allow": 3 / 7, "delay": 1 / 7, "degrade": 1 / 7, "throttle": 1 / 7, "block": 1 / 7}
    )


def test_a_retry_asks_for_nothing_new() -> None:
    found = row(
        (line(0, tokens=100), decided("throttle", rules=["shape"])),
        (line(1, tokens=100, if_refused=0), decided("allow", 100)),
    )
    assert found["asked_tokens"] == 100
    assert found["tokens_through"] == 1.0


def test_tokens_before_end_with_the_accounts_own_first_enforced_action() -> None:
    found = row(
        (line(0, "a"), decided("allow", 100)),
        (line(10, "a"), decided("delay", 100, delay_s=1.0)),
        (line(20, "a"), decided("allow", 100)),
        (line(20, "b"), decided("allow", 100)),
    )
    assert found["tokens_before"] == pytest.approx(200 / 400)
    assert found["tokens_through"] == 1.0
    assert found["acted_accounts"] == 1
    assert (found["acted_p50_s"], found["acted_p90_s"]) == (10, 10)


def test_log_is_no_enforced_action() -> None:
    found = row((line(0), decided("log", 100)), (line(1), decided("allow", 100)))
    assert found["acted_accounts"] == 0
    assert found["tokens_before"] == 1.0


def test_what_is_refused_beyond_plain_limits_is_told_apart() -> None:
    found = row(
        (line(0, "limited"), decided("throttle", rules=["shape", "from-datacenter"])),
        (line(1, "suspected"), decided("throttle", rules=["shape", "suspicion"])),
        (line(2, "gated"), decided("block", rules=["uninspectable"])),
        (line(3, "free"), decided("allow", 100)),
    )
    assert found["refused_accounts"] == 3
    assert found["refused_beyond_limits"] == 2
    assert found["refusing_rules"] == {
        "from-datacenter": 1,
        "shape": 2,
        "suspicion": 1,
        "uninspectable": 1,
    }


def test_delays_are_of_what_was_let_through() -> None:
    rows = [(line(at), decided("allow", 1)) for at in range(98)]
    rows += [
        (line(98), decided("delay", 1, delay_s=3.0)),
        (line(99), decided("delay", 1, delay_s=4.0)),
        (line(100), decided("throttle", delay_s=9.0, rules=["shape"])),
    ]
    found = row(*rows)
    assert found["delay_p50_s"] == 0
    assert found["delay_p99_s"] == 3.0


def test_stopped_after_counts_the_requests_before_the_first_refusal() -> None:
    rows = [(line(at, "a"), decided("allow", 1)) for at in range(5)]
    rows += [(line(6, "a"), decided("throttle")), (line(7, "b"), decided("throttle"))]
    found = row(*rows)
    assert (found["stopped_after_p50"], found["stopped_after_max"]) == (0, 5)


def test_links_are_of_the_campaigns_that_are_mostly_its_own() -> None:
    rows = []
    for account in ("a", "b", "c"):
        rows += [(line(at, account), decided("allow", 100)) for at in range(8)]
    rows += [
        (line(100, "a"), decided("allow", 100, campaign="cmp_one")),
        (line(100, "b"), decided("allow", 100, campaign="cmp_two")),
        (line(100, "c"), decided("allow", 100, campaign="cmp_app")),
        (line(2 * DAY, "c"), decided("allow", 100, campaign="cmp_one")),
        (line(2 * DAY, "d"), decided("allow", 100)),
    ]
    people = {"population": "app", "label": "benign"}
    rows += [(line(200, who, **people), decided("allow", 100, campaign="cmp_app")) for who in "xyz"]
    rows += [(line(200, "w", **people), decided("allow", 100, campaign="cmp_one"))]
    told = board(*rows).told()
    assert told["populations"]["p"]["links"] == {
        "campaigns": 2,
        "members": 3,
        "elsewhere": 0,
        "largest": 2,
        "busy": 3,
        "busy_linked_day_one": 2,
        "tokens_before_link": pytest.approx(2500 / 2900),
    }
    links = told["populations"]["app"]["links"]
    assert (links["campaigns"], links["members"], links["elsewhere"]) == (1, 3, 1)
    assert told["campaigns"] == {"harvest": 3, "benign": 1}


def test_without_campaigns_there_are_no_links() -> None:
    assert row((line(0), decided("allow", 1)))["links"] is None


def test_the_curve_sums_to_what_was_let_through() -> None:
    found = row(
        (line(0), decided("allow", 60)),
        (line(6.9 * DAY), decided("allow", 40)),
        (line(7 * DAY), decided("allow", 5)),
    )
    assert sum(found["curve_through"]) == 105
    assert found["curve_through"][0] == 60
    assert found["curve_through"][-1] == 45


def test_files_that_do_not_belong_together_are_refused() -> None:
    said = [json.dumps(line(0)).encode()] * 2
    judged = [json.dumps({"i": 0, **decided("allow")}).encode()]
    with pytest.raises(ValueError, match="zip"):
        score(said, judged, PLAIN, DAY)
    with pytest.raises(ValueError, match="is of line 5"):
        score(said[:1], [json.dumps({"i": 5, **decided("allow")}).encode()], PLAIN, DAY)


def test_quantiles_are_nearest_ranks() -> None:
    assert quantile([], 0.5) is None
    assert quantile([1, 2, 3, 4], 0.5) == 2
    assert quantile([1, 2, 3, 4], 0.9) == 4
    assert quantile(list(range(1, 101)), 0.99) == 99
