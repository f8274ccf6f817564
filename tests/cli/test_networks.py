"""`excise networks lookup`, and `excise check` on lists of networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["networks", "lookup", *arguments], input=stdin)
    return result.exit_code, result.output


def test_json_is_one_object_a_line_with_exactly_its_fields() -> None:
    code, output = run("--json", "8.8.8.8", "10.0.0.1", "2a02:26f7::1", "::ffff:8.8.8.8")
    assert code == 0
    found = [json.loads(line) for line in output.splitlines()]
    fields = ["address", "asn", "organization", "kind", "country", "source", "dated"]
    assert all(list(one) == fields for one in found)
    assert [one["address"] for one in found] == ["8.8.8.8", "10.0.0.1", "2a02:26f7::1", "8.8.8.8"]
    assert [one["kind"] for one in found] == ["hosting", "private", "relay", "hosting"]
    assert (found[0]["asn"], found[0]["country"]) == (15169, "US")
    assert found[1]["asn"] is found[1]["organization"] is found[1]["country"] is None
    assert "DB-IP.com" in found[0]["source"]


def test_without_it_a_table_is_drawn_with_its_sources() -> None:
    code, output = run("8.8.8.8", "10.0.0.1")
    assert code == 0
    lines = output.splitlines()
    assert lines[0].split() == ["address", "asn", "organization", "kind", "country"]
    assert lines[1].split() == ["8.8.8.8", "15169", "Google", "LLC", "hosting", "US"]
    assert lines[2].split() == ["10.0.0.1", "-", "-", "private", "-"]
    assert "routeviews.org" in output


def test_addresses_are_read_from_standard_input() -> None:
    code, output = run("--json", "-", stdin="8.8.8.8\n\n 1.1.1.1 \n")
    assert code == 0
    assert [json.loads(line)["asn"] for line in output.splitlines()] == [15169, 13335]


@pytest.mark.parametrize(
    "text", ["nonsense", "8.8.8.8/32", "8.8.8", "fe80::1%eth0", "", "\x1b[31m"]
)
def test_what_is_no_address_is_said_and_exits_with_2(text: str) -> None:
    code, output = run("--json", text)
    assert code == 2
    assert "is not an IP address" in output
    assert "\x1b" not in output
    assert run("--json", "-", stdin="nope\n")[0] == 2
    assert run()[0] == 2


def test_settings_lists_and_databases_are_used_and_their_mistakes_told(tmp_path: Path) -> None:
    (tmp_path / "excise.yaml").write_text("networks: {lists: [mine.yaml]}\n")
    listed = tmp_path / "mine.yaml"
    listed.write_text("version: 1\nentries:\n  - {asns: [15169], kind: vpn, because: x}\n")
    code, output = run("--json", "8.8.8.8")
    assert (code, json.loads(output)["kind"]) == (0, "vpn")
    listed.write_text("version: 1\nentries:\n  - {asns: [15169], kind: vnp, because: x}\n")
    code, output = run("8.8.8.8")
    assert code == 1
    assert "mine.yaml:3:27" in output
    (tmp_path / "other.yaml").write_text("networks: {lists: []}\n")
    assert run("8.8.8.8", "--config", "other.yaml")[0] == 0
    assert run("8.8.8.8", "--config", "absent.yaml")[0] == 1


def test_check_knows_lists_of_networks(tmp_path: Path) -> None:
    listed = tmp_path / "mine.yaml"
    listed.write_text("version: 1\nentries:\n  - {asns: [15169], kind: vpn, because: x}\n")
    result = CliRunner().invoke(main, ["check", "mine.yaml"])
    assert (result.exit_code, result.output) == (
        0,
        "mine.yaml: OK, 1 entry of a list of networks\n",
    )
    listed.write_text("version: 1\nentries: [5]\n")
    result = CliRunner().invoke(main, ["check", "mine.yaml"])
    assert result.exit_code == 1
    assert "mine.yaml:2:11" in result.output
