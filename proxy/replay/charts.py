"""
Charts of a replay as SVG that stands inside a page: no script, no font, no date, the same bytes each time.

Names are others': pygal puts them in as text of an XML tree, which is escaped as it is written. What pygal
adds for scripts is taken out again; what a mark stands for is its `title`, which
browsers show by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as Xml

import pygal
from markupsafe import Markup
from pygal.etree import etree
from pygal.style import Style

Values = Sequence[Any]
Series = Mapping[str, Values]

COLOURS: Final = {
    "allow": "var(--allow)",
    "log": "var(--log)",
    "delay": "var(--delay)",
    "degrade": "var(--degrade)",
    "throttle": "var(--throttle)",
    "block": "var(--block)",
}
_PLAIN: Final = ("var(--delay)", "var(--block)", "var(--allow)", "var(--degrade)")
_INK: Final = "var(--ink)"

# lxml, where it happens to be installed, writes other bytes.
etree.to_etree()


def bars(
    name: str, labels: Sequence[str], series: Series, *, stacked: bool = False, **more: Any
) -> Markup:
    """Lying bars, the first label on top; `name` is the chart's id in the page."""
    kind = pygal.HorizontalStackedBar if stacked else pygal.HorizontalBar
    rows = len(labels) * (1 if stacked else len(series))
    chart = kind(**_config(name, series, 90 + 24 * rows), **more)
    chart.x_labels = list(reversed(labels))
    for title, values in series.items():
        chart.add(title, list(reversed(values)))
    return _svg(chart)


def areas(name: str, labels: Sequence[str], series: Series) -> Markup:
    """What happened over time, one upon another."""
    chart = pygal.StackedLine(
        **_config(name, series, 280), fill=True, show_dots=False, show_minor_x_labels=False
    )
    chart.x_labels = list(labels)
    chart.x_labels_major_every = max(1, len(labels) // 6)
    for title, values in series.items():
        chart.add(title, list(values))
    return _svg(chart)


def _config(name: str, series: Series, height: int) -> dict[str, Any]:
    colours = [COLOURS.get(title, _PLAIN[at % len(_PLAIN)]) for at, title in enumerate(series)]
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground=_INK,
        foreground_strong=_INK,
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        font_family="system-ui, sans-serif",
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=12,
        no_data_font_size=16,
        opacity=".85",
        transition="0s",
        colors=tuple(colours),
    )
    return {
        "style": style,
        "width": 640,
        "height": height,
        "js": (),
        "title": None,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 3,
        "legend_box_size": 12,
        "margin": 6,
        "truncate_label": 24,
        "truncate_legend": 24,
        "no_data_text": "nothing",
        "classes": ("chart", name),
    }


def _svg(chart: Any) -> Markup:
    chart.uuid = chart.config.classes[1]
    root = chart.render_tree()
    for parent in list(root.iter()):
        if parent is not root:
            parent.attrib.pop("id", None)
        _without_what_scripts_need(parent)
    root.set("role", "img")
    return Markup(Xml.tostring(root, encoding="unicode"))  # noqa: S704 - a tree, escaped as written


def _without_what_scripts_need(parent: Any) -> None:
    told = dict(_told(parent))
    for child in list(parent):
        if child.tag in {Xml.Comment, "script", "desc"} or (
            child.tag == "title" and child.text in {None, "Pygal"}
        ):
            parent.remove(child)
    if told.get("value") and parent.find("title") is None:
        title = Xml.SubElement(parent, "title")
        title.text = ": ".join(
            told[part] for part in ("label", "x_label", "value") if told.get(part)
        )


def _told(parent: Any) -> Iterator[tuple[str, str]]:
    for child in parent:
        if child.tag == "desc":
            yield str(child.get("class")).split(" ", 1)[0], child.text or ""
