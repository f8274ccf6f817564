"""
`python -m bench.replay`: requests per CPU second of a replay, on traffic made here.

The traffic is a day of many accounts: conversations that go on, and crawls that ask one thing each.
Prompts come out of the evaluation data where it is there (EXCISE_EVAL_DATA), else out of a small
grammar; the record is made anew each time, from a seed, and nothing of it is kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.assembly import collect_garbage_less
from proxy.policy.load import load
from proxy.policy.shipped import shipped
from proxy.replay.records import read_records
from proxy.replay.result import line
from proxy.replay.source import Source
from proxy.replay.tally import Tally
from proxy.replay.world import World

DATA = Path(os.environ.get("EXCISE_EVAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
DAY_S = 86_400.0
VOCABULARY = (
    "tell explain write the a of and about their garden engine market river history with for from under "
    "small number question simple letter people water light model story answer reason before between "
    "account order payment table function error value list day week city music paper train winter doctor"
)
WORDS = VOCABULARY.split()
AGENTS = ("OpenAI/Python 1.99.1", "OpenAI/Python 1.101.0", "AsyncOpenAI/Python 1.99.1")


def grammar(draw: random.Random) -> list[str]:
    """Prompts where there is no data."""
    return [
        " ".join(draw.choice(WORDS) for _ in range(draw.randint(8, 120))).capitalize() + "."
        for _ in range(5000)
    ]


def prompts_of(name: str) -> list[str]:
    """The prompts of one file of the evaluation data."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as rows:
        found = []
        for row in rows:
            turns = [turn["content"] for turn in json.loads(row)["turns"] if turn["content"]]
            found.append(str(turns[-1]))
    return found


def corpus(draw: random.Random) -> tuple[str, list[str], list[str]]:
    """(where from, prompts of users, prompts of crawls)."""
    if (DATA / "prompts_benign_arena.jsonl.gz").exists():
        users = prompts_of("prompts_benign_arena.jsonl.gz")
        users += prompts_of("prompts_benign_banking77.jsonl.gz")
        return "evaluation data", users, prompts_of("prompts_harvest_alpaca.jsonl.gz")
    made = grammar(draw)
    return "grammar", made, made


class Caller:
    """One account at work."""

    def __init__(self, number: int, draw: random.Random, prompts: list[str]) -> None:
        self.crawls = number % 10 == 0
        self.account = f"account-{number}"
        self.key = f"sk-{draw.getrandbits(160):040x}"
        self.agent = draw.choice(AGENTS)
        self.address = f"{draw.randint(11, 99)}.{draw.randint(0, 255)}.{draw.randint(0, 255)}.7"
        self.prompts = prompts
        self.system = " ".join(draw.choice(WORDS) for _ in range(150))
        self.turns: list[dict[str, str]] = []

    def record(self, t: float, draw: random.Random) -> dict[str, Any]:
        """The account's next request."""
        prompt = draw.choice(self.prompts)
        if self.crawls or len(self.turns) > 8:
            self.turns = []
        self.turns.append({"role": "user", "content": prompt})
        messages = [*self.turns]
        if not self.crawls:
            messages.insert(0, {"role": "system", "content": self.system})
        body = {"messages": messages, "model": "m-large", "temperature": 0.7, "stream": True}
        made = draw.randint(40, 900)
        self.turns.append({"role": "assistant", "content": " ".join(WORDS[: made % len(WORDS)])})
        return {
            "t": round(t, 3),
            "population": "crawl" if self.crawls else "chat",
            "label": "harvest" if self.crawls else "benign",
            "account": self.account,
            "campaign": None,
            "address": self.address,
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": [
                ["Host", "api.example.com"],
                ["Accept-Encoding", "gzip, deflate"],
                ["Connection", "keep-alive"],
                ["Accept", "application/json"],
                ["Content-Type", "application/json"],
                ["User-Agent", self.agent],
                ["X-Stainless-Lang", "python"],
                ["X-Stainless-Package-Version", "1.99.1"],
                ["X-Stainless-OS", "Linux"],
                ["X-Stainless-Arch", "x64"],
                ["X-Stainless-Runtime", "CPython"],
                ["Authorization", f"Bearer {self.key}"],
                ["Content-Length", "1000"],
            ],
            "body": body,
            "response": {
                "status": 200,
                "input_tokens": 20 + sum(len(turn["content"]) for turn in messages) // 4,
                "output_tokens": made,
                "duration": round(made / 60, 3),
            },
        }


def traffic(requests: int, draw: random.Random) -> Iterator[bytes]:
    """A day of traffic, line by line."""
    _, users, crawled = corpus(draw)
    callers = [
        Caller(number, draw, crawled if number % 10 == 0 else users)
        for number in range(max(20, requests // 100))
    ]
    t = 0.0
    for _ in range(requests):
        t += draw.expovariate(requests / DAY_S)
        record = draw.choice(callers).record(t, draw)
        yield json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def measured(file: Path, policy: Path) -> tuple[int, float]:
    """(requests, CPU seconds) of one replay, decisions and tally included."""
    world, tally, size = World(load(policy)), Tally(), 0
    collect_garbage_less()
    with Source(file) as source:
        started = time.process_time()
        for result in world.run(read_records(source)):
            size += len(line(result))
            tally.add(result)
        return tally.requests, time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--policy", type=Path, default=shipped("default.yaml"))
    parser.add_argument("--keep", type=Path, help="write the traffic there, and end")
    given = parser.parse_args()
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        file = given.keep or Path(folder) / "traffic.jsonl"
        with file.open("wb") as out:
            for made in traffic(given.requests, draw):
                out.write(made)
        if given.keep:
            return
        print(
            f"{given.requests} requests out of {corpus(draw)[0]}, {file.stat().st_size / 1e6:.0f} MB"
        )
        for _ in range(given.rounds):
            requests, seconds = measured(file, given.policy)
            print(
                f"{requests / seconds:,.0f} requests per CPU second, {1e6 * seconds / requests:.0f} µs each"
            )


if __name__ == "__main__":
    main()
