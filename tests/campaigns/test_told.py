"""What tools tell of rules that link, which find nothing by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.cli.drawn import drawn
from proxy.explain.near import nearest
from proxy.explain.told import of_trace
from proxy.explain.watched import ShadowLog
from proxy.policy.analysis import analyse
from proxy.policy.diff import diff
from proxy.policy.load import load_source
from tests.explain.worlds import OPEN, Sent, traces
from tests.scenarios.suites import outcomes

HAND = "{name: hand, kind: shared_shape, min_accounts: 3}"
EXIT = "{name: exit, kind: egress_hub, by: subnet, min_accounts: 3}"
ECHO = "{name: echo, kind: throttle_echo, window: 10m, min_bytes: 0}"
FEW = "{name: few, kind: rate_limit, per: account, limit: 1/hour, burst: 1, action: throttle}"


def policy(*rules: str) -> str:
    return OPEN + "rules:\n" + "".join(f"  - {rule}\n" for rule in rules)


def asked(count: int) -> list[Sent]:
    """As many accounts of one hand and one network, each proven by a first answer, and again."""
    body = {"temperature": 0.93}
    return [
        Sent(
            t=float(n), key=f"sk-{n % count}", address=f"192.0.2.{n % count}", body=body, tokens=10
        )
        for n in range(3 * count)
    ]


def test_an_explanation_says_what_a_rule_has_read_and_to_what_it_ties() -> None:
    trace = traces(policy(HAND, EXIT), asked(4))[-1]
    assert trace.event["ties"] == ["hand", "exit"]
    hand, exit_ = of_trace(trace)["rules"]
    assert hand["read"] == ["4 accounts in 1d, with this one"]
    assert hand["bounds"] == {"window": "1d", "min_accounts": 3}
    assert hand["ties"][0].startswith("request_shape:shp_")
    assert exit_["ties"] == ["subnet:192.0.2.0/24"]
    tree = "\n".join(drawn(of_trace(trace)))
    assert "exit (egress_hub), per account: tied" in tree
    assert "tied to: subnet:192.0.2.0/24" in tree


def test_a_network_is_not_told_where_the_log_hides_addresses() -> None:
    trace = traces(policy(EXIT), asked(4))[-1]
    trace.event["client.address"] = "hidden"
    (told,) = of_trace(trace)["rules"]
    assert told["ties"] == ["subnet"]
    assert "192.0.2" not in json.dumps(told)


def test_what_nobody_shares_ties_nobody() -> None:
    trace = traces(policy(HAND, EXIT), asked(2))[-1]
    assert "ties" not in trace.event
    assert [rule["ties"] for rule in of_trace(trace)["rules"]] == [[], []]
    assert "hand (shared_shape), per account: nothing shared" in "\n".join(drawn(of_trace(trace)))


def test_an_echo_says_how_many_were_refused_the_same() -> None:
    sent = [Sent(t=0.0, key="a"), Sent(t=1.0, key="b")]  # each is proven by its first answer
    sent += [Sent(t=2.0, key="a"), Sent(t=3.0, key="b")]
    trace = traces(policy(ECHO, FEW), sent)[-1]
    echo = of_trace(trace)["rules"][0]
    assert echo["read"] == ["1 accounts that were refused the same"]
    assert [thing.partition(":")[0] for thing in echo["ties"]] == ["account"]


def test_a_rule_that_only_links_is_no_limit_that_is_near() -> None:
    assert nearest(traces(policy(HAND, EXIT, ECHO), asked(4))[0]) == []


def test_shadow_says_whom_a_linking_rule_would_tie(tmp_path: Path) -> None:
    text = policy(HAND.replace("}", ", mode: shadow}"), EXIT)
    log = ShadowLog(lambda _event: None)
    lines = []
    for number, trace in enumerate(traces(text, asked(4))):
        event = {
            **trace.event,
            "event": "request",
            "timestamp": f"2026-01-05T00:00:{number:02}+00:00",
        }
        log.add(event)
        lines.append(json.dumps(event))
    assert log.ties["hand"].total() > 0
    assert len(log.ties["hand"]) == 4
    (tmp_path / "events.log").write_text("\n".join(lines))
    (tmp_path / "policy.yaml").write_text(text)
    given = ["shadow", str(tmp_path / "events.log"), "--policy", str(tmp_path / "policy.yaml")]
    said = CliRunner().invoke(main, given).output
    assert "hand: ties 4 accounts" in said
    assert "exit" not in said  # it is in force
    assert "never fired" not in said


def test_diff_says_that_a_rule_ties_and_which_way_its_fields_go(tmp_path: Path) -> None:
    texts = (
        policy(EXIT),
        policy(EXIT, HAND),
        policy(EXIT, HAND.replace("3", "4").replace("}", ", keep: 1d}")),
    )
    sources = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
        sources.append(load_source(tmp_path / f"{number}.yaml"))
    (added,) = diff(sources[0], sources[1])
    assert (added.effect, added.after) == ("stricter", "shared_shape per account: ties")
    changes = {one.what: one.effect for one in diff(sources[1], sources[2])}
    assert changes == {"min_accounts": "looser", "keep": "looser"}


def test_a_new_linking_rule_says_what_shadow_means_for_it() -> None:
    text = CliRunner().invoke(main, ["new", "rule", "egress_hub"]).output
    assert "nobody is tied" in text
    assert "It judges and logs" not in text


@pytest.mark.parametrize(
    "kind",
    [
        "shared_template",
        "shared_shape",
        "shared_prompt",
        "shared_sequence",
        "shared_pivot",
        "probe_fan_out",
        "throttle_echo",
    ],
)
def test_check_knows_where_a_linking_rule_has_something_to_see(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    for match, warned in (("operation: chat", []), ("route: /v1/models", ["nothing-to-see"])):
        file.write_text(policy(f"{{name: a, kind: {kind}, match: {{{match}}}}}"))
        told = analyse(load_source(file), 1_800_000_000.0)
        assert [one.code for one in told] == warned


SUITE = """
accounts: [{{account: pool, many: 9}}]
tests:
  - name: together
    steps:
      - send:
          account: "pool-{{n%9}}"
          from: "192.0.2.{{n%9}}"
          body: {{temperature: 0.9}}
          prompt: "{{words:9}}"
        times: 90
        every: 30s
        expect: {expect}
"""


@pytest.mark.parametrize(
    ("expect", "holds"),
    [
        ("{after: 30, ties: [hand, exit]}", True),
        ("{after: 30, campaign: true}", True),
        ("{up_to: 2, campaign: false, silent: [hand, exit]}", True),
        ("{after: 30, campaign: false}", False),
        ("{after: 30, silent: hand}", False),
        ("{after: 30, silent: all}", False),
        ("{after: 30, ties: never}", False),
        ("{which: none, ties: never}", True),
    ],
)
def test_a_suite_expects_ties_and_membership(expect: str, holds: bool, tmp_path: Path) -> None:
    never = HAND.replace("hand", "never").replace("3", "16")
    (outcome,) = outcomes(tmp_path, SUITE.format(expect=expect), policy(HAND, EXIT, never))
    assert outcome.passed is holds
    assert outcome.fired == ({"hand", "exit"} if holds and "ties: [" in expect else set())
    kept = {"hand", "exit"} if "silent: [" in expect else {"never"} if "none" in expect else set()
    assert outcome.kept_silent == (kept if holds else set())
