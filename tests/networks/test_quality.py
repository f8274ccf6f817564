"""How well kinds are told, on labelled addresses that are not part of the repository."""

from __future__ import annotations

import csv
import gzip
import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from bench.networks import FLAGGED, half
from proxy.networks.lookup import Networks
from proxy.networks.pack import embedded

DATA = Path(os.environ.get("EXCISE_EVAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
POINTS = DATA / "ip" / "points.csv.gz"


@pytest.fixture(scope="module")
def told() -> dict[tuple[str, str], Counter[str]]:
    """Kinds that are told, by label and half."""
    if not POINTS.exists():
        pytest.skip(f"no evaluation data: {POINTS} is not there; set EXCISE_EVAL_DATA")
    networks = Networks(embedded())
    kinds: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with gzip.open(POINTS, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            info = networks.lookup(row["ip"])
            asn = int(row["asn"]) if row["asn"] else info.asn
            kinds[row["label"], half(asn)][info.kind] += 1
    return kinds


@pytest.mark.parametrize("part", ["even", "odd"])
def test_servers_are_told_and_people_are_not_taken_for_servers(
    told: dict[tuple[str, str], Counter[str]], part: str
) -> None:
    def share(label: str, kinds: frozenset[str]) -> float:
        found = told[label, part]
        return sum(found[kind] for kind in kinds) / found.total()

    assert share("hosting", frozenset({"hosting"})) >= 0.75
    assert share("vpn", FLAGGED) >= 0.85
    assert share("vpn", frozenset({"vpn"})) >= 0.78
    assert share("relay", frozenset({"relay"})) >= 0.99
    for people in ("residential", "mobile", "enterprise_gateway"):
        assert share(people, FLAGGED) <= 0.005
