"""Reading event logs: lines of JSON from a file or standard input, followed over rotations."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from proxy.clock import time_of
from proxy.replay.eventline import mistake
from proxy.replay.source import Source

POLL_S = 0.2


def event_of(line: bytes) -> dict[str, Any] | None:
    """The event on a line; None for what is none, such as another process's output."""
    try:
        event = orjson.loads(line)
        if type(event) is not dict or not isinstance(event.get("event"), str):
            return None
        time_of(event["timestamp"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return event if event["event"] != "request" or mistake(event) is None else None


def lines_of(file: Path | None) -> Iterator[bytes]:
    """The lines that are there, unpacked where they are gzip or zstd; standard input where `file` is None.

    Raises ConfigurationError for what cannot be read.
    """
    if file is None and not hasattr(sys.stdin.buffer, "peek"):
        yield from sys.stdin.buffer  # what stands for standard input is no pipe, and packed by nobody
        return
    with Source(file) as source:
        yield from source.lines()


def follow(file: Path, *, from_start: bool = False) -> Iterator[bytes | None]:
    """New lines as they come, and None while there are none: then the caller may do as it likes.

    A file that is replaced or cut short, as rotation does, is read on from its new beginning once
    the old one has been read to its end.
    """
    opened: IO[bytes] | None = None
    rest = b""
    try:
        while True:
            if opened is None:
                opened = _opened(file, from_start=from_start)
                from_start, rest = True, b""
            data = opened.read(1 << 16) if opened is not None else b""
            if data:
                *whole, rest = (rest + data).split(b"\n")
                yield from whole
                continue
            if opened is not None and _replaced(file, opened):
                opened.close()
                opened = None
                if rest:
                    yield rest
                continue
            yield None
            time.sleep(POLL_S)
    finally:
        if opened is not None:
            opened.close()


def _opened(file: Path, *, from_start: bool) -> IO[bytes] | None:
    try:
        opened = file.open("rb", buffering=0)
    except FileNotFoundError:
        return None
    if not from_start:
        opened.seek(0, 2)
    return opened


def _replaced(file: Path, opened: IO[bytes]) -> bool:
    try:
        found = file.stat()
    except FileNotFoundError:
        return False  # moved away, its successor not yet made: more may still come into the old one
    here = opened.tell()
    mine = os.fstat(opened.fileno())
    return (found.st_ino, found.st_dev) != (mine.st_ino, mine.st_dev) or found.st_size < here
