"""`excise demo` through its command: those who harvest are met, and nobody else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main

BENIGN = ("chat user", "support bot", "coding agent")


@pytest.mark.timeout(120)
def test_harvesters_are_met_and_nobody_else(tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"
    result = CliRunner(env={"COLUMNS": "150"}).invoke(
        main, ["demo", "--seconds", "12", "--save", str(picture)]
    )
    assert result.exit_code == 0, result.output
    rows = dict(row(line) for line in result.output.splitlines() if line.startswith("│"))
    for name in BENIGN:
        allowed, *met = rows[name]
        assert (allowed > 0, met) == (True, [0, 0, 0]), name
    assert rows["wide crawl"][1] > 0, "delayed for its content"
    assert rows["resold key"][3] > 0, "banned for content and client"
    assert rows["trial scraper"][2] > 0, "throttled by its tier's rate"
    assert "wide crawl" in re.sub(r"&#160;", " ", picture.read_text(encoding="utf-8"))


def row(line: str) -> tuple[str, list[int]]:
    """(client, requests allowed, delayed, throttled, blocked)."""
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    return cells[0], [0 if cell == "·" else int(cell) for cell in cells[2:6]]
