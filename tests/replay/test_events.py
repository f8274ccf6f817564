"""Excise's own event log judged again: what it holds enough for decides alike, and the rest is named."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.client.secret import Secret
from proxy.eventlog import JSON
from proxy.events import Addresses, EventBuilder
from proxy.policy.load import load, parse
from proxy.policy.model import Policy
from proxy.policy.shipped import shipped
from proxy.replay.logged import read_events
from proxy.replay.rejudge import EventWorld
from proxy.replay.result import Result
from proxy.replay.source import Source
from proxy.replay.world import START, World
from tests.replay.traffic import Line, line, records

SECRET = Secret(b"a secret of sixteen bytes")


def logged(folder: Path, lines: list[Line], policy: Policy, addresses: Addresses = "full") -> Path:
    """The event log of a replay of these lines, as Excise would have written it."""
    world = World(policy, secret=SECRET, keep_visits=True)
    build = EventBuilder(addresses, SECRET.item_hash)
    written = []
    for result in world.run(records(folder, lines)):
        if result.visit is None or result.progress is None:
            continue
        lasts = result.delay_s + result.record.response.duration
        event: Any = build.request(result.visit, result.progress, lasts)
        for processor in JSON:
            event = processor(None, "", event)
        written.append((result.record.t + lasts, event))
    file = folder / "events.log"
    file.write_bytes(b"".join(event + b"\n" for _, event in sorted(written)))
    return file


def rejudged(file: Path, policy: Policy, **given: Any) -> tuple[list[Result], list[str]]:
    world = EventWorld(policy, **given)
    with Source(file) as source:
        results = list(world.run(read_events(source)))
    assert not world.faults
    return results, world.notes()


def crowd() -> list[Line]:
    """Callers of many kinds, each request another question, answers of seconds."""
    draw = random.Random(3)
    lines = []
    for number in range(200):
        key = draw.choice(["sk-a", "sk-b", "sk-c"])
        prompt = " ".join("".join(draw.choices("abcdefghij", k=6)) for _ in range(12))
        body: dict[str, Any] = {
            "user": draw.choice(["u", "v"]),
            "max_tokens": draw.choice([400, 900]),
        }
        if key == "sk-c":
            body |= {"logprobs": True, "logit_bias": {str(draw.randint(1, 50)): 5, "7": 1}}
        response = {"output_tokens": draw.randint(1, 300), "duration": draw.random() * 20}
        lines.append(line(number * 1.7, prompt, key, body=body, response=response))
    return lines


RULES = """
version: 1
keys: {missing: block, unknown: provisional}
rules:
  - {name: pace, kind: rate_limit, per: api_key, limit: 12/minute, burst: 4, action: throttle}
  - {name: slots, kind: concurrency, per: address, slots: 6, action: throttle}
  - {name: wide, kind: prompt_diversity, per: account, window: 1h, min_requests: 20,
     max_distinct_ratio: 0.6, score: 30}
  - {name: probing, kind: logit_probing, per: account, window: 1d, max_bias_maps: 10,
     max_logprobs: 30, score: 30, action: {degrade: [drop_logit_bias, {cap_output_tokens: 20}]}}
  - {name: small, kind: expression, per: account, score: 5, expr: ask.max_output_tokens < 500}
suspicion:
  thresholds: [{at: 30, action: {delay: {at_most: 4s, then: allow}}}, {at: 60, action: throttle}]
"""


def judged(text: str) -> Policy:
    return parse(text, "policy.yaml")


def test_the_same_policy_on_its_own_log_decides_as_it_did(tmp_path: Path) -> None:
    # In shadow nobody is held back or refused: what was recorded is what everybody would have sent.
    policy = judged(f"{RULES}mode: shadow\n")
    lines = crowd()
    before = list(World(policy, secret=SECRET).run(records(tmp_path, lines)))
    results, _ = rejudged(logged(tmp_path, lines, policy), policy)
    assert [one.record.t for one in results] == pytest.approx(
        [one.record.t - before[0].record.t for one in before], abs=0.002
    )
    assert [one.shadow for one in results] == [one.shadow for one in before]
    fired = {name for one in results for name in one.shadow}
    assert fired >= {"pace", "slots", "wide", "probing", "small"}


def test_what_another_policy_would_have_done_to_a_recorded_day(tmp_path: Path) -> None:
    recorded = judged(f"{RULES}mode: shadow\n")
    file = logged(tmp_path, crowd(), recorded)
    results, notes = rejudged(file, judged(RULES), recorded=[recorded])
    words = {one.word for one in results}
    assert {"allow", "delay", "throttle"} <= words
    assert any("no reactions" in note for note in notes)
    assert not any("was not judged" in note for note in notes)


def test_rules_that_need_more_than_the_log_holds_are_named_and_judge_nothing(
    tmp_path: Path,
) -> None:
    plain = judged(RULES.split("  - {name: wide", maxsplit=1)[0] + "mode: shadow\n")
    file = logged(tmp_path, crowd(), plain)
    policy = judged(RULES)
    results, notes = rejudged(file, policy, recorded=[plain])
    assert "wide" not in {name for one in results for name in one.rules}
    named = [note for note in notes if note.startswith("`wide` was not judged on 200 of 200")]
    assert named
    assert "(prompt)" in named[0]
    _, notes = rejudged(file, policy)  # nobody knows which policy wrote it
    assert any("`wide`" in note and "is not known" in note for note in notes)
    assert not any("`pace`" in note for note in notes)


@pytest.mark.parametrize(("addresses", "lost"), [("subnet", {"address"}), ("hashed", {"subnet"})])
def test_addresses_that_the_log_hides_are_not_made_up(
    tmp_path: Path, addresses: Addresses, lost: set[str]
) -> None:
    text = """
