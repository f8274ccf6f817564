"""What the page of a replay is made of: sections, tables and charts. All text is escaped here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from markupsafe import Markup

from proxy.console import printable
from proxy.replay import charts

MAX_ROWS: Final = 200
"""Of a table."""
MAX_BARS: Final = 20
"""Of a chart."""
MAX_TEXT: Final = 400
"""Characters of one cell."""


def series_of(
    rows: list[dict[str, Any]], keys: dict[str, str], factor: float = 1
) -> dict[str, list[Any]]:
    """Values for a chart, by title: those of each row's keys."""
    return {
        title: [None if row[key] is None else factor * row[key] for row in rows[:MAX_BARS]]
        for title, key in keys.items()
    }


def bars(name: str, labels: Sequence[object], series: charts.Series, **more: Any) -> Markup:
    """Bars, the first of many."""
    chart = charts.bars(name, [_cell(label) for label in labels[:MAX_BARS]], series, **more)
    if len(labels) <= MAX_BARS:
        return chart
    return chart + caption(f"the first {MAX_BARS} of {len(labels):,}")


def section(title: str, *parts: Markup) -> Markup:
    """A part of the page under a title."""
    return Markup("<section><h2>{}</h2>{}</section>").format(title, Markup("").join(parts))


def caption(text: str) -> Markup:
    """A line of small text."""
    return filled(Markup('<p class="caption">{}</p>'), text)


def table(columns: Iterable[str], rows: Sequence[Sequence[object]]) -> Markup:
    """A table, the first rows of many; nothing where there are none."""
    if not rows:
        return Markup("")
    head = _each(Markup("<th>{}</th>"), columns)
    body = Markup("").join(
        Markup("<tr>{}</tr>\n").format(_each(Markup("<td>{}</td>"), row)) for row in rows[:MAX_ROWS]
    )
    left = f"{len(rows) - MAX_ROWS:,} more are left out" if len(rows) > MAX_ROWS else ""
    return Markup(
        '<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}'
    ).format(head, body, caption(left) if left else "")


def _each(shape: Markup, cells: Iterable[object]) -> Markup:
    return Markup("").join(filled(shape, cell) for cell in cells)


def filled(shape: Markup, text: object) -> Markup:
    """Text in a shape, escaped."""
    return shape.format(_cell(text))


def _cell(text: object) -> str:
    shown = str(printable(str(text)))
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"
