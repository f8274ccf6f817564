"""What shadow rules add up to over a log, and when one may be put in force."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from proxy.client.accounts import Account
from proxy.explain import watched
from proxy.explain.promote import Enough, advice, told
from proxy.explain.watched import ShadowLog
from tests.explain.test_flip import FEW, HOSTING, SUSPECTED, rules, suspected
from tests.explain.worlds import HOSTED, Sent, traces

WATCHED = HOSTING.replace("action: block", "action: block\n    mode: shadow").replace(
    "rag]", "rag]"
)
ENOUGH = Enough(hits=6, accounts=3, days=7.0, declared=0.2)


def events(policy: str, sent: list[Sent]) -> list[dict[str, Any]]:
    """Events as a log has them."""
    found = json.loads(json.dumps([trace.event for trace in traces(policy, sent)]))
    for event in found:
        event["timestamp"] = datetime.fromtimestamp(event["timestamp"], UTC).isoformat()
    return found


def log_of(found: list[dict[str, Any]]) -> ShadowLog:
    log = ShadowLog(lambda event: event.get("account.profile"))
    for event in found:
        log.add(event)
    return log


def hosted(days: int, keys: int, profile: str | None = None, policy: str = WATCHED) -> ShadowLog:
    sent = [
        Sent(
            t=86_400.0 * day,
            key=f"sk-{key}",
            address=HOSTED,
            declared=Account(f"acme-{key}", tier="pro", profile=profile if key == 0 else None),
        )
        for day in range(days)
        for key in range(keys)
    ]
    return log_of(events(rules(policy), sent))


def test_enough_hits_accounts_and_days_promote() -> None:
    log = hosted(8, 3)
    rule = log.rules["hosted"]
    assert (rule.hits, rule.adds, rule.refuses) == (24, 24, 24)
    assert (dict(rule.verbs), dict(rule.tiers), dict(rule.as_it_was)) == (
        {"block": 24},
        {"pro": 24},
        {"allow": 24},
    )
    said = advice(log, rule, ENOUGH)
    assert said.promotes
    assert said.because == "24 hits on 3 accounts in 7.0 days; take `mode: shadow` from it"


def test_too_little_of_anything_is_not_enough_yet_and_says_how_much_there_is() -> None:
    for log, because in (
        (hosted(4, 3), "3.0 of 7 days"),
        (hosted(8, 2), "2 of 3 accounts"),
        (hosted(2, 1), "1.0 of 7 days, 2 of 6 hits, 1 of 3 accounts"),
    ):
        said = advice(log, log.rules["hosted"], ENOUGH)
        assert (said.verdict, said.because) == ("not enough yet", because)


def test_one_loud_account_is_no_evidence_about_the_others() -> None:
    log = hosted(8, 3)
    accounts = log.rules["hosted"].accounts
    accounts.clear()
    accounts.update({"acme-0": 22, "acme-1": 1, "acme-2": 1})
    said = advice(log, log.rules["hosted"], ENOUGH)
    assert (said.verdict, said.because) == (
        "not enough yet",
        "4 of 6 hits where no account counts for more than 2: 22 are of one",
    )


def test_hits_on_declared_accounts_speak_against_it_and_are_named() -> None:
    log = hosted(8, 4, profile="agent")
    rule = log.rules["hosted"]
    assert rule.share_declared == 0.25
    said = advice(log, rule, ENOUGH)
    assert said.verdict == "likely wrong"
    assert "25.0% of its hits (at most 20.0%)" in said.because
    assert "acme-0 (agent)" in said.because
    assert advice(log, rule, Enough(6, 3, 7.0, 0.25)).promotes


def test_what_enforced_rules_do_anyway_adds_nothing() -> None:
    twice = WATCHED.replace("name: hosted", "name: again") + HOSTING
    log = hosted(8, 3, policy=twice)
    rule = log.rules["again"]
    assert (rule.hits, rule.adds, rule.refuses) == (24, 0, 0)
    assert advice(log, rule, ENOUGH).verdict == "adds nothing"
    throttled = FEW.replace("burst: 3", "burst: 1").replace("limit: 6/minute", "limit: 1/day")
    log = hosted(8, 3, policy=WATCHED + throttled.replace("per: api_key", "per: address"))
    rule = log.rules["hosted"]
    # Where it was throttled anyway a block is more, and no new refusal.
    assert (rule.adds, rule.refuses) == (24, 8)


def test_a_threshold_of_suspicion_is_a_rule_of_its_own() -> None:
    shadow = SUSPECTED.replace("kinds: [hosting],", "kinds: [hosting], mode: shadow,")
    log = log_of(events(rules(shadow), suspected()))
    assert log.rules.keys() == {"hosted", "suspicion:account at 70"}
    assert dict(log.rules["suspicion:account at 70"].verbs) == {"throttle": 1}


def test_where_nothing_was_enforced_at_all_the_mode_is_what_to_change() -> None:
    sent = [
        Sent(t=86_400.0 * day, key=f"sk-{key}", address=HOSTED)
        for day in range(8)
        for key in range(3)
    ]
    log = log_of(events("mode: shadow\n" + rules(HOSTING), sent))
    said = advice(log, log.rules["hosted"], ENOUGH)
    assert said.promotes
    assert "end the process's or the policy's shadow mode" in said.because


def test_events_that_hold_names_alone_count_and_lead_to_nothing() -> None:
    found = events(
        rules(WATCHED), [Sent(t=86_400.0 * n, key=f"k{n}", address=HOSTED) for n in range(9)]
    )
    for event in found:
        del event["weighed"]
    log = log_of(found)
    rule = log.rules["hosted"]
    assert (rule.hits, dict(rule.verbs)) == (9, {"unknown": 9})
    said = advice(log, rule, ENOUGH)
    assert (said.verdict, said.because) == (
        "not enough yet",
        "these events do not say what it would have done",
    )


def test_memory_is_bounded_whatever_the_log(monkeypatch: Any) -> None:
    monkeypatch.setattr(watched, "MOST_NAMED", 10)
    (event,) = events(rules(WATCHED), [Sent(address=HOSTED)])
    log = ShadowLog(lambda _: None)
    for number in range(100):
        log.add({**event, "account": f"a{number}"})
        log.add({**event, "account": "loud"})
    rule = log.rules["hosted"]
    assert len(rule.accounts) <= 10
    assert rule.accounts.most_common(1) == [("loud", 100)]
    assert rule.accounts.lossy
    report = told(log, ENOUGH, 2)
    assert report["rules"][0]["accounts_at_least"] is True
    assert len(report["rules"][0]["most_hit"]) == 2
