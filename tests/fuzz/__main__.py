"""
`python -m tests.fuzz [TARGET …] [--seconds N]`: try inputs on each target, guided by the lines they reach.

With atheris installed that is libFuzzer's work; it has no wheel for every machine, so that without it a
plain mutator does it: an input that reaches a new line of the product joins the corpus. Nothing is
assumed of an input that breaks a target but its bytes: they are written to `finding-TARGET`, exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable
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


def fuzz(name: str, target: Target, seconds: float, seed: int) -> tuple[int, int, bytes | None]:
    """(executions, inputs that joined the corpus, the finding if there is one)."""
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
            return done, joined, data
    return done, joined, None


def keep(name: str, data: bytes) -> None:
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def with_atheris(name: str, seconds: float) -> bool:
    """Never returns where atheris is there."""
    try:
        import atheris  # noqa: PLC0415 - not on every machine
    except ImportError:
        return False
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    options = [sys.argv[0], str(folder), f"-max_total_time={int(seconds)}", f"-max_len={LONGEST}"]
    atheris.instrument_all()
    atheris.Setup(options, TARGETS[name])
    atheris.Fuzz()
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    chosen = options.targets or list(TARGETS)
    if len(chosen) == 1 and with_atheris(chosen[0], options.seconds):
        return 0
    failed = False
    for name in chosen:
        done, joined, finding = fuzz(name, TARGETS[name], options.seconds, options.seed)
        print(f"{name}: {done:,} executions, {joined} new inputs, seed {options.seed}", flush=True)
        if finding is not None:
            failed = True
            Path(f"finding-{name}").write_bytes(finding)
            print(f"  FINDING in finding-{name}: {finding[:120]!r}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
