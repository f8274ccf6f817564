"""Lines of an event log that were damaged, written by others, or by another version."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.policy.load import load
from proxy.policy.shipped import shipped
from proxy.replay.eventline import mistake, time_of
from tests.replay.test_events import logged
from tests.replay.traffic import line, written

STRICT = str(shipped("strict.yaml"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [line(float(t), f"question {t}, and why", address="203.0.113.9") for t in range(3)]
    return logged(tmp_path, lines, load(shipped("observe.yaml")))


def events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(one) for one in log.read_bytes().splitlines()]


def replayed(log: Path, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(
        main, ["replay", str(log), "--events", "--policy", STRICT, "--json", "-", *words]
    )
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"request.turns": "x"}, "`request.turns` is no number"),
    ({"request.turns": 10**9}, "`request.turns` is out of bounds"),
    ({"request.turns": -1}, "`request.turns` is out of bounds"),
    ({"request.turns": True}, "`request.turns` is no number"),
    ({"duration_ms": 1e300}, "`duration_ms` is out of bounds"),
    ({"gen_ai.usage.output_tokens": -5}, "`gen_ai.usage.output_tokens` is out of bounds"),
    ({"gen_ai.request.choice.count": "n"}, "`gen_ai.request.choice.count` is no number"),
    ({"client.marks": 5}, "`client.marks` is no list"),
    ({"client.note": [5]}, "`client.note` holds what is no text"),
    ({"request.sketch": [1, "x"]}, "`request.sketch` holds what is no mark"),
    ({"request.chunks": [10**6]}, "`request.chunks` holds what is no mark"),
    ({"request.terms": []}, "`request.terms` is no object"),
    ({"request.terms": {"a": {"b": "c"}}}, "`request.terms` holds what is no weight"),
    ({"account": ["a"]}, "`account` is no text"),
    ({"client.country": 5}, "`client.country` is no text"),
    ({"policy": ["x"]}, "`policy` is no text"),
    ({"shadow": 5}, "`shadow` is no list"),
    ({"timestamp": 12}, "`timestamp` is no time"),
    ({"timestamp": "yesterday"}, "`timestamp` is no time"),
    ({"decision": None}, "`decision` is missing"),
]


@pytest.mark.parametrize(("damage", "why"), WRONG, ids=[why for _, why in WRONG])
def test_an_event_whose_fields_hold_something_else_is_left_out_and_named(
    log: Path, damage: dict[str, Any], why: str
) -> None:
    whole = events(log)
    assert mistake(whole[1]) is None
    assert mistake(whole[1] | damage) == why
    whole[1] |= damage
    written(log, whole)
    told = replayed(log)
    assert told["lines"] == 2
    note = f"1 events of requests cannot be read and are left out; the first, line 2: {why}"
    assert told["notes"][0] == note
    for command in (["shadow", str(log)], ["tail", str(log), "--no-follow"]):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        assert done.exception is None


def test_a_field_that_is_null_or_new_is_no_mistake(log: Path) -> None:
    whole = events(log)
    names = set(whole[1]) - {"event", "timestamp", "request_id", "decision"}
    whole[1] |= dict.fromkeys(names) | {"client.colour": {"of": [1]}}
    written(log, whole)
    assert replayed(log)["lines"] == 3


def test_a_line_that_was_cut_off_is_told(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-40])
    told = replayed(log)
    assert told["lines"] == 2
    assert told["notes"][0].endswith("the first, line 3: it is cut off or no JSON")


def test_labelled_traffic_is_no_event_log_and_neither_the_other_way_round(
    log: Path, tmp_path: Path
) -> None:
    traffic = written(tmp_path / "traffic.jsonl", [line(0.0)])
    done = CliRunner().invoke(main, ["replay", str(traffic), "--events", "--policy", STRICT])
    assert done.exit_code == 1
    assert "holds no events; labelled traffic is read without --events" in done.output
    done = CliRunner().invoke(main, ["replay", str(log), "--policy", STRICT])
    assert done.exit_code == 1
    assert "events.log:1: an event of Excise's own: --events reads its log" in done.output


def test_an_empty_log_is_a_quiet_night(tmp_path: Path) -> None:
    (tmp_path / "events.log").touch()
    assert replayed(tmp_path / "events.log")["lines"] == 0


@pytest.fixture
def tokyo() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    yield
    del os.environ["TZ"]
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_a_time_without_a_zone_is_one_of_utc_wherever_it_is_read() -> None:
    assert time_of("2026-01-05T00:00:00") == time_of("2026-01-05T00:00:00Z") == 1_767_571_200.0


def test_events_without_a_route_are_told_as_they_were(log: Path) -> None:
    whole = events(log)
    for event in whole:
        del event["http.route"]
    written(log, whole)
    assert (
        "3 requests have no route in the log, and are told as they were" in replayed(log)["notes"]
    )