version: 1
mode: shadow
keys: {missing: allow, unknown: allow}
rules:
  - {name: address, kind: rate_limit, per: address, limit: 1/minute, burst: 1, action: throttle}
  - {name: subnet, kind: rate_limit, per: subnet, limit: 1/minute, burst: 1, action: throttle}
"""
    policy = judged(text)
    file = logged(tmp_path, crowd()[:20], policy, addresses)
    results, notes = rejudged(file, policy)
    assert {name for one in results for name in one.shadow} == {"address", "subnet"} - lost
    assert [note.split("`")[1] for note in notes if "was not judged" in note] == sorted(lost)


def test_what_a_gate_has_refused_is_told_as_it_was(tmp_path: Path) -> None:
    policy = judged(RULES)
    lines = [line(0), line(1, key=None), line(2, body="{"), line(3, path="/v1/fine_tuning/jobs")]
    results, notes = rejudged(logged(tmp_path, lines, policy), judged(f"{RULES}mode: shadow\n"))
    assert [one.word for one in results] == ["allow", "block", "block", "block"]
    assert [one.rules for one in results[1:]] == [["keys"], ["uninspectable"], ["unknown_routes"]]
    assert "3 requests were refused before any rule, and are told as they were" in notes


def test_a_long_answer_stands_where_it_began(tmp_path: Path) -> None:
    policy = judged(RULES)
    lines = [line(0, response={"duration": 500}), *(line(float(t)) for t in range(1, 50, 10))]
    file = logged(tmp_path, lines, policy)
    assert json.loads(file.read_bytes().splitlines()[-1])["duration_ms"] == 500_000
    results, _ = rejudged(file, policy)
    assert [one.record.t for one in results] == pytest.approx([0, 1, 11, 21, 31, 41], abs=0.002)
    assert results[0].record.number == 5  # the last line of the log


def test_a_stricter_policy_is_judged_by_what_the_shipped_ones_have_derived(
    tmp_path: Path,
) -> None:
    file = logged(tmp_path, crowd()[:20], load(shipped("default.yaml")))
    _, notes = rejudged(file, load(shipped("default.yaml")))
    assert not any("was not judged" in note for note in notes)
    _, notes = rejudged(file, load(shipped("strict.yaml")))
    assert not any("relays" in note for note in notes)  # the same table, read a second time


def test_an_event_that_has_lost_its_lists_is_not_judged_by_them(tmp_path: Path) -> None:
    policy = judged(RULES)
    file = logged(tmp_path, [line(0)], policy)
    event = json.loads(file.read_bytes())
    kept = {name: told for name, told in event.items() if not isinstance(told, list | dict)}
    file.write_text(json.dumps(kept | {"truncated": True}) + "\n", encoding="utf-8")
    _, notes = rejudged(file, policy)
    assert any(note.startswith("`wide` was not judged on 1 of 1 requests") for note in notes)


def test_lanes_are_bounded_here_too(tmp_path: Path) -> None:
    text = """
version: 1
keys: {missing: block, unknown: allow}
rules: [{name: pace, kind: rate_limit, per: api_key, limit: 60/minute, burst: 1,
         action: {delay: {at_most: 60s, then: throttle}}}]
"""
    file = logged(tmp_path, [line(0.001 * t) for t in range(11)], judged(f"{text}mode: shadow\n"))
    results, _ = rejudged(file, judged(text))
    assert [one.word for one in results] == ["allow", *["delay"] * 8, "throttle", "throttle"]
    assert results[-1].decision.reason == "delay_lanes_full"


def test_lines_that_are_no_requests_are_passed_over(tmp_path: Path) -> None:
    policy = judged(RULES)
    file = logged(tmp_path, [line(0)], policy)
    noise = b'starting up\n{"event":"ready","level":"info","timestamp":"2026-01-05T00:00:00.000Z"}\n\xff\n'
    file.write_bytes(noise + file.read_bytes() + b'{"event":"request","timestamp":5}\n')
    results, _ = rejudged(file, policy)
    assert [one.word for one in results] == ["allow"]


def test_one_command_says_what_strict_would_have_done(tmp_path: Path) -> None:
    observe = load(shipped("observe.yaml"))
    file = logged(tmp_path, crowd(), observe)
    words = ["replay", str(file), "--events", "--policy", str(shipped("strict.yaml"))]
    result = CliRunner().invoke(main, [*words, "--against", str(shipped("observe.yaml"))])
    assert result.exit_code == 0, result.output
    assert "200 lines" in result.stdout
    assert "no reactions" in result.stdout
    assert "was not judged" not in result.stdout
    told = json.loads(CliRunner().invoke(main, [*words, "--json", "-"]).stdout)
    assert told["lines"] == 200
    assert told["detection"] is None
    assert START > 0
