"""Operators' lists: what they say, until when, and every mistake with its place."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from proxy.errors import ConfigurationError
from proxy.networks.info import NetworkInfo
from proxy.networks.lists import joined, load_list
from proxy.networks.lookup import Networks
from proxy.networks.pack import embedded

TODAY = datetime.date(2026, 11, 24)
LIST = """
version: 1
entries:
  - networks: [8.8.0.0/16, "2001:4860::/32"]
    kind: business
    organization: Acme
    country: "NO"
    because: their offices
    until: 2026-11-24
  - networks: [8.8.8.0/24]
    asns: [13335]
    kind: vpn
    because: seen in January
"""


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def looked_up(address: str, *files: Path, today: datetime.date = TODAY) -> NetworkInfo:
    lists, systems = joined([load_list(today, file) for file in files])
    return Networks(embedded(), lists=lists, systems=systems).lookup(address)


def test_the_narrowest_network_of_a_list_tells(tmp_path: Path) -> None:
    file = written(tmp_path, LIST)
    wide = looked_up("8.8.4.4", file)
    assert (wide.kind, wide.organization, wide.country) == ("business", "Acme", "NO")
    assert wide.source.startswith("list mine.yaml; ")
    assert looked_up("8.8.8.8", file).kind == "vpn"
    assert looked_up("2001:4860::1", file).organization == "Acme"
    assert looked_up("1.1.1.1", file).kind == "vpn"
    assert looked_up("9.9.9.9", file).organization == "Quad9"


def test_an_entry_holds_through_its_last_day(tmp_path: Path) -> None:
    file = written(tmp_path, LIST)
    tomorrow = TODAY + datetime.timedelta(days=1)
    assert looked_up("8.8.4.4", file, today=tomorrow).kind == "hosting"
    assert looked_up("8.8.8.8", file, today=tomorrow).kind == "vpn"


def test_of_two_files_the_first_wins(tmp_path: Path) -> None:
    entry = "version: 1\nentries:\n  - {{networks: [8.8.8.0/24], asns: [13335], kind: {}, because: x}}\n"
    one = written(tmp_path, entry.format("isp"), "one.yaml")
    two = written(tmp_path, entry.format("tor"), "two.yaml")
    for first, second, kind in ((one, two, "isp"), (two, one, "tor")):
        assert looked_up("8.8.8.8", first, second).kind == kind
        assert looked_up("1.1.1.1", first, second).kind == kind


def test_an_empty_list_says_nothing(tmp_path: Path) -> None:
    assert joined([load_list(TODAY, written(tmp_path, "version: 1\nentries: []\n"))]) == (None, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("entries: []\n", "1:1: a list of networks begins with `version: 1`"),
        ("version: 1\n", "1:1: `entries` must be a list"),
        (
            "version: 1\nentreis: []\nentries: []\n",
            "2:1: `entreis` is not known here (did you mean `entries`?)",
        ),
        ("version: 1\nentries: [5]\n", "2:11: an entry holds named fields"),
        ("version: 1\nentries:\n- {kind: vpn, because: x}\n", "3:3: an entry is about `networks`"),
        ("version: 1\nentries:\n- {asns: [1], kind: vpn}\n", "3:3: `because` is required"),
        (
            "version: 1\nentries:\n- {asns: [1], kind: vnp, because: x}\n",
            "3:21: `kind` must be one of",
        ),
        ("version: 1\nentries:\n- {asns: [1], kind: vnp, because: x}\n", "did you mean `vpn`?"),
        ("version: 1\nentries:\n- {asns: [1], because: x}\n", "3:3: `kind` must be one of"),
        ("version: 1\nentries:\n- {asns: [1], knid: vpn, because: x}\n", "did you mean `kind`?"),
        (
            "version: 1\nentries:\n- {asns: [0], kind: vpn, because: x}\n",
            "3:11: must be an AS number",
        ),
        ("version: 1\nentries:\n- {asns: [true], kind: vpn, because: x}\n", "must be an AS number"),
        (
            "version: 1\nentries:\n- {asns: [1, 1], kind: vpn, because: x}\n",
            "3:14: `1` stands in this file twice",
        ),
        (
            "version: 1\nentries:\n- {asns: 1, kind: vpn, because: x}\n",
            "3:10: `asns` must be a list",
        ),
        (
            "version: 1\nentries:\n- {networks: [8.8.8.8/24], kind: vpn, because: x}\n",
            "3:15: must be a network",
        ),
        (
            "version: 1\nentries:\n- {networks: [8], kind: vpn, because: x}\n",
            "3:15: must be a network",
        ),
        (
            'version: 1\nentries:\n- {networks: ["2001:db8::/96"], kind: vpn, because: x}\n',
            "a /64: one caller has all of it (did you mean `2001:db8::/64`?)",
        ),
        (
            "version: 1\nentries:\n- {asns: [1], kind: vpn, because: x, country: no1}\n",
            "3:47: must be two capital",
        ),
        (
            "version: 1\nentries:\n- {asns: [1], kind: vpn, because: x, until: soon}\n",
            "3:45: must be a day",
        ),
        (
            "version: 1\nentries:\n- {asns: [1], kind: vpn, because: 5}\n",
            "3:35: `because` must be one line",
        ),
        (
            'version: 1\nentries:\n- {asns: [1], kind: vpn, because: " "}\n',
            "`because` must be one line",
        ),
        (
            'version: 1\nentries:\n- {asns: [1], kind: vpn, because: "a\\nb"}\n',
            "`because` must be one line",
        ),
        ("version: 1\nentries: [\n", "not YAML"),
        ("", "the file is empty"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_list(TODAY, written(tmp_path, text))
    lines = [line.removeprefix(f"{tmp_path}/mine.yaml:") for line in str(raised.value).splitlines()]
    assert any(said in line for line in lines), lines


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "version: 1\nentries:\n" + "- {asns: [0], kind: x}\n" * 5
    with pytest.raises(ConfigurationError) as raised:
        load_list(TODAY, written(tmp_path, text))
    assert len(str(raised.value).splitlines()) == 15


def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_list(TODAY, tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"version: 1 # \xe4")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_list(TODAY, tmp_path / "latin.yaml")
