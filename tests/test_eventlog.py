"""The log that no request waits for: real pipes that fill, close and come back."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.clock import SystemClock
from proxy.console import ConsoleRenderer
from proxy.eventlog import JSON, MAX_EVENT_BYTES, EventLog

NOW = 1_800_000_000.123


def event(decision: str = "allow", **fields: Any) -> dict[str, Any]:
    return {"event": "request", "level": "info", "timestamp": NOW, "decision": decision, **fields}


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def lines(descriptor: int, count: int) -> list[dict[str, Any]]:
    data = b""
    while data.count(b"\n") < count:
        data += os.read(descriptor, 65536)
    return [json.loads(line) for line in data.splitlines()]


def test_events_are_json_lines_in_order_with_readable_times(pipe: tuple[int, int]) -> None:
    log = EventLog(SystemClock(), descriptor=pipe[1])
    for number in range(3):
        log.put(event(number=number))
    log.close()
    got = lines(pipe[0], 3)
    assert [one["number"] for one in got] == [0, 1, 2]
    assert got[0]["timestamp"] == "2027-01-15T08:00:00.123Z"


def test_a_reader_that_stands_still_blocks_nobody_and_refusals_outlive_allows(
    pipe: tuple[int, int],
) -> None:
    log = EventLog(SystemClock(), descriptor=pipe[1], queue_bytes=100 * 1024)
    filler = "x" * 4096
    for _ in range(400):
        log.put(event(filler=filler))
    while log.queued_bytes < 100 * 1024:
        log.put(event(filler=filler))
    for _ in range(50):
        log.put(event("block"))
    assert log.dropped > 0
    assert log.queued_bytes <= 100 * 1024
    got: list[dict[str, Any]] = []

    def read() -> None:
        data = b""
        while part := os.read(pipe[0], 65536):
            data += part
        got.extend(json.loads(line) for line in data.splitlines())

    reader = threading.Thread(target=read)
    reader.start()
    log.close(10)
    os.close(pipe[1])
    reader.join(10)
    assert sum(one.get("decision") == "block" for one in got) == 50
    told = sum(one["count"] for one in got if one["event"] == "log_dropped")
    assert told == log.dropped


def test_a_closed_pipe_loses_events_counts_them_and_takes_nothing_down() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = EventLog(SystemClock(), descriptor=writing)
    log.put(event())
    log.close()
    assert log.dropped == 1
    os.close(writing)


def test_a_full_disk_is_survived_and_said_once_there_is_room() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        log = EventLog(SystemClock(), descriptor=full.fileno())
        log.put(event())
        log.close()
        assert log.dropped == 1


async def test_a_burst_of_alerts_is_a_few(pipe: tuple[int, int]) -> None:
    log = EventLog(SystemClock(), descriptor=pipe[1])
    for _ in range(100):
        log.alert("settlements_lost", count=1)
    log.close()
    assert len(lines(pipe[0], 1)) == 6


def test_an_oversized_event_is_cut_and_says_so(pipe: tuple[int, int]) -> None:
    log = EventLog(SystemClock(), descriptor=pipe[1])
    log.put(event(names=["x" * 100] * 200))
    log.close()
    (got,) = lines(pipe[0], 1)
    assert got["truncated"] is True
    assert "names" not in got
    assert len(json.dumps(got)) < MAX_EVENT_BYTES


def test_people_read_a_line(pipe: tuple[int, int]) -> None:
    processors = (JSON[0], ConsoleRenderer(colour=False))
    log = EventLog(SystemClock(), processors=processors, descriptor=pipe[1])
    log.put(
        event(
            "throttle",
            **{
                "http.response.status_code": 429,
                "http.request.method": "POST",
                "url.path": "/v1/messages",
                "account": "acme",
                "rule": "shape",
                "reason": "rate_exceeded",
                "evidence": {"limit": "1/second"},
                "shadow": ["other"],
                "duration_ms": 1.4,
            },
        )
    )
    log.say("listening", listener="data", host="127.0.0.1", port=1)
    log.close()
    first, second = os.read(pipe[0], 65536).decode().splitlines()
    assert first == (
        "08:00:00.123 throttle 429 POST /v1/messages acme "
        "shape: rate_exceeded (limit=1/second) shadow: other 1 ms"
    )
    assert second.endswith("listening listener=data host=127.0.0.1 port=1")


def test_colour_is_for_terminals() -> None:
    shown = ConsoleRenderer(colour=True)(None, "", {**event("block"), "timestamp": "x" * 23})
    assert "\x1b[31mblock" in shown
