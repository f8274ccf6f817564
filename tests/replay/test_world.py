"""A world in virtual time: what happens when, and in which order, without anybody sleeping."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from proxy.client.accounts import load_accounts
from proxy.client.secret import Secret
from proxy.replay.order import Refusals
from proxy.replay.result import told
from proxy.replay.world import World
from tests.replay.traffic import line, policy, records, replayed, words

PACED = "rules: [{name: pace, kind: rate_limit, per: api_key, limit: 1/minute, burst: 1, action: throttle}]"
HELD = """
rules: [{name: pace, kind: rate_limit, per: api_key, limit: 6/minute, burst: 1,
         action: {delay: {at_most: 30s, then: throttle}}}]
"""


def test_a_limit_counts_virtual_seconds(tmp_path: Path) -> None:
    lines = [line(t) for t in (0, 59, 60.5, 61, 120.6)]
    assert words(replayed(tmp_path, lines, PACED)) == [
        "allow",
        "throttle",
        "allow",
        "throttle",
        "allow",
    ]


def test_a_week_passes_in_no_time(tmp_path: Path) -> None:
    lines = [line(3600.0 * hour, response={"duration": 1800}) for hour in range(168)]
    started = time.monotonic()
    assert set(words(replayed(tmp_path, lines, PACED))) == {"allow"}
    assert time.monotonic() - started < 30


def test_a_held_request_goes_on_later_and_is_told_in_its_place(tmp_path: Path) -> None:
    results = replayed(tmp_path, [line(t) for t in (0, 0, 0, 1, 50)], HELD)
    assert words(results) == ["allow", "delay", "delay", "delay", "allow"]
    assert [round(result.delay_s, 3) for result in results] == [0, 10, 20, 29, 0]
    assert [result.record.number for result in results] == [0, 1, 2, 3, 4]


def test_results_wait_for_those_before_them_and_no_longer(tmp_path: Path) -> None:
    world = World(policy(HELD))
    given = records(tmp_path, [line(0), line(0), line(1, key="sk-two"), line(11, key="sk-three")])
    assert [len(world.feed(record)) for record in given] == [1, 0, 0, 3]
    assert world.finish() == []


def test_lanes_are_bounded_as_live(tmp_path: Path) -> None:
    text = HELD.replace("30s", "60s").replace("6/minute", "60/minute")
    results = replayed(tmp_path, [line(0) for _ in range(11)], text)
    assert words(results) == ["allow", *["delay"] * 8, "throttle", "throttle"]
    assert results[9].decision.reason == "delay_lanes_full"


def test_slots_are_held_as_long_as_answers_last(tmp_path: Path) -> None:
    text = "rules: [{name: slots, kind: concurrency, per: api_key, slots: 1, action: throttle}]"
    long = {"duration": 500.0}
    lines = [line(0, response=long), line(499), line(500.5, response=long), line(501)]
    assert words(replayed(tmp_path, lines, text)) == ["allow", "throttle", "allow", "throttle"]


def test_tokens_are_settled_when_an_answer_has_ended(tmp_path: Path) -> None:
    text = """rules: [{name: budget, kind: token_budget, per: api_key, tokens: output,
                       limits: [1000/day], action: throttle}]"""
    few = {"output_tokens": 10, "duration": 100.0}
    asked = {"max_tokens": 900}
    lines = [
        line(0, body=asked, response=few),
        line(50, body=asked, response=few),  # 900 are reserved until the first has ended
        line(101, body=asked, response=few),
    ]
    assert words(replayed(tmp_path, lines, text)) == ["allow", "throttle", "allow"]


def test_a_key_is_proven_once_the_upstream_has_accepted_it(tmp_path: Path) -> None:
    text = f"keys: {{missing: block, unknown: provisional}}\n{PACED}"
    unaccepted = {"status": 401, "output_tokens": 0}
    lines = [
        line(0, key="sk-one", response={"duration": 5.0}),
        line(1, key="sk-two"),  # both count by their address until then
        line(100, key="sk-one"),
        line(101, key="sk-three", response=unaccepted),
        line(102, key="sk-four"),
        line(103, key=None),
    ]
    results = replayed(tmp_path, lines, text)
    assert words(results) == ["allow", "throttle", "allow", "allow", "throttle", "block"]
    assert results[5].rules == ["keys"]


def test_what_answers_a_refusal_happens_only_then(tmp_path: Path) -> None:
    lines = [
        line(0),
        line(1, if_refused=0),  # 0 was served
        line(2, if_refused=1),  # 1 did not happen: it was not refused
        line(3),
        line(4, if_refused=3),  # 3 was throttled, and so is this
        line(5, key="sk-other", if_refused=4),  # somebody else's key tries the same
        line(6, if_refused=5),
    ]
    results = replayed(tmp_path, lines, PACED)
    assert words(results) == [
        "allow",
        "skipped",
        "skipped",
        "throttle",
        "throttle",
        "allow",
        "skipped",
    ]
    assert told(results[1]) == {
        "i": 1,
        "decision": "skipped",
        "delay_s": 0.0,
        "output_tokens": 0,
        "rules": [],
        "shadow": [],
        "campaign": None,
        "ban": False,
    }


def test_a_request_that_is_still_held_was_not_refused(tmp_path: Path) -> None:
    lines = [line(0), line(0), line(5, if_refused=1), line(6)]
    assert words(replayed(tmp_path, lines, HELD)) == ["allow", "delay", "skipped", "delay"]


def test_a_ban_is_told_where_it_begins_and_where_it_holds(tmp_path: Path) -> None:
    text = PACED.replace("action: throttle", "action: {block: {for: 10m}}")
    results = replayed(tmp_path, [line(t) for t in (0, 1, 300, 602)], text)
    assert words(results) == ["allow", "block", "block", "allow"]
    assert [result.ban for result in results] == [False, True, True, False]


def test_shadow_rules_are_told_apart(tmp_path: Path) -> None:
    text = PACED.replace("action: throttle", "action: throttle, mode: shadow")
    results = replayed(tmp_path, [line(0), line(1)], text)
    assert words(results) == ["allow", "allow"]
    assert [(result.rules, result.shadow) for result in results] == [([], []), ([], ["pace"])]


def test_what_is_declared_counts_for_its_key_alone(tmp_path: Path) -> None:
    text = """rules: [{name: free-only, kind: rate_limit, per: account, limit: 1/hour, burst: 1,
                       action: throttle, match: {tier: free}}]"""
    declared = {"account": "acme", "tier": "free"}
    lines = [
        line(0, declared=declared),
        line(1, key="sk-two", declared=declared),  # the same account by another key
        line(2, key="sk-three"),
        line(3, key="sk-three"),
        line(4),  # a key is remembered with what was declared of it
        line(5, key="sk-three", declared=declared),
    ]
    assert words(replayed(tmp_path, lines, text)) == [
        "allow",
        "throttle",
        "allow",
        "allow",
        "throttle",
        "throttle",
    ]


def test_an_accounts_file_comes_before_what_is_declared(tmp_path: Path) -> None:
    secret = Secret(b"0123456789abcdef")
    file = tmp_path / "accounts.yaml"
    key_id = secret.key_id(b"sk-one")
    file.write_text(f"version: 1\naccounts: [{{account: acme, tier: pro, keys: [{key_id}]}}]\n")
    text = PACED.replace("action:", "match: {tier: pro}, action:")
    lines = [
        line(0, declared={"account": "x", "tier": "free"}),
        line(1),
        line(1, key="sk-2"),
        line(1, key="sk-2"),
    ]
    given = {"accounts": load_accounts(file), "secret": secret}
    assert words(replayed(tmp_path, lines, text, **given)) == [
        "allow",
        "throttle",
        "allow",
        "allow",
    ]


def test_nobody_who_judges_sees_the_truth(tmp_path: Path) -> None:
    lines = [line(float(t), f"question {t}", key=f"sk-{t % 7}") for t in range(80)]
    lied = [
        one | {"label": "harvest", "account": "other", "campaign": "c", "population": "crawl"}
        for one in lines
    ]
    text = """
