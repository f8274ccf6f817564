"""`excise check`: what it prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main

GOOD = "version: 1\n"
BAD = "version: 1\nmoed: shadow\nkeys: {missing: NO}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "bad.yaml").write_text(BAD)
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["check", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_sound_file_is_ok(folder: Path) -> None:
    code, output = run(folder / "good.yaml")
    assert code == 0
    assert "good.yaml: OK, 0 rules, sha256:" in output


def test_every_mistake_of_a_folder_is_shown_with_its_line_and_a_caret(folder: Path) -> None:
    code, output = run(folder)
    assert code == 1
    assert f"{folder}/inner/bad.yaml:2:1: `moed` is not known here (did you mean `mode`?)" in output
    assert "    moed: shadow\n    ^\n" in output
    assert "    keys: {missing: NO}\n                    ^\n" in output
    assert "good.yaml: OK" in output


def test_an_absent_path_is_a_usage_error(folder: Path) -> None:
    assert run(folder / "nothing.yaml")[0] == 2
    (folder / "empty").mkdir()
    assert run(folder / "empty")[0] == 2
    assert run()[0] == 2


def test_the_shipped_policies_are_sound() -> None:
    assert run(Path(__file__).parent.parent.parent / "policies")[0] == 0


def test_key_ids_depend_on_the_secret_and_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXCISE_SECRET", "s" * 32)
    result = CliRunner().invoke(main, ["key-id"], input="sk-one\nsk-two\n")
    assert result.exit_code == 0
    first, second = result.output.split()
    assert first != second
    assert all(len(one) == 20 and one.startswith("key_") for one in (first, second))
    monkeypatch.delenv("EXCISE_SECRET")
    assert CliRunner().invoke(main, ["key-id"], input="sk-one\n").exit_code == 1


def test_a_bad_setting_or_policy_ends_serve_with_its_place(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(main, ["serve", "--policy", "inner/bad.yaml"])
    assert result.exit_code == 1
    assert "inner/bad.yaml:2:1" in result.output
    monkeypatch.setenv("EXCISE_LISTEM", "x")
    result = CliRunner().invoke(main, ["serve"])
    assert "EXCISE_LISTEM: no such setting (did you mean `EXCISE_LISTEN`?)" in result.output


IDLE = (
    "version: 1\nrules:\n"
    "  - {name: a, kind: rate_limit, per: account, match: {route: unknown}, limit: 1/hour,"
    " action: throttle}\n"
)


def test_warnings_fail_only_where_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(IDLE)
    code, output = run(file)
    assert code == 0
    assert "p.yaml: OK, 1 rule, sha256:" in output
    assert ", 1 warning\n" in output
    assert f"{file}:3:54: warning: no-served-route: the routes of this `match`" in output
    assert run("--strict", file)[0] == 1
    file.write_text(GOOD)
    assert run("--strict", file)[0] == 0


def test_programs_are_told_in_json(folder: Path) -> None:
    (folder / "warned.yaml").write_text(IDLE)
    result = CliRunner().invoke(main, ["check", "--format", "json", str(folder)])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [(one["sound"], one["mistakes"], one["warnings"]) for one in told["files"]] == [
        (True, 0, 0),
        (False, 3, 0),
        (True, 0, 1),
    ]
    first, *_, last = told["findings"]
    assert first == {
        "severity": "error",
        "file": str(folder / "inner" / "bad.yaml"),
        "line": 2,
        "column": 1,
        "code": "mistake",
        "message": "`moed` is not known here",
        "suggestion": "mode",
    }
    assert (last["severity"], last["code"], last["line"]) == ("warning", "no-served-route", 3)


def test_github_is_told_in_its_own_commands_and_nothing_breaks_out_of_them(tmp_path: Path) -> None:
    file = tmp_path / "50%, a:b\n::error::x.yaml"
    file.write_text('version: 1\n"100%\\n::stop": 1\n')
    result = CliRunner().invoke(main, ["check", "--format", "github", str(file)])
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    named = str(tmp_path).replace(":", "%3A").replace(",", "%2C")
    assert line == (
        f"::error file={named}/50%25%2C a%3Ab%0A%3A%3Aerror%3A%3Ax.yaml,line=2,col=1,title=excise"
        "::`100%25%0A::stop` is not known here"
    )
    file = tmp_path / "p.yaml"
    file.write_text(IDLE)
    result = CliRunner().invoke(main, ["check", "--format", "github", str(file)])
    assert result.exit_code == 0
    assert ",line=3,col=54,title=excise%3A no-served-route::the routes" in result.stdout


def test_names_are_held_against_the_accounts_file(tmp_path: Path) -> None:
    file, accounts = tmp_path / "p.yaml", tmp_path / "a.yaml"
    file.write_text(IDLE.replace("route: unknown", "tier: gold"))
    accounts.write_text("version: 1\naccounts:\n  - {account: acme, tier: golden}\n")
    assert "warning" not in run(file)[1]
    code, output = run("--accounts", accounts, file)
    assert code == 0
    assert (
        "unknown-tier: no declared account has the tier `gold` (did you mean `golden`?)" in output
    )
    accounts.write_text("version: 1\naccounts: 5\n")
    code, output = run("--accounts", accounts, file)
    assert code == 2
    assert "a.yaml:2:11: `accounts` must be a list" in output


def test_files_beside_a_policy_are_told_of_in_every_format(tmp_path: Path) -> None:
    accounts = tmp_path / "a.yaml"
    accounts.write_text("version: 1\naccounts:\n  - {account: acme, teir: pro}\n  - {}\n")
    for style, said in (
        ("text", "a.yaml:3:21: `teir` is not known here (did you mean `tier`?)"),
        ("json", '"column": 21'),
        ("github", "line=3,col=21"),
    ):
        code, output = run("--format", style, accounts)
        assert code == 1
        assert said in output
