"""`excise explain`: the decision on one request, from the log that a real process wrote."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.replay.source import zstd
from tests.support.excise import running_excise
from tests.support.inside import CHAT, post

TOKEN = "t0k3n-t0k3n-t0k3n-t0k3n"
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


def test_a_packed_log_is_read_as_it_is(log: tuple[Path, list[str]], tmp_path: Path) -> None:
    file, (_, refused) = log
    text = file.read_bytes()
    for name, packed in (("a.gz", gzip.compress(text)), ("a.zst", zstd.compress(text))):
        (tmp_path / name).write_bytes(packed)
        assert run(refused, "--events", str(tmp_path / name)) == run(refused, "--events", str(file))
    (tmp_path / "broken.gz").write_bytes(gzip.compress(text)[:-20])
    code, said = run("01ARZ3NDEKTSV4RRFFQ69G5FAV", "--events", str(tmp_path / "broken.gz"))
    assert code == 1
    assert "damaged" in said


def test_an_event_tells_what_would_have_changed_it_and_what_shadow_would_have_done(
    log: tuple[Path, list[str]],
) -> None:
    file, (_, refused) = log
    _, text = run(refused, "--events", str(file))
    assert "├─ it would have been otherwise: 35" in text
    assert " s later → allow" in text
    assert "├─ had all shadow rules been enforced: block by watched: rate_exceeded" in text
    assert "│  └─ watched alone: block by watched: rate_exceeded" in text


def asked(admin: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("EXCISE_")}
    environ |= {
        "EXCISE_ADMIN_TOKEN": TOKEN,
        "EXCISE_ADMIN_LISTEN": admin.removeprefix("http://"),
    }
    return subprocess.run(
        [sys.executable, "-m", "proxy.cli", "explain", *arguments],
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_running_process_explains_what_it_has_just_decided(tmp_path: Path) -> None:
    with running_excise(tmp_path, POLICY, admin_token=TOKEN) as excise:
        ids = []
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", excise.ports["data"])) as client:
                client.sendall(post(CHAT, headers=("Authorization: Bearer sk-zanzibar",)))
                client.recv(65536)
            ids.append(excise.wait_for("request")["request_id"])
        told = asked(excise.admin_url, ids[1].lower())
        assert told.returncode == 0, told.stderr
        lines = told.stdout.splitlines()
        assert lines[0].startswith(ids[1])
        assert "├─ rules: 2 of 3 were about it" in lines
        assert "│  ├─ few (rate_limit), per address: rate_exceeded, throttle" in lines
        assert "│  │  ├─ read: 0 of 1 requests at once left, 1 in 1h" in lines
        assert (
            "│  └─ by-user (rate_limit): not about it: found nobody to count: no end_user" in lines
        )
        assert any(line.startswith("├─ it would have been otherwise: ") for line in lines)
        assert "│  ├─ few, or else: 1 request fewer before it; with a burst of 2 and not 1" in lines
        assert "│  └─ without few in force: allow" in lines
        assert "├─ had all shadow rules been enforced: block by watched: rate_exceeded" in lines
        passed = asked(excise.admin_url, ids[0], "--json")
        said = json.loads(passed.stdout)
        assert said["event"]["decision"] == "allow"
        assert [one["rule"] for one in said["nearest"]] == ["few", "watched"]
        for text in (told.stdout, passed.stdout):
            assert "zanzibar" not in text
            assert '"hi"' not in text
        unknown = asked(excise.admin_url, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert "No request 01ARZ3NDEKTSV4RRFFQ69G5FAV is kept here" in unknown.stderr
        odd = asked(excise.admin_url, "what")
        assert (odd.returncode, "An id is the text of X-Excise-Request-Id." in odd.stderr) == (
            1,
            True,
        )


REQUEST = """POST /v1/chat/completions HTTP/1.1
Host: api.example.com
Authorization: Bearer sk-1
Content-Type: application/json
Content-Length: 7

