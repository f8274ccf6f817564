"""What is told of a replay: populations, accounts, rules, time, intervals, one policy against another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from proxy.cli.replay_tables import show
from proxy.policy.load import load
from proxy.replay.page import page
from proxy.replay.report import Report
from proxy.replay.statistics import Spread, measured, none_of, quantile, wilson
from proxy.replay.tally import BUCKETS, Tally
from proxy.replay.world import World
from tests.replay.traffic import Line, line, policy, records, replayed

LOOSE = """
rules: [{name: loose, kind: rate_limit, per: api_key, limit: 60/minute, burst: 9, action: throttle}]
"""
TIGHT = """
rules:
  - {name: tight, kind: rate_limit, per: api_key, limit: 1/minute, burst: 2, action: throttle}
  - {name: watched, kind: rate_limit, per: api_key, limit: 1/hour, burst: 1, action: block, mode: shadow}
"""


def crowd() -> list[Line]:
    """Two people who ask twice, and one crawl that asks ten times."""
    lines = [line(float(t), key=key) for key in ("sk-a", "sk-b") for t in (0, 100)]
    lines += [line(10.0 + t, key="sk-c", population="crawl", label="harvest") for t in range(10)]
    return sorted(lines, key=lambda one: float(one["t"]))


def test_each_population_has_its_row(tmp_path: Path) -> None:
    report = Report(World(policy(TIGHT))).run(records(tmp_path, crowd()))
    told = report.told(top=5)
    crawl, people = told["populations"]
    assert (crawl["population"], crawl["accounts"], crawl["requests"]) == ("crawl", 1, 10)
    assert (crawl["share_allow"], crawl["share_throttle"]) == (0.2, 0.8)
    assert (crawl["tokens_asked"], crawl["tokens_passed"]) == (1000, 200)
    assert (crawl["share_passed_before"], crawl["share_passed"]) == (0.2, 0.2)
    assert (crawl["first_enforced_p50_s"], crawl["first_enforced_p90_s"]) == (2.0, 2.0)
    assert crawl["accounts_wrongly_refused"] == 0
    assert (people["accounts"], people["share_allow"], people["share_passed"]) == (2, 1.0, 1.0)
    assert people["first_enforced_p50_s"] is None
    assert (people["delay_p50_s"], people["delay_p99_s"]) == (0.0, 0.0)


def test_each_rule_has_its_row_and_shadow_is_apart(tmp_path: Path) -> None:
    told = Report(World(policy(TIGHT))).run(records(tmp_path, crowd())).told(top=5)
    tight, watched = told["rules"]
    assert (tight["rule"], tight["enforced"], tight["accounts_enforced"]) == ("tight", 8, 1)
    assert (tight["first_enforced_s"], tight["shadow"]) == (12.0, 0)
    assert (watched["rule"], watched["shadow"], watched["accounts_shadow"]) == ("watched", 11, 3)


def test_accounts_that_met_most_come_first(tmp_path: Path) -> None:
    told = Report(World(policy(TIGHT))).run(records(tmp_path, crowd())).told(top=2)
    first, second = told["accounts"]
    assert (first["account"], first["throttle"], first["rules"]) == ("sk-c", 8, ["tight"])
    assert (second["account"], second["throttle"]) == ("sk-a", 0)


def test_labels_give_detection_and_false_positives_with_intervals(tmp_path: Path) -> None:
    found = Report(World(policy(TIGHT))).run(records(tmp_path, crowd())).told(top=0)["detection"]
    assert (found["harvest_enforced"]["hits"], found["harvest_enforced"]["of"]) == (1, 1)
    assert found["benign_refused"]["hits"] == 0
    assert found["benign_refused"]["at_most_95"] == pytest.approx(1 - 0.05**0.5, abs=1e-6)
    unlabelled = [one | {"label": "ambiguous"} for one in crowd()]
    told = Report(World(policy(TIGHT))).run(records(tmp_path, unlabelled)).told(top=0)
    assert told["detection"] is None


@pytest.mark.parametrize(("kept", "lost"), [("benign", "harvest"), ("harvest", "benign")])
def test_labels_of_one_class_do_not_tell_of_the_other_and_that_is_said(
    tmp_path: Path, kept: str, lost: str
) -> None:
    lines = [one for one in crowd() if one["label"] == kept]
    report = Report(World(policy(TIGHT))).run(records(tmp_path, lines)).told(top=0)
    (note,) = report["notes"]
    assert note.startswith(f"no account is labelled `{lost}`: ")
    assert note.endswith("cannot be told")
    assert "none labelled so" in page(report)
    with (console := Console(width=150)).capture() as shown:
        show(report, console)
    (row,) = [one for one in shown.get().splitlines() if "none labelled so" in one][:1]
    assert "cannot be told" in row
    both = Report(World(policy(TIGHT))).run(records(tmp_path, crowd())).told(top=0)
    assert both["notes"] == []


def test_a_benign_account_that_was_refused_is_wrongly_refused(tmp_path: Path) -> None:
    lines = [line(float(t)) for t in range(5)]
    told = Report(World(policy(TIGHT))).run(records(tmp_path, lines)).told(top=0)
    assert told["populations"][0]["accounts_wrongly_refused"] == 1
    assert told["detection"]["benign_refused"]["hits"] == 1


def test_what_is_asked_again_was_asked_for_once(tmp_path: Path) -> None:
    lines = [line(0), line(1), line(2), line(70, if_refused=2)]
    told = Report(World(policy(TIGHT))).run(records(tmp_path, lines)).told(top=0)
    (row,) = told["populations"]
    assert (row["tokens_asked"], row["tokens_passed"], row["share_passed"]) == (300, 300, 1.0)
    assert (row["requests"], row["skipped"]) == (4, 0)


def test_accounts_beyond_the_bound_still_count_for_their_population(tmp_path: Path) -> None:
    tally = Tally(max_accounts=3)
    for result in replayed(tmp_path, [line(float(t), key=f"sk-{t}") for t in range(9)], TIGHT):
        tally.add(result)
    (population,) = tally.populations.values()
    assert (len(tally.accounts), population.beyond, population.counts.happened) == (3, 6, 9)
    report = Report(World(policy(TIGHT)), max_accounts=3)
    report.run(records(tmp_path, [line(float(t), key=f"sk-{t}") for t in range(9)]))
    assert any("only the first 3 accounts" in note for note in report.notes())


def test_time_is_kept_in_a_bounded_number_of_pieces(tmp_path: Path) -> None:
    lines = [line(3600.0 * hour) for hour in range(200)]
    told = Report(World(policy(TIGHT))).run(records(tmp_path, lines)).told(top=0)["timeline"]
    series = told["populations"]["people"]
    assert told["pieces"] == len(series["allow"]) <= BUCKETS
    assert sum(series["allow"]) == 200
    assert told["seconds"] * told["pieces"] >= 199 * 3600
    assert sum(series["tokens_passed"]) == 20_000


def test_who_would_be_newly_refused_and_by_what(tmp_path: Path) -> None:
    report = Report(World(policy(TIGHT)), World(policy(LOOSE)))
    changes = report.run(records(tmp_path, crowd())).told(top=5)["changes"]
    refused = changes["newly_refused"]
    assert (refused["requests"], refused["accounts"], refused["tokens"]) == (8, 1, -800)
    assert refused["populations"] == {"crawl": 8}
    (account,) = refused["by_account"]
    assert (account["account"], account["label"], account["requests"]) == ("sk-c", "harvest", 8)
    example = account["example"]
    assert (example["rule"], example["reason"], example["t"]) == ("tight", "rate_exceeded", 12.0)
    assert example["evidence"]["limit"] == "1/minute"
    assert changes["freed"]["requests"] == 0


def test_who_would_be_freed(tmp_path: Path) -> None:
    report = Report(World(policy(LOOSE)), World(policy(TIGHT)))
    changes = report.run(records(tmp_path, crowd())).told(top=5)["changes"]
    assert changes["freed"]["requests"] == 8
    assert changes["freed"]["by_account"][0]["example"]["rule"] == "tight"
    assert changes["newly_refused"]["requests"] == 0


def test_lines_that_happen_under_one_policy_only_are_told(tmp_path: Path) -> None:
    lines = [*crowd(), line(200, key="sk-c", if_refused=6)]
    report = Report(World(policy(TIGHT)), World(policy(LOOSE)))
    changes = report.run(records(tmp_path, lines)).told(top=0)["changes"]
    assert changes["lines_under_one_policy_only"] == 1


def test_what_is_not_modelled_is_said(tmp_path: Path) -> None:
    text = """
