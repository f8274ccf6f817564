"""From a scenario to the report, with the real replay, on a handful of accounts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.detection.__main__ import main
from bench.detection.generate import generate, settings
from tests.detection.conftest import scenario

records = pytest.importorskip("proxy.replay.records", reason="replay is not here yet")
sources = pytest.importorskip("proxy.replay.source", reason="replay is not here yet")

SMALL = """\
name: small
seeds: [3, 4]
days: 0.5
half: 0
populations:
  - {name: loud_key, kind: loud_key, accounts: 1, per_day: 1, per_minute: 900, requests: 300,
     network: hosting}
  - {name: hydra_2k_residential, kind: hydra, accounts: 3, per_day: 26, network: isp}
  - {name: rag, kind: rag, accounts: 2, per_day: 40}
"""


@pytest.mark.parametrize("name", ["testing/harvests", "tuning/hydra"])
def test_the_replay_reads_every_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / "t.jsonl.zst"
    summary = generate(file, settings(scenario(name), 7, None, scale=0.002, days=0.25))
    with sources.Source(file) as source:
        found = list(records.read_records(source))
    assert len(found) == sum(row["lines"] for row in summary.values())
    assert {one.label for one in found} <= {"harvest", "benign", "ambiguous"}
    assert any(one.declared is not None for one in found)


def test_a_run_is_scored_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(SMALL, encoding="utf-8")
    assert main(["run", str(file), "--grammar", "--baselines", "--out", str(out)]) == 0
    told = {path.name for path in out.glob("*.result.json")}
    assert told == {
        f"small-{seed}-{policy}.result.json"
        for seed in (3, 4)
        for policy in ("default", "plain-limits", "no-datacenters")
    }
    limited = json.loads((out / "small-3-plain-limits.result.json").read_text("utf-8"))
    loud = limited["populations"]["loud_key"]
    assert loud["throttle"] > 0.5
    assert loud["refused_beyond_limits"] == 0
    strict = json.loads((out / "small-3-no-datacenters.result.json").read_text("utf-8"))
    assert strict["populations"]["loud_key"]["tokens_through"] == 0.0
    assert strict["populations"]["hydra_2k_residential"]["tokens_through"] == 1.0
    assert main(["report", "--out", str(out)]) == 0
    report = (out / "report" / "scoreboard.md").read_text("utf-8")
    assert "| hydra_2k_residential: tokens prevented | ≥ 80 % |" in report
    assert "| plain-limits |" in report
    for chart in ("trade-off-small.svg", "leaked-small.svg"):
        assert f"]({chart})" in report
        assert (out / "report" / chart).read_text("utf-8").rstrip().endswith("</svg>")
    capsys.readouterr()


def test_traffic_is_made_again_only_where_something_has_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(SMALL, encoding="utf-8")
    arguments = ["generate", str(file), "--grammar", "--out", str(out), "--seeds", "1"]
    main(arguments)
    made = out / "small-3.jsonl.zst"
    first = made.stat().st_mtime_ns
    main(arguments)
    assert made.stat().st_mtime_ns == first
    main([*arguments, "--days", "0.3"])
    assert made.stat().st_mtime_ns != first
    capsys.readouterr()
