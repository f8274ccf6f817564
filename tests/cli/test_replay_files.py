"""What `excise replay` writes: known to be writable before it begins, whole or not there, over no input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from tests.replay.traffic import line, written

POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules: [{name: pace, kind: rate_limit, per: api_key, limit: 2/minute, burst: 2, action: throttle}]
"""


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    return written(tmp_path / "traffic.jsonl", [line(float(t)) for t in range(5)])


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    return file


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, words)])


@pytest.mark.parametrize("option", ["--decisions", "--json", "--html", "--campaigns"])
@pytest.mark.parametrize("read", ["traffic.jsonl", "policy.yaml", "other.yaml", "link.jsonl"])
def test_nothing_that_is_read_is_written_over(
    traffic: Path, policy: Path, tmp_path: Path, option: str, read: str
) -> None:
    other, link = tmp_path / "other.yaml", tmp_path / "link.jsonl"
    other.write_text(POLICY, encoding="utf-8")
    link.symlink_to(traffic)
    before = (tmp_path / read).read_bytes()
    done = run(traffic, "--policy", policy, "--against", other, option, tmp_path / read)
    assert done.exit_code == 2
    assert f"{option} would write over what is read" in done.output
    assert (tmp_path / read).read_bytes() == before


def test_two_outputs_are_two_files(traffic: Path, policy: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    done = run(traffic, "--policy", policy, "--json", one, "--html", one)
    assert (done.exit_code, one.exists()) == (2, False)
    assert "--html would write over --json" in done.output
    done = run(traffic, "--policy", policy, "--json", "-", "--html", "-")
    assert "--json and --html cannot both go to standard output" in done.output


@pytest.mark.parametrize("option", ["--decisions", "--json", "--html", "--campaigns"])
def test_what_cannot_be_written_is_told_before_anything_is_replayed(
    traffic: Path, policy: Path, tmp_path: Path, option: str
) -> None:
    traffic.write_text("no JSON", encoding="utf-8")  # and is never reached
    done = run(traffic, "--policy", policy, option, tmp_path / "nowhere" / "file")
    assert done.exit_code == 1
    assert done.output.strip().endswith("file: cannot be written: No such file or directory")


@pytest.mark.parametrize("option", ["--decisions", "--json", "--html", "--campaigns"])
def test_a_replay_that_ends_early_leaves_what_was_there(
    traffic: Path, policy: Path, tmp_path: Path, option: str
) -> None:
    with traffic.open("a", encoding="utf-8") as file:
        file.write("no JSON")
    out = tmp_path / "out"
    out.write_text("of yesterday", encoding="utf-8")
    assert "traffic.jsonl:6: is no JSON" in run(traffic, "--policy", policy, option, out).output
    assert out.read_text(encoding="utf-8") == "of yesterday"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "out",
        "policy.yaml",
        "traffic.jsonl",
    ]
    written(traffic, [line(0.0)])
    assert run(traffic, "--policy", policy, option, out).exit_code == 0
    assert "of yesterday" not in out.read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("option", ["--decisions", "--json", "--html", None])
def test_a_full_disk_is_told_in_one_line(traffic: Path, policy: Path, option: str | None) -> None:
    words = [sys.executable, "-m", "proxy.cli", "replay", str(traffic), "--policy", str(policy)]
    words += [] if option is None else [option, "/dev/full"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            words,
            stdout=full if option is None else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
    name = "standard output" if option is None else "/dev/full"
    assert done.returncode == 1
    assert done.stderr.decode() == f"Error: {name}: cannot be written: No space left on device\n"


def test_a_page_goes_to_standard_output_alone(traffic: Path, policy: Path) -> None:
    done = run(traffic, "--policy", policy, "--html", "-")
    assert done.output.startswith("<!doctype html>")
    assert done.output.rstrip().endswith("</html>")


def test_a_closed_standard_input_is_told(policy: Path) -> None:
    words = [sys.executable, "-m", "proxy.cli", "replay", "-", "--policy", str(policy)]
    done = subprocess.run(words, preexec_fn=lambda: os.close(0), capture_output=True, check=False)
    assert done.stderr.decode() == "Error: <stdin>: cannot be read: it is closed\n"


def test_the_mistakes_of_both_policies_are_told_at_once(traffic: Path, tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(POLICY.replace("throttle", "throtle"), encoding="utf-8")
    done = run(traffic, "--policy", tmp_path / "a.yaml", "--against", tmp_path / "b.yaml")
    assert done.exit_code == 1
    assert "a.yaml:4:89: " in done.output
    assert "b.yaml:4:89: " in done.output
    done = run(traffic, "--policy", tmp_path / "a.yaml", "--against", tmp_path / "a.yaml")
    assert done.output.count("a.yaml:") == 1


def test_the_summary_is_json_with_decisions_beside_it(
    traffic: Path, policy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "decisions"
    done = run(traffic, "--policy", policy, "--json", "-", "--decisions", out)
    assert json.loads(done.stdout)["lines"] == 5
    assert len(out.read_text(encoding="utf-8").splitlines()) == 5


@pytest.fixture
def hang_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """What children make of a hang-up, however these tests were started: under nohup it is ignored."""
    before = signal.signal(signal.SIGHUP, getattr(request, "param", signal.SIG_DFL))
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_the_folder_as_it_was(
    policy: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    kept = {"decisions": "of yesterday", ".decisions.part": "somebody's own"}
    for name, text in kept.items():
        (folder / name).write_text(text, encoding="utf-8")
    words = [sys.executable, "-m", "proxy.cli", "replay", "-", "--policy", str(policy)]
    words += ["--decisions", str(folder / "decisions"), "--json", str(folder / "new.json")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(line(0)).encode() + b"\n")
        process.stdin.flush()
        until = time.monotonic() + 30
        while len(list(folder.iterdir())) < 4 and time.monotonic() < until:
            time.sleep(0.01)  # both outputs are open then, and the rest of the record is waited for
        assert len(list(folder.iterdir())) == 4
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 128 + number, told
    assert told == b""
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} == kept


@pytest.mark.usefixtures("hang_up")
@pytest.mark.parametrize("hang_up", [signal.SIG_IGN], indirect=True)
def test_a_hang_up_that_is_to_be_ignored_ends_nothing(policy: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "proxy.cli", "replay", "-", "--policy", str(policy)]
    words += ["--json", str(tmp_path / "new.json")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(line(0)).encode() + b"\n")
        process.stdin.flush()
        until = time.monotonic() + 30
        while not (parts := list(tmp_path.glob("*.part"))) and time.monotonic() < until:
            time.sleep(0.01)  # signals are heeded before the outputs are opened
        assert parts
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))["lines"] == 1


def test_a_name_may_be_as_long_as_the_system_has_it(
    traffic: Path, policy: Path, tmp_path: Path
) -> None:
    out = tmp_path / ("n" * 255)
    assert run(traffic, "--policy", policy, "--json", out).exit_code == 0
    assert json.loads(out.read_text(encoding="utf-8"))["lines"] == 5
