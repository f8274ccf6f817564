"""
`python -m bench.networks [--quality]`: what knowing networks costs, and how well it tells.

Load time and memory are those of a fresh process; a lookup's cost is the best of 25 rounds over
20,000 addresses of random announced ranges, with no cache of addresses in between (what their
networks are is made once a network). `--quality` judges
the labelled addresses under EXCISE_EVAL_DATA (default `../shared/data`), in two halves by a hash of the
AS number: the rules and the hand-kept names were tuned looking at the `even` half alone.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import ipaddress
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from proxy.networks.lookup import Networks
from proxy.networks.pack import embedded

RUNS, ROUNDS, ADDRESSES = 5, 25, 20_000
FLAGGED = frozenset({"hosting", "relay", "tor", "vpn"})
_LOAD = """
import json, time
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
import ipaddress, csv, re, array, socket, proxy.facts, proxy.errors, proxy.networks.pack as room
before, began = resident(), time.perf_counter()
room.embedded()
print(json.dumps([time.perf_counter() - began, resident() - before]))
"""


def load() -> tuple[float, float]:
    """Median seconds and bytes of loading the pack in a process of its own."""
    runs = [
        json.loads(
            subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, check=True).stdout
        )
        for _ in range(RUNS)
    ]
    seconds, grown = (sorted(column)[RUNS // 2] for column in zip(*runs, strict=True))
    return seconds, grown


def addresses(*, wide: bool) -> list[str]:
    """Addresses of random ranges that somebody announces."""
    chance = random.Random(20261123)
    table = embedded().tables[wide]
    info = embedded().info
    announced = [at for at, record in enumerate(table.values) if info(record).asn is not None]
    found = []
    for at in chance.choices(announced, k=ADDRESSES):
        number = table.starts[at]
        found.append(
            str(
                ipaddress.IPv6Address(number << 64 | chance.getrandbits(64))
                if wide
                else ipaddress.IPv4Address(number)
            )
        )
    return found


def microseconds(networks: Networks, *, wide: bool) -> float:
    """Cost of a lookup."""
    texts, lookup = addresses(wide=wide), networks.lookup
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for text in texts:
            lookup(text)
        best = min(best, time.perf_counter() - began)
    return best / len(texts) * 1e6


def half(asn: int | None) -> str:
    """The half that an AS number belongs to."""
    return ("even", "odd")[hashlib.sha256(str(asn).encode()).digest()[-1] % 2]


def quality(networks: Networks, points: Path) -> str:
    """A Markdown table by label and half."""
    kinds: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with gzip.open(points, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            info = networks.lookup(row["ip"])
            asn = int(row["asn"]) if row["asn"] else info.asn
            kinds[row["label"], half(asn)][info.kind] += 1
    lines = [
        "| label | half | points | strictly | flagged | told as |",
        "|---|---|---|---|---|---|",
    ]
    for (label, part), told in sorted(kinds.items()):
        count = told.total()
        flagged = sum(told[kind] for kind in FLAGGED)
        shares = ", ".join(f"{kind} {n / count:.1%}" for kind, n in told.most_common(4))
        strictly = f"{told[label] / count:.1%}" if label in _KINDS else ""
        lines.append(
            f"| {label} | {part} | {count} | {strictly} | {flagged / count:.1%} | {shares} |"
        )
    return "\n".join(lines)


_KINDS = FLAGGED | {"mobile"}


def main() -> int:
    """Print what was asked for; 1 where a bound is broken or the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quality", action="store_true", help="judge labelled addresses")
    asked = parser.parse_args()
    networks = Networks(embedded())
    if asked.quality:
        default = Path(__file__).parents[2] / "shared" / "data"
        points = Path(os.environ.get("EXCISE_EVAL_DATA", default)) / "ip" / "points.csv.gz"
        if not points.exists():
            sys.stderr.write(f"no evaluation data: {points} is not there; set EXCISE_EVAL_DATA\n")
            return 1
        print(quality(networks, points))
        return 0
    seconds, grown = load()
    figures = {
        "load, ms (at most 200)": (seconds * 1e3, 200.0),
        "memory, MB (at most 40)": (grown / 1e6, 40.0),
        "IPv4 lookup, µs (at most 2)": (microseconds(networks, wide=False), 2.0),
        "IPv6 lookup, µs (at most 2)": (microseconds(networks, wide=True), 2.0),
    }
    for name, (figure, bound) in figures.items():
        print(f"{name}: {figure:.2f}{'' if figure <= bound else '  ABOVE'}")
    return int(any(figure > bound for figure, bound in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
