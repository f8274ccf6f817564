"""
`python -m tests.fuzz [TARGET …] [--seconds N]`: try inputs on each target, guided by the lines they reach.

With atheris installed that is libFuzzer's work, a process for each target; it has no wheel for every
machine, so that without it a plain mutator does it. Either way an input that reaches a new line of the
product joins the corpus. Nothing is assumed of an input that breaks a target but its bytes: they are
written to `finding-TARGET`, exit code 1. The last lines are a table: target, engine, executions, findings.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.targets import TARGETS, Target

CORPUS = Path(__file__).parent / "corpus"
PRODUCT = str(Path(__file__).parents[2] / "proxy")
LONGEST = 4096
WORDS = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\n", b"\r\n\r\n", b"%2f", b"..", b"//", b"\x00"),
    *(b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\u0061", b"1e999", b"-0", b"9" * 30, b"null", b"true"),
    *(b"data: ", b"[DONE]", b"for=", b"[::1]", b"10.0.0.1", b"&a", b"*a", b"<<: ", b"!!python/x", b"? "),
    *(b"messages", b"contents", b"requests", b"model", b"rules:\n  - ", b"kind: ", b"per: ", b"Bearer "),
)  # fmt: skip


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        gone = chance.choice((0, 0, 1, 2, 8, 64))
        put = chance.choice(
            (
                chance.choice(WORDS),
                chance.randbytes(chance.choice((1, 2, 4))),
                b"",
                data[at : at + 32] * 2,
                (other := chance.choice(others))[chance.randrange(len(other) + 1) :][:64],
            )
        )
        data = data[:at] + put + data[at + gone :]
    return data[:LONGEST]


class Lines:
    """The lines of the product that have been reached."""

    def __init__(self) -> None:
        self.seen: set[tuple[object, int]] = set()

    def new(self, target: Callable[[], None]) -> bool:
        """Whether it reaches lines that nothing has reached before."""
        before = len(self.seen)
        sys.settrace(self._call)
        try:
            target()
        finally:
            sys.settrace(None)
        return len(self.seen) > before

    def _call(self, frame: FrameType, _: str, __: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(PRODUCT) else None

    def _line(self, frame: FrameType, _: str, __: Any) -> Any:
        self.seen.add((frame.f_code, frame.f_lineno))
        return self._line


def seeds(name: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((CORPUS / name).glob("*"))] or [b""]


@dataclass(frozen=True)
class Run:
    """What came of one target."""

    engine: str
    executions: int
    joined: int
    finding: bytes | None = None
    told: str = ""


def fuzz(name: str, target: Target, seconds: float, seed: int) -> Run:
    """By the plain mutator."""
    chance, lines, corpus = random.Random(seed), Lines(), seeds(name)
    for data in corpus:
        lines.new(lambda data=data: target(data))  # type: ignore[misc]
    done = joined = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(chance.choice(corpus), corpus, chance)
        done += 1
        try:
            # Tracing costs most of the time: untraced inputs look for findings alone.
            if chance.random() < 0.3:
                if lines.new(lambda data=data: target(data)):  # type: ignore[misc]
                    corpus.append(data)
                    joined += 1
                    keep(name, data)
            else:
                target(data)
        except Exception:
            return Run("mutator", done, joined, data, traceback.format_exc())
    return Run("mutator", done, joined)


def keep(name: str, data: bytes) -> None:
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def with_atheris(name: str, target: Target, seconds: float, seed: int) -> Run:
    """By libFuzzer, in a process of its own: it ends the process that it runs in."""
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "new"
        new.mkdir()
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.under_atheris",
            name,
            str(new),
            str(CORPUS / name),
        ]
        command += [
            f"-max_total_time={max(1, round(seconds))}",
            f"-max_len={LONGEST}",
            "-timeout=10",
        ]
        command += [f"-seed={seed % 2**31}", f"-artifact_prefix={folder}/finding-"]
        command += ["-print_final_stats=1"]
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        said = ran.stdout + ran.stderr
        counted = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
        done = int(counted[1]) if counted else 0
        broken = [file.read_bytes() for file in sorted(Path(folder).glob("finding-*"))]
        if ran.returncode and not broken:
            raise SystemExit(f"{name}: atheris failed\n{said[-4000:]}")
        joined = sum(keep_new(name, target, [file.read_bytes() for file in sorted(new.iterdir())]))
        return Run("atheris", done, joined, broken[0] if broken else None, said[-4000:])


def keep_new(name: str, target: Target, found: list[bytes]) -> Iterator[bool]:
    """Of what libFuzzer has found, what reaches a line that nothing kept has reached."""
    lines = Lines()
    for data in seeds(name):
        with contextlib.suppress(Exception):  # told already: the finding is one of the corpus
            lines.new(lambda data=data: target(data))  # type: ignore[misc]
    for data in sorted(found, key=len):
        with contextlib.suppress(Exception):
            if lines.new(lambda data=data: target(data)):  # type: ignore[misc]
                keep(name, data)
                yield True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--engine", choices=("atheris", "mutator"), help="atheris where it is there"
    )
    options = parser.parse_args()
    there = importlib.util.find_spec("atheris") is not None
    engine = with_atheris if (options.engine or "atheris") == "atheris" and there else fuzz
    if options.engine == "atheris" and not there:
        parser.error("atheris is not installed: `make fuzz` installs it where it has a wheel")
    table = ["| target | engine | executions | new inputs | findings |", "|---" * 5 + "|"]
    failed = False
    for name in options.targets or TARGETS:
        run = engine(name, TARGETS[name], options.seconds, options.seed)
        print(f"{name}: {run.executions:,} executions, seed {options.seed}", flush=True)
        if run.finding is not None:
            failed = True
            Path(f"finding-{name}").write_bytes(run.finding)
            print(f"{run.told}\n  FINDING in finding-{name}: {run.finding[:120]!r}", flush=True)
        found = 0 if run.finding is None else 1
        table.append(f"| {name} | {run.engine} | {run.executions:,} | {run.joined} | {found} |")
    print("\n" + "\n".join(table))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
