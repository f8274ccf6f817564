"""Lines of labelled traffic for tests, made from a few words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from proxy.policy.load import parse
from proxy.policy.model import Policy
from proxy.replay.records import Record, read_records
from proxy.replay.result import Result
from proxy.replay.source import Source
from proxy.replay.world import World

Line = dict[str, Any]


def line(t: float, prompt: str = "hello there", key: str | None = "sk-one", **more: Any) -> Line:
    """One chat request; `more` replaces fields, those of `response` and `body` one by one."""
    response = {"status": 200, "input_tokens": 10, "output_tokens": 100, "duration": 0.0}
    body: Any = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    headers = [["Host", "api.test"], ["Content-Type", "application/json"]]
    if key is not None:
        headers.append(["Authorization", f"Bearer {key}"])
    given = more.pop("body", {})
    return {
        "t": t,
        "population": "people",
        "label": "benign",
        "account": key or "nobody",
        "campaign": None,
        "address": "203.0.113.7",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": headers,
        "body": body | given if isinstance(given, dict) else given,
        "response": response | more.pop("response", {}),
        **more,
    }


def written(file: Path, lines: Iterable[Line]) -> Path:
    """The lines in a file."""
    file.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return file


def records(folder: Path, lines: Iterable[Line]) -> list[Record]:
    """The lines as records."""
    with Source(written(folder / "traffic.jsonl", lines)) as source:
        return list(read_records(source))


def policy(text: str) -> Policy:
    """A policy that vouches for every key, with these rules."""
    head = "" if "keys:" in text else "keys: {missing: allow, unknown: allow}\n"
    return parse(f"version: 1\n{head}{text}", "policy.yaml")


def replayed(folder: Path, lines: Iterable[Line], text: str, **given: Any) -> list[Result]:
    """What becomes of the lines by a policy's text."""
    return list(World(policy(text), **given).run(records(folder, lines)))


def words(results: Iterable[Result]) -> list[str]:
    return [result.word for result in results]