rules: [{name: topics, kind: sensitive_topics, per: account, window: 1d, classifier: true,
         score: 5}]
"""
    file = tmp_path / "policy.yaml"
    file.write_text(f"version: 1\n{text}", encoding="utf-8")
    notes = Report(World(load(file))).notes()
    assert any("no classifier is asked" in note for note in notes)


def test_the_summary_is_plain_data(tmp_path: Path) -> None:
    told = (
        Report(World(policy(TIGHT)), World(policy(LOOSE))).run(records(tmp_path, crowd())).told(9)
    )
    assert json.loads(json.dumps(told)) == told


def test_intervals_are_those_of_wilson() -> None:
    below, above = wilson(81, 263)  # Newcombe 1998, table I
    assert (round(below, 4), round(above, 4)) == (0.2553, 0.3662)
    assert (round(wilson(0, 20)[0], 4), round(wilson(0, 20)[1], 4)) == (0.0, 0.1611)
    assert (round(wilson(1, 29)[0], 4), round(wilson(1, 29)[1], 4)) == (0.0061, 0.1718)
    assert wilson(5, 5)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)
    assert none_of(59) < 0.05 < none_of(58)
    assert measured(0, 0)["share"] is None


def test_quantiles_of_few_and_of_many() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([1, 2], 0.9) == 2
    assert quantile([], 0.5) is None
    spread = Spread()
    for ms in range(1, 1001):
        spread.add(ms / 1000)
    assert (spread.quantile(0.5), spread.quantile(0.99)) == (0.5, 0.99)
    for _ in range(100_000):
        spread.add(123.4567)
    assert spread.quantile(0.99) == 123.0
    assert Spread().quantile(0.5) is None