rules:
  - {name: pace, kind: rate_limit, per: account, limit: 3/minute, burst: 2, action: throttle}
  - {name: wide, kind: prompt_diversity, per: account, window: 1h, min_requests: 10,
     max_distinct_ratio: 0.5, score: 40}
"""
    mine, others = replayed(tmp_path, lines, text), replayed(tmp_path, lied, text)
    assert [told(one) for one in mine] == [told(one) for one in others]
    assert len(set(words(mine))) > 1


@pytest.mark.parametrize(
    ("action", "asked", "tokens", "delay"),
    [
        ("{cap_output_tokens: 200}", {}, 200, 0.0),
        ("{cut_after: 150}", {}, 150, 0.0),
        ("{cut_after: 150}", {"stream": True}, 150, 0.0),
        ("hide_reasoning", {}, 700, 0.0),
        ("single_choice", {"n": 4}, 250, 0.0),
        ("{pace: 50/second}", {"stream": True}, 1000, 10.0),
        ("{pace: 20/second}", {}, 1000, 30.0),  # a plain reply is held back no longer than this
        ("strip_logprobs", {}, 1000, 0.0),
    ],
)
def test_a_degraded_answer_lets_less_through(
    tmp_path: Path, action: str, asked: dict[str, object], tokens: int, delay: float
) -> None:
    text = f"""rules: [{{name: less, kind: rate_limit, per: api_key, limit: 1/hour, burst: 1,
                         action: {{degrade: [{action}]}}}}]"""
    made = {"output_tokens": 1000, "reasoning_tokens": 300, "duration": 10.0}
    lines = [line(0), line(1, body=asked, response=made)]
    first, second = replayed(tmp_path, lines, text)
    assert (first.word, first.output_tokens) == ("allow", 100)
    assert (second.word, second.output_tokens, second.delay_s) == ("degrade", tokens, delay)


def test_a_refused_head_and_an_uploaded_file_are_judged_as_live(tmp_path: Path) -> None:
    asked = '{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":%s}'
    body = asked % '{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    form = (
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n'
        f"{body}\n{body}\r\n--b--\r\n"
    )
    headers = [["Host", "x"], ["Authorization", "Bearer sk-one"]]
    sends = [*headers, ["Content-Type", "multipart/form-data; boundary=b"]]
    lines = [
        line(0, path="/v1/files", headers=sends, body=form),
        line(1, path="/v1//chat/completions"),
    ]
    results = replayed(tmp_path, lines, PACED)
    assert words(results) == ["throttle", "block"]  # two requests in one file, where one may come
    assert results[1].reason == "malformed_request"


def test_two_worlds_with_one_seed_agree_and_two_seeds_draw_anew(tmp_path: Path) -> None:
    text = """
