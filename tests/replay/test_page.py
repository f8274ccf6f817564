"""The page of a replay: whole in itself, the same bytes each time, and hostile names stay names."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.replay.page import MAX_ROWS, page
from proxy.replay.report import Report
from proxy.replay.world import World
from tests.replay.test_report import LOOSE, TIGHT, crowd
from tests.replay.traffic import policy, records, written

HOSTILE = '</title></style></svg><script>alert(1)</script><img src=x onerror="alert(2)">\x1b[2J\x00&amp;\''
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "section"),
    *("div", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "defs", "g", "path", "rect", "line", "circle", "text"),
}
VOID = {"meta"}


class Read(HTMLParser):
    """The page as a browser's parser takes it: each element with its attributes, and the texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def told(folder: Path, top: int = 10, *, against: bool = True) -> dict[str, Any]:
    other = World(policy(LOOSE)) if against else None
    return Report(World(policy(TIGHT)), other).run(records(folder, crowd())).told(top)


def whole(text: str) -> Read:
    """The page, read, with everything that must hold of any."""
    read = Read(text)
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= TAGS
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name.endswith("href")]
        assert "src" not in attributes
    styles = text.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in styles
    assert "@import" not in styles
    policies = [a["content"] for _, a in read.tags if a.get("http-equiv")]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]
    ids = [a["id"] for _, a in read.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    return read


def test_a_page_holds_every_part_and_fetches_nothing(tmp_path: Path) -> None:
    text = page(told(tmp_path))
    read = whole(text)
    for part in ("people", "crawl", "sk-c", "tight", "watched", "By population", "By rule"):
        assert part in read.texts
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    charts = {a["id"] for tag, a in read.tags if tag == "svg"}
    names = "detection changes decisions tokens first delay timeline rules accounts"
    assert charts == {f"chart-{name}" for name in names.split()}


def test_who_is_newly_refused_stands_with_the_evidence(tmp_path: Path) -> None:
    read = whole(page(told(tmp_path)))
    shown = " ".join(read.texts)
    assert "newly refused: 8 requests of 1 accounts, -800 output tokens" in shown
    assert "throttle by tight" in shown
    assert "freed: nobody" in read.texts


def test_without_another_policy_nothing_is_compared(tmp_path: Path) -> None:
    shown = " ".join(whole(page(told(tmp_path, against=False))).texts)
    assert "newly refused" not in shown


def test_intervals_are_told_where_there_are_labels_and_only_there(tmp_path: Path) -> None:
    summary = told(tmp_path)
    read = whole(page(summary))
    assert "harvesting accounts with an enforced action" in read.texts
    assert any("none seen: at most" in text for text in read.texts)
    without = whole(page(summary | {"detection": None}))
    assert "On what the labels say" not in without.texts


def test_marks_of_a_chart_say_what_they_stand_for(tmp_path: Path) -> None:
    text = page(told(tmp_path))
    assert "<title>crawl: 80</title>" in text


def hostile(value: Any, *, key: bool = False) -> Any:
    """The summary with a hostile name wherever others name something."""
    if isinstance(value, dict):
        named = {"population", "account", "label", "rule", "kind", "reason"}
        return {
            name: HOSTILE if name in named and isinstance(one, str) else hostile(one)
            for name, one in value.items()
        }
    return [hostile(one) for one in value] if isinstance(value, list) else value


def test_hostile_names_stay_text_in_tables_and_in_charts(tmp_path: Path) -> None:
    summary = hostile(told(tmp_path))
    summary["notes"] = [HOSTILE]
    summary["timeline"]["populations"] = {
        HOSTILE + name: one for name, one in summary["timeline"]["populations"].items()
    }
    for change in ("newly_refused", "freed"):
        summary["changes"][change]["populations"] = {HOSTILE: 3}
        for one in summary["changes"][change]["by_account"]:
            one["example"]["evidence"] = {HOSTILE: HOSTILE}
    text = page(summary)
    read = whole(text)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "<script" not in text
    assert "<img" not in text
    assert any("<script>alert(1)</script>" in one for one in read.texts)
    assert text.count("<title>&lt;/title&gt;") > 0


def test_the_page_stays_small_however_much_there_is(tmp_path: Path) -> None:
    summary = told(tmp_path)
    account, population = summary["accounts"][0], summary["populations"][0]
    summary["accounts"] = [account | {"account": f"{at}" * 999} for at in range(10_000)]
    summary["populations"] = [population | {"population": f"p{at}" * 999} for at in range(1000)]
    text = page(summary)
    whole(text)
    assert f"{10_000 - MAX_ROWS:,} more are left out" in text
    assert len(text) < 2_000_000


def test_nothing_at_all_is_a_page_too() -> None:
    whole(page(Report(World(policy(TIGHT))).told(10)))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    head = "version: 1\nkeys: {missing: allow, unknown: allow}\n"
    (tmp_path / "policy.yaml").write_text(head + TIGHT, encoding="utf-8")
    return written(tmp_path / "traffic.jsonl", crowd()), tmp_path / "policy.yaml"


def test_the_command_writes_the_same_bytes_each_time(files: tuple[Path, Path]) -> None:
    traffic, policy_file = files
    pages = []
    for number in range(2):
        where = traffic.with_name(f"{number}.html")
        words = ["replay", traffic, "--policy", policy_file, "--html", where]
        command = [sys.executable, "-m", "proxy.cli", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, check=False, env={"PYTHONHASHSEED": str(number)}
        )
        assert done.returncode == 0, done.stderr
        pages.append(where.read_bytes())
    assert pages[0] == pages[1]
    whole(pages[0].decode())


def test_a_page_that_cannot_be_written_is_a_mistake(files: tuple[Path, Path]) -> None:
    traffic, policy_file = files
    where = traffic.parent / "nowhere" / "page.html"
    words = ["replay", traffic, "--policy", policy_file, "--html", where]
    result = CliRunner().invoke(main, [*map(str, words), "--json", "-"])
    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert result.stdout == ""  # known before anything was replayed
