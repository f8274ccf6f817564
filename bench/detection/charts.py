"""Two charts: tokens leaked over time, and detection against false positives."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

from bench.detection.scoreboard import DAY, SLICES

MOST = 10
"""Lines of one chart: more cannot be told apart."""


def _config(**more: Any) -> dict[str, Any]:
    return {
        "js": [],
        "style": CleanStyle(font_family="sans-serif", background="white", plot_background="white"),
        "width": 900,
        "height": 480,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 3,
        "truncate_legend": 40,
        "no_prefix": True,
        "pretty_print": True,
        **more,
    }


def leaked(file: Path, title: str, lines: dict[str, dict[str, Any]], until: float) -> None:
    """
    For each population: output tokens let through so far, as a share of all that it asks for in the end.
    Whoever is let through whole rises to 100 %.
    """
    chart = pygal.XY(
        **_config(
            title=title,
            x_title="days",
            y_title="output tokens let through, % of all asked for",
            show_dots=False,
            range=(0, 100),
        )
    )
    for name, row in sorted(lines.items(), key=lambda one: -sum(one[1]["curve_through"]))[:MOST]:
        asked = sum(row["curve_asked"]) or 1
        sums = accumulate(row["curve_through"])
        days = until / DAY
        points = [(days * (at + 1) / SLICES, 100 * total / asked) for at, total in enumerate(sums)]
        chart.add(name, [(0.0, 0.0), *points])
    chart.render_to_file(str(file))


def trade_off(file: Path, title: str, points: dict[str, tuple[float, float]]) -> None:
    """For each policy: honest accounts that it acts on against harvested tokens that it prevents."""
    chart = pygal.XY(
        **_config(
            title=title,
            x_title="honest accounts refused or degraded, %",
            y_title="harvested output tokens prevented, %",
            stroke=False,
            dots_size=6,
        )
    )
    for name, (wrong, right) in points.items():
        chart.add(name, [(100 * wrong, 100 * right)])
    chart.render_to_file(str(file))
