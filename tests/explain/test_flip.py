"""
What would have changed a decision, held against what happens: each change that is told is made, the
requests are sent again through the real line, and the decision turns; with one step less it does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.client.accounts import Account
from proxy.explain.flip import flip
from tests.explain.worlds import HOME, HOSTED, OPEN, Sent, decision, last

FEW = (
    "  - {name: few, kind: rate_limit, per: api_key, limit: 6/minute, burst: 3, action: throttle}\n"
)
HOSTING = """
  - name: hosted
    kind: datacenter_ip
    kinds: [hosting]
    excuse: [batch, rag]
    action: block
    acknowledge_single_family: a test
"""
CRAWL = """
  - name: crawl
    kind: prompt_diversity
    per: api_key
    window: 1h
    min_requests: 10
    max_distinct_ratio: 0.5
    action: block
    acknowledge_single_family: a test
"""


WORDS = (
    "amber",
    "basil",
    "cedar",
    "daisy",
    "ember",
    "fennel",
    "ginger",
    "hazel",
    "iris",
    "jasmine",
    "kale",
)
TEXTS = [f"{word} {word}s grow in the garden of {word} {n}" for n, word in enumerate(WORDS)]


def rules(*texts: str) -> str:
    return OPEN + "rules:\n" + "".join(texts)


def flipped(policy: str, sent: list[Sent]) -> dict[str, Any]:
    said = flip(last(policy, sent))
    assert said is not None
    return said


def ways(said: dict[str, Any], at: int = 0) -> list[str]:
    return [" and ".join(way) for way in said["needs"][at]["ways"]]


def test_a_throttled_request_is_told_how_much_later_it_would_have_passed() -> None:
    sent = [Sent(t=0.7 * n) for n in range(4)]
    policy = rules(FEW)
    said = flipped(policy, sent)
    assert said["changes"] == ["7.9 s later"]
    assert said["then"] == {"decision": "allow"}
    *before, refused = sent
    assert decision(policy, [*before, replace(refused, t=refused.t + 7.9)]) == "allow"
    assert decision(policy, [*before, replace(refused, t=refused.t + 7.89)]) == "throttle"
    assert ways(said)[1:] == ["1 request fewer before it", "with a burst of 4 and not 3"]
    assert decision(policy, sent[1:]) == "allow"
    assert decision(policy.replace("burst: 3", "burst: 4"), sent) == "allow"


def test_who_needs_several_fewer_is_told_how_many() -> None:
    body = {"n": 3}
    sent = [Sent() for _ in range(2)] + [Sent(body=body)]
    policy = rules(FEW)
    said = flipped(policy, sent)
    assert "2 requests fewer before it" in ways(said)
    assert decision(policy, sent[2:]) == "allow"
    assert decision(policy, sent[1:]) == "throttle"


def test_beyond_what_a_delay_may_last_it_would_have_been_delayed_instead() -> None:
    delays = FEW.replace("action: throttle", "action: {delay: {at_most: 15s, then: throttle}}")
    sent = [Sent() for _ in range(5)]
    said = flipped(rules(delays), sent)
    assert said["changes"] == ["5 s later"]
    assert said["then"]["decision"] == "delay"
    assert said["then"]["delay_s"] == pytest.approx(15.0, abs=0.001)
    assert decision(rules(delays), [*sent[:-1], Sent(t=5.0)]) == "delay"


def test_a_crawl_is_told_how_many_prompts_would_have_had_to_be_the_same() -> None:
    sent = [Sent(t=float(n), text=text) for n, text in enumerate(TEXTS[:10])]
    said = flipped(rules(CRAWL), sent)
    told = ways(said)
    assert told[0] == "5 distinct prompts fewer among the 10 requests of 1h"
    assert told[1] == "1 request fewer in 1h"

    def repeating(count: int) -> list[Sent]:
        return [replace(one, text=TEXTS[9]) if n < count else one for n, one in enumerate(sent)]

    assert decision(rules(CRAWL), repeating(5)) == "allow"
    assert decision(rules(CRAWL), repeating(4)) == "block"
    assert decision(rules(CRAWL), sent[1:]) == "allow"


def test_another_network_or_a_declared_profile_would_have_passed() -> None:
    sent = [Sent(address=HOSTED)]
    policy = rules(HOSTING)
    said = flipped(policy, sent)
    assert ways(said) == [
        "from an address that the account has declared in `networks`",
        "from an address whose network is not hosting",
        "from an account that has declared itself batch or rag",
    ]
    assert decision(policy, [Sent(address=HOME)]) == "allow"
    declared = Account("acme", profile="batch")
    assert decision(policy, [Sent(address=HOSTED, declared=declared)]) == "allow"
    declared = Account("acme", profile="agent")
    assert decision(policy, [Sent(address=HOSTED, declared=declared)]) == "block"


def test_two_rules_that_refuse_must_both_be_satisfied() -> None:
    sent = [Sent() for _ in range(3)] + [Sent(address=HOSTED)]
    policy = rules(FEW, HOSTING)
    said = flipped(policy, sent)
    assert said["changes"] == [
        "10 s later",
        "from an address that the account has declared in `networks`",
    ]
    assert [one["rule"] for one in said["needs"]] == ["hosted", "few"]
    assert decision(policy, [*sent[:3], Sent(address=HOME, t=10.0)]) == "allow"
    assert decision(policy, [*sent[:3], Sent(address=HOSTED, t=10.0)]) == "block"
    assert decision(policy, [*sent[:3], Sent(address=HOME)]) == "throttle"
    without = {one["rule"]: one["then"] for one in said["without"]}
    assert without["hosted"]["decision"] == "throttle"
    assert without["few"] == {
        "decision": "block",
        "rule": "hosted",
        "reason": "network_kind_listed",
    }


def test_one_change_that_serves_two_rules_is_told_once() -> None:
    slow = FEW.replace("few", "slow").replace("limit: 6/minute", "limit: 2/minute")
    sent = [Sent() for _ in range(4)]
    said = flipped(rules(FEW, slow), sent)
    assert said["changes"] == ["30 s later"]
    assert decision(rules(FEW, slow), [*sent[:3], Sent(t=30.0)]) == "allow"
    assert decision(rules(FEW, slow), [*sent[:3], Sent(t=29.9)]) == "throttle"


SHARED = """
  - name: shared
    kind: reseller_key
    window: 1d
    counts: attempts
    max_subnets: 3
    max_system_prompts: 2
    min_exceeded: {exceeded}
    action: block
    acknowledge_single_family: a test
