"""`excise explain`: the decision on one request, from the log that a real process wrote."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from tests.support.excise import running_excise
from tests.support.inside import CHAT, post

POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: few, kind: rate_limit, per: address, limit: 1/hour, burst: 1, action: throttle}
  - {name: watched, kind: rate_limit, per: address, limit: 1/hour, burst: 1, action: block, mode: shadow}
  - {name: by-user, kind: rate_limit, per: end_user, limit: 9/hour, action: throttle}
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A log and the ids of its two requests: one passed, one refused."""
    folder = tmp_path_factory.mktemp("explain")
    with running_excise(folder, POLICY) as excise:
        ids = []
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", excise.ports["data"])) as client:
                client.sendall(post(CHAT))
                client.recv(65536)
            ids.append(excise.wait_for("request")["request_id"])
        excise.terminate()
        excise.wait_for("drain_finished")
        file = folder / "events.log"
        file.write_text("no event\n" + excise.log_text, encoding="utf-8")
    return file, ids


def run(*arguments: str, given: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["explain", *arguments], input=given)
    return result.exit_code, result.output


def test_a_refusal_is_explained_with_its_evidence(log: tuple[Path, list[str]]) -> None:
    file, (_, refused) = log
    code, text = run(refused, "--events", str(file))
    lines = text.splitlines()
    assert code == 0
    assert lines[0].startswith(refused)
    assert "├─ decision: throttle, refused for now" in lines
    assert "│  ├─ by few (rate_limit): rate_exceeded" in lines
    assert "│  │  ├─ subject: address" in lines
    assert "│  │  ├─ limit: 1/hour" in lines
    assert "│  ├─ in shadow, would have acted: watched" in lines
    assert "│  ├─ found nobody to count: by-user" in lines
    assert "│  ├─ store: counted in the store" in lines
    assert lines[-1].startswith("└─ answer: 429")


def test_whose_suspicion_it_was_is_told_and_that_of_others_too() -> None:
    wanted = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    found = ["suspicion:account", "suspicion:subnet", "loud"]
    event = {
        "event": "request",
        "level": "warning",
        "timestamp": "2026-02-03T09:14:05.000Z",
        "request_id": wanted,
        "decision": "throttle",
        "rule": "suspicion",
        "kind": "suspicion",
        "reason": "suspicion_reached",
        "evidence": {"subject": "account", "suspicion": 40.0, "at": 30.0},
        "findings": found,
    }
    code, text = run(wanted, "--events", "-", given=json.dumps(event))
    assert code == 0
    assert "│  │  ├─ subject: account" in text
    assert "also found, weaker: suspicion:subnet, loud" in text


def test_what_passed_is_explained_too_also_from_standard_input(
    log: tuple[Path, list[str]],
) -> None:
    file, (passed, _) = log
    code, text = run(passed.lower(), "--events", "-", given=file.read_text())
    assert code == 0
    assert "decision: allow, passed on to the model" in text
    assert "└─ answer: 200" in text


def test_an_unknown_id_is_an_error(log: tuple[Path, list[str]]) -> None:
    code, text = run("01ARZ3NDEKTSV4RRFFQ69G5FAV", "--events", str(log[0]))
    assert code == 1
    assert "no request 01ARZ3NDEKTSV4RRFFQ69G5FAV" in text
