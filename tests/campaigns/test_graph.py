"""A campaign drawn: one picture however many accounts, and nothing in it that runs or fetches."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET

from proxy.campaigns.graph import MOST_GROUPS, MOST_THINGS, dot, graph
from proxy.campaigns.told import handed_on

from .documents import NAME, ODD, document

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter(f"{SVG}text")]


def test_it_says_who_shares_what() -> None:
    svg = graph(handed_on(document(10)))
    said = "\n".join(texts(svg))
    assert f"Campaign {NAME}" in said
    assert "9 accounts, 1 suspected" in said
    assert "template:tpl_0011" in said
    assert "10 accounts · content · same-frame · end users could" in said
    assert "subnet:198.51.1.0/24" in said
    # Three share no exit, and of the other seven each has one; the suspected shares none either.
    assert "3 accounts: key_0000000000000000, …" in said
    root = ET.fromstring(svg)
    dashed = [one for one in root.iter(f"{SVG}circle") if one.get("stroke-dasharray") == "3 3"]
    assert len(dashed) == 1


def test_thousands_of_accounts_are_one_small_picture_within_seconds() -> None:
    told = handed_on(document(20_000))
    started = time.process_time()
    svg = graph(told)
    assert time.process_time() - started < 5
    assert len(svg) < 50_000
    assert "18,000 accounts, 2,000 suspected" in svg


def test_what_is_left_out_is_said() -> None:
    told = document(200)
    shared = [{**told["shared"][0], "shared": f"prompt:pr_{number}"} for number in range(60)]
    for number, one in enumerate(told["accounts"]):
        one["reasons"] = [{**one["reasons"][0], "shared": f"prompt:pr_{number % 60}"}]
    svg = graph({**told, "shared": shared})
    root = ET.fromstring(svg)
    assert len(list(root.iter(f"{SVG}circle"))) <= MOST_THINGS + MOST_GROUPS
    assert "108 accounts that share other things are not drawn" in svg


def test_nothing_in_it_runs_or_breaks_out_of_its_place() -> None:
    told = document(10)
    told["accounts"][0]["id"] = ODD
    told["shared"][0]["signal"] = ODD
    told["campaign"] = ODD
    svg = graph(told)
    root = ET.fromstring(svg)
    names = {one.tag.removeprefix(SVG) for one in root.iter()}
    assert names <= {"svg", "title", "rect", "text", "line", "circle"}
    assert not {"\u202e", "\x1b"} & set(svg)
    assert "href" not in svg


def test_nobody_is_a_picture_too() -> None:
    told = {**document(1), "accounts": [], "shared": []}
    assert "<circle" not in graph(told)
    assert dot(told).count("--") == 0


def test_the_graph_for_other_tools_has_every_account_and_tie() -> None:
    told = handed_on(document(30))
    text = dot(told)
    assert text.startswith(f'graph "{NAME}" {{\n')
    assert text.count(" -- ") == sum(len(one["reasons"]) for one in told["accounts"])
    assert text.count("state=suspected") == 3
    told["accounts"][0]["id"] = ODD
    (line, *_) = [one for one in dot(told).splitlines() if "</text>" in one]
    assert line.startswith('  "account:</text>\\"\\\\')
