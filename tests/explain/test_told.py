"""What an explanation says of each rule, of an event alone, and of shadow rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.client.accounts import Account
from proxy.decision import Degradation, Finding, RuleFinding, Verb
from proxy.explain.told import of_event, of_trace
from proxy.explain.would import findings_of, shadow
from tests.explain.test_flip import CRAWL, FEW, HOSTING, SUSPECTED, TEXTS, rules, suspected
from tests.explain.worlds import HOSTED, OPEN, Sent, last

LIMIT = "kind: rate_limit, per: api_key, limit: 9/minute, action: throttle"
VARIOUS = """
rules:
  - {name: of-pro, match: {tier: [pro, max]}, LIMIT}
  - {name: of-model, match: {model: small}, LIMIT}
  - {name: not-large, match: {stream: false, not: {model: large}}, LIMIT}
  - {name: there, match: {network: 10.0.0.0/8}, LIMIT}
  - {name: when, when: "ask.turns > 5", LIMIT}
  - {name: excused, excuse: rag, LIMIT}
  - {name: by-user, USERS}
  - {name: spared, LIMIT}
  - {name: counted, burst: 4, LIMIT}
exemptions:
  - {name: tests, match: {profile: rag}, rules: [spared], until: 2099-01-01, because: a test}
""".replace("LIMIT", LIMIT).replace("USERS", LIMIT.replace("api_key", "end_user"))


def rule_by_name(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["rule"]: one for one in said["rules"]}


def test_each_rule_says_why_it_was_not_about_a_request() -> None:
    rag = Account("acme", tier="free", profile="rag")
    told = rule_by_name(of_trace(last(OPEN + VARIOUS, [Sent(declared=rag)])))
    why = {name: one.get("why") for name, one in told.items()}
    assert why == {
        "of-pro": "match does not hold: tier: it is free, not pro or max",
        "of-model": "match does not hold: model: it is large, not small",
        "not-large": "match does not hold: not: its match holds (model: large)",
        "there": "match does not hold: network: it is 192.0.2.7, not 10.0.0.0/8",
        "when": "when does not hold: ask.turns > 5",
        "excused": "excused: the account has declared itself rag",
        "by-user": "found nobody to count: no end_user",
        "spared": "exempted by tests",
        "counted": None,
    }
    assert told["counted"]["read"] == ["3 of 4 requests at once left, 9 in 1m"]
    assert told["counted"]["bounds"] == {"limit": "9/minute", "burst": 4}
    assert told["counted"]["found"] is None


def test_a_fact_that_is_not_known_is_said_to_be() -> None:
    told = rule_by_name(of_trace(last(OPEN + VARIOUS, [Sent()])))
    assert told["of-pro"]["why"] == "match does not hold: tier: not known, wanted pro or max"


def test_rules_that_nobody_asked_say_so() -> None:
    keyless = "version: 1\nkeys: {missing: block}\nrules:\n" + FEW
    told = rule_by_name(of_trace(last(keyless, [Sent(key=None)])))
    assert told["few"]["why"] == "not asked: the request was refused before"
    bans = HOSTING.replace("action: block", "per: api_key\n    action: {block: {for: 2h}}")
    told = rule_by_name(of_trace(last(rules(bans, FEW), [Sent(address=HOSTED), Sent(t=1.0)])))
    assert told["few"]["why"] == "not asked: who is banned is judged no further"


def test_an_explanation_holds_no_prompt_and_no_key() -> None:
    sent = [Sent(text="a most secret recipe for amber soup", key="sk-very-secret-key")]
    said = json.dumps(of_trace(last(rules(FEW, CRAWL), sent)))
    assert "recipe" not in said
    assert "sk-very" not in said


def test_what_shadow_rules_would_have_done_together_and_each_alone() -> None:
    watched = FEW.replace("action: throttle", "action: {delay: {at_most: 20s}}, mode: shadow")
    hosted = HOSTING.replace("action: block", "action: block\n    mode: shadow")
    said = of_trace(last(rules(watched, hosted), [Sent()] * 3 + [Sent(address=HOSTED)]))
    assert said["shadow"]["all"]["decision"] == "block"
    assert said["shadow"]["alone"]["hosted"]["decision"] == "block"
    assert said["shadow"]["alone"]["few"] == {
        "decision": "delay",
        "delay_s": 10.0,
        "rule": "few",
        "reason": "rate_exceeded",
    }
    assert "shadow" not in of_trace(last(rules(FEW), [Sent()]))


def test_an_events_findings_are_those_that_were_made() -> None:
    watched = FEW.replace("few", "watched").replace(
        "throttle", "{degrade: [{pace: 20/second}]}, mode: shadow"
    )
    for trace in (
        last(rules(FEW, watched), [Sent()] * 4),
        last(rules(FEW), [Sent()] * 4),
        last(rules(SUSPECTED), suspected()),
    ):
        event = json.loads(json.dumps(trace.event))
        again = findings_of(event)
        assert shadow(again) == shadow(trace.findings)
        shown = [(one.rule, one.kind, one.shadow, one.verb, one.degradation) for one in again]
        assert shown == [
            (one.rule, one.kind, one.shadow, one.verb, one.degradation) for one in trace.findings
        ]


def test_degradations_survive_the_event() -> None:
    taken = Degradation(
        strip_logprobs=True, cap_output_tokens=64, lower_reasoning_effort="low", pace=20.0
    )
    item = {
        "rule": "r",
        "kind": "k",
        "reason": "w",
        "action": "degrade",
        "evidence": {},
        "degrade": list(taken.actions.values()),
    }
    (found,) = findings_of({"weighed": [item], "reason": "w"})
    assert found == RuleFinding(
        "r", "k", None, False, Verb.DEGRADE, Finding("w", {}), degradation=taken
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"weighed": [1, {"action": "?"}]}, "a"), ({"weighed": 3}, None), ({}, None)],
)
def test_a_log_of_another_make_gives_no_findings(given: dict[str, Any], reason: str | None) -> None:
    assert findings_of({**given, "reason": reason}) == ()


def told_of(policy: str, sent: list[Sent]) -> dict[str, Any]:
    """What the event of the last request alone tells, as a log has it."""
    event = json.loads(json.dumps(last(policy, sent).event))
    said = of_event(event)["flip"]
    assert isinstance(said, dict)
    return said


def test_an_event_alone_tells_when_a_limit_would_have_been_kept() -> None:
    said = told_of(rules(FEW), [Sent()] * 4)
    assert said["changes"] == ["10 s later"]
    assert said["then"] == {"decision": "allow"}


def test_an_event_alone_tells_of_shares_and_networks_and_suspicion() -> None:
    crawl = told_of(
        rules(CRAWL), [Sent(t=float(n), text=text) for n, text in enumerate(TEXTS[:10])]
    )
    assert crawl["changes"] == ["5 distinct prompts fewer among 10"]
    hosted = told_of(rules(HOSTING), [Sent(address=HOSTED)])
    assert hosted["changes"] == ["from an address whose network_kind is not hosting"]
    assert told_of(rules(SUSPECTED), suspected())["changes"] == [
        "with a suspicion below 69.5 and not 75.0"
    ]


def test_an_event_says_plainly_what_it_cannot_tell() -> None:
    policy = rules(
        '  - {name: odd, kind: expression, per: api_key, expr: "ask.turns == 1", action: throttle}\n'
    )
    said = told_of(policy, [Sent()])
    assert said["needs"][0]["ways"] == []
    assert "the event does not hold what odd would have needed" in said["cannot"]
    limited = of_event(
        {"decision": "throttle", "kind": "limit", "reason": "too_many", "request_id": "x"}
    )
    assert "the process itself: too_many" in limited["flip"]["cannot"]


def test_of_several_asks_an_event_does_not_claim_that_waiting_is_enough() -> None:
    said = told_of(rules(FEW), [Sent(path="/v1/completions", body={"prompt": TEXTS[:5]})])
    assert "cannot" in said
    assert said["needs"][0]["ways"] == []


def test_after_a_ban_or_a_gate_nobody_knows_what_the_rules_would_have_said() -> None:
    for policy, sent in (
        (
            rules(HOSTING.replace("action: block", "per: api_key\n    action: {block: {for: 2h}}")),
            [Sent(address=HOSTED), Sent(t=1.0)],
        ),
        ("version: 1\nkeys: {missing: block}\n", [Sent(key=None)]),
    ):
        for said in (of_trace(last(policy, sent))["flip"], told_of(policy, sent)):
            assert said["unjudged"] is True
            assert "then" not in said
