"""Expectations hold or do not; what a failure shows; which rules a test has shown both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli.drawn import drawn
from proxy.scenarios.coverage import coverage_of
from proxy.scenarios.run import run
from tests.scenarios.suites import loaded, outcomes

BURST = "- send: {key: sk-a, prompt: hi}\n      times: 10\n      every: 100ms"
"""Three pass, seven are throttled."""
CLOUD = "networks: [{network: 203.0.113.0/24, kind: hosting}]\n"


def suite(expect: str, burst: str = BURST, more: str = "") -> str:
    tests = f"tests:\n  - name: a test\n    steps:\n    {burst}\n      expect: {expect}\n"
    return f"policy: policy.yaml\n{more}{tests}"


@pytest.mark.parametrize(
    ("holds", "does_not"),
    [
        ("{up_to: 3, decision: allow}", "{up_to: 4, decision: allow}"),
        ("{after: 3, decision: throttle}", "{after: 2, decision: throttle}"),
        ("{within: 4, decision: throttle}", "{within: 3, decision: throttle}"),
        ("{within: 5, after: 3, decision: throttle}", "{within: 5, after: 3, decision: allow}"),
        ("{which: first, decision: allow}", "{which: first, decision: throttle}"),
        ("{which: last, decision: throttle}", "{which: last, decision: allow}"),
        ("{which: 4, decision: throttle}", "{which: 3, decision: throttle}"),
        ("{which: any, decision: throttle}", "{which: any, decision: block}"),
        ("{which: none, decision: block}", "{which: none, decision: throttle}"),
        ("{count: 3, decision: passed}", "{count: 3, decision: refused}"),
        ('{count: "> 5", decision: refused}', '{count: "> 7", decision: refused}'),
        ('{share: "70%", decision: refused}', '{share: "< 70%", decision: refused}'),
        ("{decision: [allow, throttle]}", "{decision: [allow, block]}"),
        ("{after: 3, rule: pace, kind: rate_limit}", "{after: 3, rule: cloud}"),
        ("{after: 3, reason: rate_exceeded}", "{after: 3, reason: banned}"),
        ("{after: 3, reason: rate_limited}", "{up_to: 3, reason: rate_limited}"),
        ("{after: 3, findings: pace}", "{after: 3, findings: [pace, cloud]}"),
        ("{up_to: 3, silent: all}", "{up_to: 4, silent: all}"),
        ("{silent: cloud}", "{silent: [cloud, pace]}"),
        ('{after: 3, retry_after: "<= 1s"}', '{after: 3, retry_after: "> 1s"}'),
        ("{after: 3, status: 429}", "{status: 429}"),
        ("{up_to: 3, output_tokens: 200}", "{output_tokens: 200}"),
        ("{ban: false, delay: 0}", "{which: any, ban: true}"),
        ("{suspicion: 0}", '{suspicion: "> 0"}'),
    ],
)
def test_an_expectation_holds_and_its_opposite_does_not(
    holds: str, does_not: str, tmp_path: Path
) -> None:
    (outcome,) = outcomes(tmp_path, suite(holds))
    assert outcome.failures == []
    assert outcome.requests == 10
    (outcome,) = outcomes(tmp_path, suite(does_not))
    assert len(outcome.failures) == 1


def test_shadow_suspicion_and_delays_are_told_apart_from_what_is_in_force(tmp_path: Path) -> None:
    burst = (
        "- send: {key: sk-{n}, from: 203.0.113.9, prompt: hi}\n      times: 8\n      every: 100ms"
    )
    burst = burst.replace("sk-{n}", '"sk-{n}"')
    expect = """
        - {which: last, shadow: watched, findings: cloud, decision: log, rule: cloud}
        - {which: none, findings: watched}
        - {which: none, shadow: cloud}
        - {suspicion: 0}
