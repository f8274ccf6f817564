"""How far off a finding is, held against what happens: so many more turn it, one less does not."""

from __future__ import annotations

from typing import Any

from proxy.explain.near import nearest
from tests.explain.test_flip import CRAWL, FEW, HOSTING, SUSPECTED, TEXTS, rules, suspected
from tests.explain.worlds import HOME, Sent, decision, last


def near(policy: str, sent: list[Sent]) -> dict[str, dict[str, Any]]:
    return {one["rule"]: one for one in nearest(last(policy, sent))}


def test_a_rate_is_told_by_what_is_left_of_its_burst() -> None:
    policy = rules(FEW.replace("burst: 3", "burst: 8"))
    sent = [Sent(), Sent()]
    told = near(policy, sent)["few"]
    assert told["would"] == "7 requests more at once"
    assert (told["action"], told["refuses"], told["used"]) == ("throttle", True, 0.25)
    assert decision(policy, sent + [Sent()] * 6) == "allow"
    assert decision(policy, sent + [Sent()] * 7) == "throttle"


def test_a_delay_that_refuses_beyond_its_longest_counts_what_it_would_hold_back() -> None:
    policy = rules(
        FEW.replace("action: throttle", "action: {delay: {at_most: 15s, then: throttle}}")
    )
    told = near(policy, [Sent()])["few"]
    assert told["would"] == "4 requests more at once"
    assert decision(policy, [Sent()] * 4) == "delay"
    assert decision(policy, [Sent()] * 5) == "throttle"


def test_a_crawl_is_told_how_many_more_new_prompts_it_takes() -> None:
    sent = [Sent(t=float(n), text=text) for n, text in enumerate(TEXTS[:4])]
    told = near(rules(CRAWL), sent)["crawl"]
    assert told["would"] == "6 requests more like this one in 1h"
    more = [Sent(t=float(n), text=text) for n, text in enumerate(TEXTS)]
    assert decision(rules(CRAWL), more[:9]) == "allow"
    assert decision(rules(CRAWL), more[:10]) == "block"


def test_what_refuses_comes_before_what_only_scores_or_is_watched() -> None:
    watched = FEW.replace("few", "watched").replace(
        "action: throttle", "action: throttle, mode: shadow"
    )
    found = nearest(last(rules(watched, FEW.replace("burst: 3", "burst: 9")), [Sent(), Sent()]))
    assert [(one["rule"], one["refuses"]) for one in found] == [("few", True), ("watched", False)]
    assert found[1]["used"] > found[0]["used"]
    assert found[1]["shadow"] is True


def test_suspicion_is_told_by_the_thresholds_ahead() -> None:
    policy = rules(SUSPECTED)
    told = nearest(last(policy, suspected()[:10]))
    by_at = [
        (one["rule"], one["would"], one["refuses"]) for one in told if one["rule"] == "suspicion"
    ]
    assert by_at == [
        ("suspicion", "a suspicion of 70 and not 30.0", True),
        ("suspicion", "a suspicion of 40 and not 30.0", False),
    ]


def test_what_counts_nothing_has_no_share() -> None:
    assert near(rules(HOSTING), [Sent(address=HOME)]) == {}