rules: [{name: wide, kind: rate_limit, per: api_key, limit: 1/hour, burst: 1, score: 50, action: log}]
suspicion: {subjects: [account], thresholds: [{at: 40, action: {delay: {at_most: 10s, then: allow}}}]}
"""
    lines = [line(float(t)) for t in range(0, 600, 20)]
    delays = [
        [result.delay_s for result in replayed(tmp_path, lines, text, seed=seed)]
        for seed in (0, 0, 1)
    ]
    assert delays[0] == delays[1]
    assert delays[0] != delays[2]
    assert max(delays[0]) > 0


def test_counters_are_bounded_and_it_is_said(tmp_path: Path) -> None:
    world = World(policy(PACED), counters=10)
    given = records(tmp_path, [line(float(t), key=f"sk-{t}") for t in range(50)])
    assert len(list(world.run(given))) == 50
    assert world.counters_lost == 40


def test_which_lines_were_refused_is_remembered_within_a_bound() -> None:
    refusals = Refusals(64)
    for number in (1, 3, 70):
        refusals.note(number)
    assert [number for number in range(80) if refusals.holds(number)] == [70]
    refusals.note(100)
    assert [number for number in range(120) if refusals.holds(number)] == [70, 100]
    refusals.note(1000)
    assert [number for number in range(1100) if refusals.holds(number)] == [1000]