{"model":"m","messages":[{"role":"user","content":"What is the height of the tower?"}]}
"""


def what_if(folder: Path, request: str, *more: str, policy: str = POLICY) -> tuple[int, str]:
    (folder / "request.txt").write_text(request)
    (folder / "policy.yaml").write_text(policy)
    files = ("--request", str(folder / "request.txt"), "--policy", str(folder / "policy.yaml"))
    return run(*files, *more)


def test_a_what_if_puts_a_request_through_the_line(tmp_path: Path) -> None:
    code, text = what_if(tmp_path, REQUEST, "--address", "198.51.100.7")
    assert code == 0, text
    lines = text.splitlines()
    assert "├─ what: POST /v1/chat/completions m" in lines
    assert any("from 198.51.100.7" in line for line in lines)
    assert "├─ decision: allow, passed on to the model" in lines
    assert "├─ forwarded: as it came" in lines
    assert "│  ├─ few, 100.0% used: 1 request more at once → throttle" in lines
    assert lines[-1].startswith("└─ answer: 200, 256 output tokens")


def test_a_what_if_tells_what_would_be_forwarded(tmp_path: Path) -> None:
    policy = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - name: rented
    kind: datacenter_ip
    kinds: [private]
    action: {degrade: [{cap_output_tokens: 64}, strip_logprobs]}
"""
    code, text = what_if(tmp_path, REQUEST, policy=policy)
    assert code == 0, text
    assert "├─ decision: degrade, passed on, degraded" in text
    assert "├─ forwarded: less strip_logprobs, cap_output_tokens: 64" in text
    assert "├─ it would have been otherwise: from an address" in text


def test_a_what_if_many_times_shows_when_it_turns(tmp_path: Path) -> None:
    policy = POLICY.replace(
        "limit: 1/hour, burst: 1, action: throttle", "limit: 6/minute, burst: 3, action: throttle"
    )
    code, text = what_if(tmp_path, REQUEST, "--times", "9", "--every", "2s", policy=policy)
    assert code == 0, text
    head = [line.split() for line in text.splitlines()[:5]]
    assert head[0] == ["1-3", "after", "0.0", "s", "allow"]
    assert head[1] == ["4-5", "after", "6.0", "s", "throttle", "by", "few"]
    assert head[2] == ["6", "after", "10.0", "s", "allow"]
    assert head[3] == ["7-9", "after", "12.0", "s", "throttle", "by", "few"]
    assert "it would have been otherwise: 4 s later → allow" in text
    _, told = what_if(tmp_path, REQUEST, "--times", "9", "--every", "2s", "--json", policy=policy)
    said = json.loads(told)
    assert said["decisions"][3] == "throttle by few"
    assert said["flip"]["changes"] == ["4 s later"]


def test_a_what_if_takes_a_line_of_traffic_and_an_accounts_file(tmp_path: Path) -> None:
    line = {
        "t": 5.0,
        "population": "p",
        "label": "benign",
        "account": "a",
        "declared": {"account": "acme", "tier": "pro", "profile": "rag"},
        "address": "198.51.100.7",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [["Authorization", "Bearer sk-1"]],
        "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
        "response": {"status": 200, "output_tokens": 9},
    }
    code, text = what_if(tmp_path, json.dumps(line))
    assert code == 0, text
    assert "├─ who: acme (by accounts file), from 198.51.100.7" in text
    assert "9 output tokens" in text
    code, text = what_if(tmp_path, json.dumps(line) + "\n" + json.dumps(line))
    assert (code, "holds 2 requests, and one is asked for" in text) == (1, True)


@pytest.mark.parametrize(
    ("request_text", "said"),
    [
        ("hello\n\n", "request.txt:1: must be a request line"),
        ("POST / HTTP/1.1\nnonsense\n\n{}", "request.txt:2: must be a header"),
        ('{"t": 1}', "request.txt:1: "),
    ],
)
def test_a_request_with_mistakes_is_told_where(
    tmp_path: Path, request_text: str, said: str
) -> None:
    code, text = what_if(tmp_path, request_text)
    assert code == 1
    assert said in text


def test_a_policy_with_mistakes_and_missing_words_are_told(tmp_path: Path) -> None:
    code, text = what_if(tmp_path, REQUEST, policy="version: 2\n")
    assert (code, "policy.yaml:1:10" in text) == (1, True)
    assert run()[0] == 2
    assert run("--request", str(tmp_path / "request.txt"))[0] == 2
    code, text = what_if(tmp_path, REQUEST, "--address", "nowhere")
    assert (code, "not an IP address" in text) == (2, True)