"""


def shared_key(subnets: int, systems: int) -> list[Sent]:
    sent = []
    for n in range(max(subnets, systems)):
        system = {
            "role": "system",
            "content": f"You are {'abcdefgh'[min(n, systems - 1)] * 9}, a bot.",
        }
        body = {"messages": [system, {"role": "user", "content": "And what is its height?"}]}
        sent.append(Sent(address=f"192.0.{min(n, subnets - 1) + 2}.1", body=body))
    return sent


def test_where_all_bounds_must_be_kept_the_changes_go_together() -> None:
    policy = rules(SHARED.format(exceeded=1))
    said = flipped(policy, shared_key(5, 5))
    assert set(said["needs"][0]["ways"][0]) == {
        "with no more than 3 different subnets in 1d",
        "with no more than 2 different system prompts in 1d",
    }
    assert decision(policy, shared_key(3, 2)) == "allow"
    assert decision(policy, shared_key(4, 2)) == "block"
    assert decision(policy, shared_key(3, 3)) == "block"


def test_where_one_bound_is_enough_each_is_told_alone() -> None:
    policy = rules(SHARED.format(exceeded=2))
    said = flipped(policy, shared_key(5, 5))
    assert ways(said) == [
        "with no more than 3 different subnets in 1d",
        "with no more than 2 different system prompts in 1d",
    ]
    assert decision(policy, shared_key(3, 5)) == "allow"
    assert decision(policy, shared_key(5, 2)) == "allow"


def test_who_probes_logits_would_have_passed_without_asking_for_them() -> None:
    policy = rules(
        "  - {name: probes, kind: logit_probing, per: account, max_bias_maps: 2, max_logprobs: 3,\n"
        "     counts: attempts, action: throttle}\n"
    )
    sent = [
        Sent(body={"logprobs": True, "logit_bias": {str(n): 1, str(n + 50): 1}}) for n in range(5)
    ]
    said = flipped(policy, sent)
    assert ways(said) == [
        "2 requests that probe fewer in 1d and with no more than 2 different maps in 1d"
    ]
    assert decision(policy, sent[3:]) == "allow"


def test_slots_that_are_held_would_have_had_to_be_fewer() -> None:
    policy = rules(
        "  - {name: once, kind: concurrency, per: api_key, slots: 2, action: throttle}\n"
    )
    sent = [Sent(duration=60.0), Sent(duration=60.0), Sent(t=1.0)]
    said = flipped(policy, sent)
    assert ways(said) == ["1 request fewer at the same time"]
    assert decision(policy, sent[1:]) == "allow"


SUSPECTED = """
  - {name: hosted, kind: datacenter_ip, kinds: [hosting], score: 30}
  - name: crawl
    kind: prompt_diversity
    per: account
    window: 1h
    min_requests: 10
    max_distinct_ratio: 0.5
    score: 45
