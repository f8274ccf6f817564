"""`excise replay --campaigns`: what was found, the same each time, and as the command reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.policy.load import load
from tests.campaigns.test_at_work import CRAWL, harvest, people

from .test_events import logged
from .traffic import written

POLICY = f"version: 1\nkeys: {{missing: allow, unknown: allow}}\n{CRAWL}"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def given(tmp_path: Path) -> tuple[Path, Path]:
    lines = sorted([*harvest(12, 12), *people(8, 12)], key=lambda one: one["t"])
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    return written(tmp_path / "traffic.jsonl", lines), policy


def found(given: tuple[Path, Path], file: Path) -> Path:
    traffic, policy = given
    done = run("replay", traffic, "--policy", policy, "--campaigns", file)
    assert done.exit_code == 0, done.output
    return file


def test_it_tells_the_campaigns_and_nothing_of_what_was_asked(
    given: tuple[Path, Path], tmp_path: Path
) -> None:
    file = found(given, tmp_path / "one.jsonl")
    (told,) = map(json.loads, file.read_text().splitlines())
    assert told["members"] == 12
    assert told["families"] == ["client", "content"]
    assert 100 < told["requests"] <= 12 * 12
    assert 0 < told["refused"] < told["requests"]
    assert told["output_tokens"] == 100 * (told["requests"] - told["refused"])
    assert sum(step["requests"] for step in told["timeline"]) == told["requests"]
    assert [one["template"].startswith("tpl_") for one in told["templates"]] == [True]
    assert {one["requests"] for one in told["templates"]} == {told["requests"]}
    assert len({one["id"] for one in told["accounts"]}) == 12
    text = file.read_text()
    for secret in ("as an expert", "sk-harvest", "sk-person", "198.51"):
        assert secret not in text


def test_the_same_traffic_is_told_in_the_same_words(
    given: tuple[Path, Path], tmp_path: Path
) -> None:
    one, two = (found(given, tmp_path / f"{number}.jsonl") for number in range(2))
    assert one.read_bytes() == two.read_bytes()


def test_the_command_reads_it(given: tuple[Path, Path], tmp_path: Path) -> None:
    file = found(given, tmp_path / "one.jsonl")
    (head,) = map(
        json.loads, run("campaigns", "list", "--from", file, "--json").stdout.splitlines()
    )
    name = head["campaign"]
    assert head["members"] == 12
    shown = run("campaigns", "show", name, "--from", file).stdout
    assert f"{name}: 12 accounts" in shown
    assert "shared_template" not in shown
    assert "same-frame" in shown
    one = json.loads(file.read_text())["accounts"][0]
    for account, lines in ((one["account"], 2), (one["id"], 2), ("nobody", 0)):
        listed = run("campaigns", "list", "--from", file, "--account", account)
        assert len(listed.stdout.splitlines()) == lines
    for form in ("json", "stix", "svg", "dot"):
        done = run("campaigns", "export", name, "--from", file, "--format", form)
        assert (done.exit_code, name in done.stdout) == (0, True)
    nobody = run("campaigns", "show", "cmp_nobody", "--from", file)
    assert (nobody.exit_code, "there is no campaign cmp_nobody" in nobody.stderr) == (1, True)


def test_an_event_log_tells_the_same_campaign(given: tuple[Path, Path], tmp_path: Path) -> None:
    traffic, policy = given
    lines = [json.loads(one) for one in traffic.read_text().splitlines()]
    for one in lines:  # no event holds how a request is written: what ties besides is the exit
        one["address"] = one["address"].replace("198.51.", "192.0.2.").removesuffix(".7")
    log = logged(tmp_path, lines, load(policy))
    file = tmp_path / "events.jsonl"
    words = ("--events", "--policy", policy, "--recorded", policy, "--campaigns", file)
    done = run("replay", log, *words)
    assert done.exit_code == 0, done.output
    assert "`same-hand` was not judged on" in done.output
    (told,) = map(json.loads, file.read_text().splitlines())
    assert (told["members"], told["families"]) == (12, ["content", "network"])
    assert told["requests"] > 100
    assert 0 < told["output_tokens"] == 100 * (told["requests"] - told["refused"])


def test_a_file_that_is_something_else_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    for text in ("nonsense\n", "{}\n", '{"format": "excise-campaign/1"}\n', "[1]\n"):
        file.write_text(text)
        done = run("campaigns", "list", "--from", file)
        assert (done.exit_code, f"{file}:1: no campaign" in done.stderr) == (1, True), text


def test_whoever_finds_none_says_so(given: tuple[Path, Path], tmp_path: Path) -> None:
    traffic, policy = given
    policy.write_text("version: 1\nkeys: {missing: allow, unknown: allow}\n")
    file = found((traffic, policy), tmp_path / "none.jsonl")
    assert file.read_text() == ""
    assert run("campaigns", "list", "--from", file).stderr == "there is no campaign\n"
