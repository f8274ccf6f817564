"""
honeypotllm's suspicion score on labelled traffic, as decisions on standard output.

    PYTHON-WITH-HONEYPOTLLM bench/detection/peers/honeypotllm_judge.py TRAFFIC

It needs that package and nothing of Excise. Defaults as it ships them. It never refuses: above its
threshold it watermarks what it answers, which stands here as `degrade` with all tokens let through,
for the watermark takes none. Its scorer reads the clock itself, so the clock is the traffic's. It
reads prompts of chats alone, as its middleware does; other bodies are scored without one.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_START = 4_000_000_000.0
"""Later than any real clock: a new key's state takes its first time from that one, and a score decays by
how long ago that was. From before it, scores would rise by themselves."""


class _Clock:
    now = _START

    def time(self) -> float:
        return self.now


def _lines(file: Path) -> Iterator[bytes]:
    if file.suffix == ".gz":
        with gzip.open(file) as rows:
            yield from rows
    elif file.suffix == ".zst":
        with subprocess.Popen(["zstd", "-dcq", str(file)], stdout=subprocess.PIPE) as process:
            yield from process.stdout or ()
    else:
        with file.open("rb") as rows:
            yield from rows


def _key(headers: Iterable[list[str]]) -> str:
    for name, value in headers:
        if name.lower() in {"authorization", "x-api-key"}:
            return value
    return ""


def _prompt(body: Any) -> str:
    try:
        found = json.loads(body) if isinstance(body, str) else body
        content = found["messages"][-1]["content"]
    except (KeyError, IndexError, TypeError, ValueError):
        return ""
    return content if isinstance(content, str) else ""


def main(file: Path) -> None:
    from honeypotllm import scoring  # noqa: PLC0415 - here alone it need not be installed
    from honeypotllm.config import ScoringConfig  # noqa: PLC0415

    clock = _Clock()
    scoring.time = clock
    scorer = scoring.SuspicionScorer(ScoringConfig())
    for number, text in enumerate(_lines(file)):
        line = json.loads(text)
        decision = {"i": number, "decision": "skipped", "delay_s": 0.0, "output_tokens": 0}
        if "if_refused" not in line:  # nothing is ever refused, so no retry happens
            clock.now = _START + line["t"]
            key = scorer.hash_key(_key(line["headers"]))
            response = line["response"]
            found = scorer.score_request(
                key, prompt=_prompt(line["body"]), input_tokens=response["input_tokens"]
            )
            decision["decision"] = "degrade" if found.should_honeypot else "allow"
            decision["output_tokens"] = response["output_tokens"]
        decision |= {"rules": [], "shadow": [], "campaign": None, "ban": False}
        print(json.dumps(decision))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