suspicion:
  half_life: 6h
  thresholds:
    - {at: 40, action: log}
    - {at: 70, action: throttle}
"""


def suspected() -> list[Sent]:
    return [Sent(t=float(n), text=text, address=HOSTED) for n, text in enumerate(TEXTS[:11])]


def test_suspicion_is_told_by_what_it_is_made_of_and_when_it_has_faded() -> None:
    policy = rules(SUSPECTED)
    sent = suspected()
    said = flipped(policy, sent)
    told = ways(said)
    assert told[0] == "without what hosted (30.0) has found"
    assert told[1] == "without what crawl (45.0) has found"
    assert told[2] == "40m later, if nothing new is found meanwhile"
    assert said["then"]["decision"] == "log"
    assert decision(policy, [replace(one, address=HOME) for one in sent]) == "log"
    *before, refused = sent
    # Each finding stands at its own time, so what is told in whole minutes is right to the minute.
    assert decision(policy, [*before, replace(refused, t=10.0 + 40 * 60)]) == "log"
    assert decision(policy, [*before, replace(refused, t=10.0 + 39 * 60)]) == "throttle"


def test_a_ban_ends() -> None:
    bans = HOSTING.replace("action: block", "per: api_key\n    action: {block: {for: 2h}}")
    sent = [Sent(address=HOSTED), Sent(t=60.0)]
    said = flipped(rules(bans), sent)
    assert said["needs"][0]["ways"] == [
        ["after 2026-01-05T02:00:00Z, when the ban ends, or once it is lifted"]
    ]
    assert decision(rules(bans), [sent[0], Sent(t=7201.0)]) == "allow"
    assert decision(rules(bans), [sent[0], Sent(t=7199.0)]) == "block"


def test_a_gate_says_what_it_wants() -> None:
    policy = "version: 1\nkeys: {missing: block}\n"
    said = flipped(policy, [Sent(key=None)])
    assert said["changes"] == ["with a key that the policy's `keys` lets in"]
    assert decision("version: 1\nkeys: {missing: block, unknown: allow}\n", [Sent()]) == "allow"


def test_several_prompts_of_one_body_are_told_what_serves_all_of_them() -> None:
    delays = FEW.replace("action: throttle", "action: {delay: {at_most: 60s, then: throttle}}")

    def asking(prompts: int, t: float = 0.0) -> list[Sent]:
        body = {"prompt": TEXTS[:prompts]}
        return [Sent(), Sent(), Sent(t=t, path="/v1/completions", body=body)]

    said = flipped(rules(delays), asking(3))
    assert said["changes"] == ["20 s later"]
    assert said["then"] == {"decision": "allow"}
    assert decision(rules(delays), asking(3, t=20.0)) == "allow"
    assert decision(rules(delays), asking(3, t=19.9)) == "delay"
    # Four never come at once without waiting.
    said = flipped(rules(delays), asking(4))
    assert "changes" not in said
    assert "not known of few" in said["cannot"]


def test_of_several_prompts_those_behind_a_refused_one_are_not_known() -> None:
    body = {"prompt": TEXTS[:5]}
    said = flipped(rules(FEW), [Sent(path="/v1/completions", body=body)])
    assert "changes" not in said
    assert "its body asks 5 times" in said["cannot"]


def test_several_prompts_from_a_rented_server_would_have_passed_from_elsewhere() -> None:
    degraded = HOSTING.replace("action: block", "action: {degrade: [strip_logprobs]}")
    sent = [Sent(path="/v1/completions", body={"prompt": TEXTS[:3]}, address=HOSTED)]
    said = flipped(rules(degraded), sent)
    assert "from an address whose network is not hosting" in ways(said)
    assert decision(rules(degraded), [replace(sent[0], address=HOME)]) == "allow"


def test_who_asks_for_more_at_once_than_there_ever_is_is_told_how_many_would_do() -> None:
    sent = [Sent(), Sent(body={"n": 40})]
    said = flipped(rules(FEW), sent)
    assert said["changes"] == ["asking for no more than 2 at once and not 40"]
    assert decision(rules(FEW), [Sent(), Sent(body={"n": 2})]) == "allow"
    assert decision(rules(FEW), [Sent(), Sent(body={"n": 3})]) == "throttle"


def test_a_limit_of_the_process_is_no_rules() -> None:
    said = flipped(OPEN, [Sent(agent="a\x00b")])
    assert said["needs"] == []
    assert "the process itself" in said["cannot"]


def test_what_passed_as_it_came_needs_no_change() -> None:
    assert flip(last(rules(FEW), [Sent()])) is None
    watched = rules(HOSTING.replace("action: block", "action: block\n    mode: shadow"))
    assert flip(last(watched, [Sent(address=HOSTED)])) is None