"""
    (outcome,) = outcomes(tmp_path, suite(expect, burst, CLOUD))
    assert outcome.failures == []
    assert outcome.fired == {"watched", "cloud"}
    burst = burst.replace('"sk-{n}"', "sk-a").replace("100ms", "2s")
    expect = '[{after: 1, decision: delay, rule: suspicion, suspicion: "29 to 30", delay: "200ms to 2s"}]'
    (outcome,) = outcomes(tmp_path, suite(expect, burst, CLOUD))
    assert outcome.failures == []


def test_exemptions_speak_until_their_day_is_over(tmp_path: Path) -> None:
    burst = BURST.replace("key: sk-a", "account: friend")
    accounts = "accounts: [{account: friend}]\n"
    text = suite("[{decision: allow, exempted_by: friends}]", burst, accounts)
    assert outcomes(tmp_path, text)[0].passed
    later = f"{text}    start: 2027-01-02\n"
    assert not outcomes(tmp_path, later)[0].passed


def test_nothing_to_look_at_is_a_failure_but_for_a_count(tmp_path: Path) -> None:
    (outcome,) = outcomes(
        tmp_path, suite("[{after: 10, decision: throttle}, {which: 11, status: 200}]")
    )
    assert [one.found for one in outcome.failures] == ["no request is there to look at"] * 2
    assert outcomes(tmp_path, suite("{after: 10, count: 0, decision: throttle}"))[0].passed


def test_a_failure_shows_the_decision_s_trace(tmp_path: Path) -> None:
    (outcome,) = outcomes(tmp_path, suite("{within: 2, decision: throttle, rule: pace}"))
    (failure,) = outcome.failures
    assert failure.where == "step 1"
    assert failure.expected == "at least one of the first 2: decision throttle, rule pace"
    assert failure.found == "true of 0 of 2 requests: 2 allow"
    assert failure.number == 2
    assert failure.told is not None
    tree = "\n".join(drawn(failure.told))
    assert "pace (rate_limit), per api_key: nothing found" in tree
    assert "read: 1 of 3 requests at once left, 60 in 1m" in tree
    assert "decision: allow" in tree


@pytest.mark.parametrize(
    ("expect", "number"),
    [
        ("{decision: allow}", 4),
        ("{which: none, decision: throttle}", 4),
        ("{which: any, decision: block}", 10),
        ("{which: 2, decision: throttle}", 2),
        ("{count: 0, decision: throttle}", 4),
        ('{count: "> 3", decision: allow}', 1),
    ],
)
def test_the_request_that_is_shown_tells_why(expect: str, number: int, tmp_path: Path) -> None:
    (outcome,) = outcomes(tmp_path, suite(expect))
    assert outcome.failures[0].number == number


def test_each_test_has_a_world_of_its_own_and_a_test_may_expect_of_all_its_steps(
    tmp_path: Path,
) -> None:
    text = """
    tests:
      - name: first
        steps: [{send: {key: sk-a}, times: 4, every: 0}]
        expect: {count: 3, decision: allow}
      - name: second
        steps:
          - {send: {key: sk-a}, times: 2, every: 0}
          - {send: {key: sk-b}, times: 2, every: 0}
        expect: {decision: allow}
      - name: third
        steps:
          - together:
              - {send: {key: sk-a}, times: 4, every: 0, expect: {which: last, decision: throttle}}
              - {send: {key: sk-b}, times: 3, every: 0, expect: {which: last, decision: throttle}}
    """
    first, second, third = outcomes(tmp_path, text)
    assert first.passed
    assert second.passed
    assert [one.where for one in third.failures] == ["step 1, burst 2"]
    assert [one.test.name for one in run(loaded(tmp_path, text), [1])] == ["second"]


def test_an_account_that_no_suite_has_is_a_failure(tmp_path: Path) -> None:
    accounts = "accounts: [{account: pool, many: 3}]\n"
    burst = BURST.replace("key: sk-a", 'account: "pool-{n%3}"')
    assert outcomes(tmp_path, suite("{silent: cloud}", burst, accounts))[0].passed
    (outcome,) = outcomes(tmp_path, suite("{silent: cloud}", burst.replace("%3", ""), accounts))
    assert [one.found for one in outcome.failures] == ["not: pool-10, pool-3, pool-4"]


def test_the_same_from_run_to_run(tmp_path: Path) -> None:
    text = suite("{decision: block}", BURST.replace("100ms", "[10ms, 1s]"))
    one, other = (outcomes(tmp_path, text)[0].failures for _ in range(2))
    assert one == other


def test_a_rule_is_covered_by_firing_and_by_keeping_silent_on_what_it_is_about(
    tmp_path: Path,
) -> None:
    def covered(*expects: str, more: str = "") -> tuple[set[str], set[str]]:
        texts = "".join(
            f"  - name: test {at}\n    steps:\n    {BURST}\n      expect: {expect}\n"
            for at, expect in enumerate(expects)
        )
        suite = loaded(tmp_path, f"policy: policy.yaml\n{more}tests:\n{texts}")
        (found,) = coverage_of([(suite, list(run(suite)))])
        return found.fired, found.kept_silent

    assert covered("{after: 3, rule: pace}") == ({"pace"}, set())
    assert covered("{which: last, findings: pace}") == ({"pace"}, set())
    assert covered("{up_to: 3, silent: all}") == (set(), {"pace", "watched", "cloud"})
    assert covered("{up_to: 3, silent: pace}") == (set(), {"pace"})
    assert covered("{which: none, findings: cloud}") == (set(), {"cloud"})
    # What fails shows nothing, nor what may be true by accident.
    assert covered("{silent: pace}") == (set(), set())
    assert covered("{which: any, silent: pace}") == (set(), set())
    assert covered("{which: none, rule: cloud, decision: block}") == (set(), set())
    assert covered("{after: 3, rule: [pace, cloud]}") == (set(), set())
    assert covered('{count: "< 9", findings: pace}') == (set(), set())


def test_silence_on_requests_that_a_rule_is_not_about_covers_nothing(tmp_path: Path) -> None:
    policy = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - name: trials
    kind: rate_limit
    per: api_key
    match: {tier: [trial]}
    limit: 1/minute
    action: throttle
  - {name: tor, kind: datacenter_ip, kinds: [tor], action: throttle}
"""
    suite = loaded(
        tmp_path,
        "tests: [{name: a, steps: [{send: {key: sk-a}, expect: {silent: all}}]}]",
        policy,
    )
    (found,) = coverage_of([(suite, list(run(suite)))])
    assert found.kept_silent == {"tor"}
    assert found.covered == ()
    assert found.lacks("tor") == "no test needs it to fire"
    assert found.share == 0


def test_rules_that_are_left_out_say_why_and_do_not_count(tmp_path: Path) -> None:
    suite = loaded(
        tmp_path,
        """
        uncovered: {watched: nobody minds, cloud: no network here}
        tests:
          - name: both ways
            steps:
              - send: {key: sk-a}
                times: 4
                every: 0
                expect: [{which: last, rule: pace}, {up_to: 3, silent: pace}]
        """,
    )
    (found,) = coverage_of([(suite, list(run(suite)))])
    assert found.share == 1
    assert found.lacks("watched") == "not asked for: nobody minds"
