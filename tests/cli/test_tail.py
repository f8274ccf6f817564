"""`excise tail`: filters, rates, and logs that are rotated under it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.cli.events_file import follow


def event(number: int, **fields: Any) -> str:
    base = {
        "event": "request",
        "level": "info",
        "timestamp": f"2026-02-03T09:14:{number:02}.000Z",
        "request_id": f"R{number}",
        "account": "acme",
        "decision": "allow",
        "rule": None,
        "http.response.status_code": 200,
        "http.request.method": "POST",
        "url.path": f"/{number}",
    }
    return json.dumps(base | fields)


EVENTS = [
    event(0),
    event(1, account="other", api_key="key_other"),
    event(2, decision="throttle", rule="few", reason="rate_exceeded"),
    event(3, shadow=["wide"]),
    event(4, decision="block", rule="few", findings=["few", "wide"]),
    event(5, decision="delay", rule="few", findings=["few", "suspicion:account"]),
    json.dumps({"event": "ready", "level": "info", "timestamp": "2026-02-03T09:14:05.000Z"}),
    "Traceback (most recent call last):",
    '{"not": "an event"}',
    '{"event": "request", "logger": "another program"}',
    '{"event": 7, "timestamp": 7}',
]


def shown(*arguments: str) -> list[str]:
    result = CliRunner().invoke(main, ["tail", *arguments], input="\n".join(EVENTS))
    assert result.exit_code == 0, result.output
    return [word for word in result.stdout.split() if word.startswith("/") or word == "ready"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["/0", "/1", "/2", "/3", "/4", "/5", "ready"]),
        (("--only", "throttle"), ["/2"]),
        (("--only", "throttle", "--only", "block"), ["/2", "/4"]),
        (("--rule", "suspicion"), ["/5"]),
        (("--rule", "suspicion:account"), ["/5"]),
        (("--rule", "suspicion:subnet"), []),
        (("--account", "other"), ["/1"]),
        (("--account", "key_other"), ["/1"]),
        (("--rule", "few"), ["/2", "/4", "/5"]),
        (("--rule", "wide"), ["/3", "/4"]),
        (("--shadow",), ["/3"]),
        (("--rule", "wide", "--only", "block"), ["/4"]),
    ],
)
def test_filters_narrow_together(arguments: tuple[str, ...], expected: list[str]) -> None:
    assert shown(*arguments) == expected


def test_rates_are_told_by_the_events_own_times() -> None:
    result = CliRunner().invoke(main, ["tail", "--rates", "3600"], input="\n".join(EVENTS))
    assert (
        "-- 6 requests in 5 s: allow 0.6/s, throttle 0.2/s, block 0.2/s, delay 0.2/s"
        in result.stderr
    )


def test_a_callers_text_cannot_steer_the_terminal() -> None:
    line = event(0, **{"gen_ai.request.model": "m\x1b[2J\n"})
    result = CliRunner().invoke(main, ["tail"], input=line)
    assert "\x1b" not in result.stdout
    assert result.stdout.count("\n") == 1


def until_idle(lines: Iterator[bytes | None]) -> list[bytes]:
    """What comes until there is nothing for now."""
    found = []
    for line in lines:
        if line is None:
            return found
        found.append(line)
    raise AssertionError("following has ended")


def test_a_rotated_log_is_read_to_its_end_and_its_successor_from_the_beginning(
    tmp_path: Path,
) -> None:
    log = tmp_path / "events.log"
    log.write_bytes(b"old\n")
    lines = follow(log)
    assert until_idle(lines) == []
    with log.open("ab") as writer:
        writer.write(b"one\ntw")
        writer.flush()
        assert until_idle(lines) == [b"one"]
        log.rename(tmp_path / "events.log.1")
        writer.write(b"o\nlast")
        writer.flush()
        assert until_idle(lines) == [b"two"]
    log.write_bytes(b"three\n")
    assert until_idle(lines) == [b"last", b"three"]
    lines.close()  # type: ignore[attr-defined]


def test_a_log_that_is_cut_short_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    log.write_bytes(b"long and old\n")
    lines = follow(log)
    assert until_idle(lines) == []
    log.write_bytes(b"new\n")
    assert until_idle(lines) == [b"new"]
    lines.close()  # type: ignore[attr-defined]


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    lines = follow(log)
    assert until_idle(lines) == []
    log.write_bytes(b"first\n")
    assert until_idle(lines) == [b"first"]
    lines.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_a_time_without_a_zone_is_utc_wherever_the_log_is_read(
    zone: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    log = tmp_path / "events.log"
    first, last = "2026-03-08T00:00:00Z", "2026-03-09T00:00:00"  # New York's clocks go forward
    lines = [event(0, timestamp=first), event(1, timestamp=last)]
    log.write_text("\n".join(lines), encoding="utf-8")
    try:
        report = CliRunner().invoke(main, ["shadow", str(log), "--json"])
        assert json.loads(report.stdout)["days"] == 1.0
        rates = CliRunner().invoke(main, ["tail", str(log), "--no-follow", "--rates", "60"])
        assert "2 requests in 86400 s" in rates.stderr
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("findings", None),
        ("findings", [{}]),
        ("shadow", [None]),
        ("shadow", [["x"]]),
        ("exempted_by", [{}]),
        ("no_subject", [None]),
        ("duration_ms", None),
        ("suspicion", {"account": 5.0, "levels": {"account": 5}}),
        ("suspicion", {"account": 5.0, "levels": {"account": {"few": None}}}),
        ("suspicion", {"account": 5.0, "families": 5}),
    ],
)
def test_a_log_of_another_make_ends_no_reader(field: str, odd: object, tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    lines = [event(0, request_id="R9", **{field: odd}), event(1, request_id="R8")]
    log.write_text("\n".join(lines), encoding="utf-8")
    for words in (
        ["tail", str(log), "--no-follow"],
        ["tail", str(log), "--no-follow", "--rule", "few"],
        ["shadow", str(log)],
        ["explain", "R9", "--events", str(log)],
    ):
        result = CliRunner().invoke(main, words)
        assert isinstance(result.exception, SystemExit | None), (words, result.exception)
