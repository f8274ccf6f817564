"""`excise check`: what it prints and how it exits."""

from __future__ import annotations

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
