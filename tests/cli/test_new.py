"""`excise new`: what it prints is sound as it stands, and nothing is overwritten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.policy.diff import diff
from proxy.policy.load import load_source
from proxy.rules import RULE_KINDS

KINDS = [kind.kind for kind in RULE_KINDS]
EACH = [("policy",), ("account",), *(("rule", kind) for kind in KINDS)]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize("what", EACH, ids=" ".join)
def test_a_beginning_passes_check_without_a_warning(what: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    assert run("new", *what, "-o", str(file)) == (0, "")
    code, output = run("check", "--strict", str(file))
    assert code == 0, output
    assert file.read_text() == run("new", *what)[1]
    assert all(len(line) <= 108 for line in file.read_text().splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_begins_in_shadow_and_tells_every_field(kind: str, tmp_path: Path) -> None:
    text = run("new", "rule", kind)[1]
    file = tmp_path / "new.yaml"
    file.write_text(text)
    source = load_source(file)
    (rule,) = source.policy.rules
    assert rule.mode == "shadow"
    fields = next(one for one in RULE_KINDS if one.kind == kind).model_fields
    told = set(re.findall(r"^ +(?:- |# |# - )?(\w+):", text, re.MULTILINE))
    assert fields.keys() <= told
    # What is said of defaults is what holds: written out, nothing changes.
    written = re.sub(r"^    # (\w+: \S.*)$", r"    \1", text, flags=re.MULTILINE)
    written = written.replace("    file: ", "    # file: ")
    file.write_text(written)
    assert diff(source, load_source(file)) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine")
    code, output = run("new", "policy", "-o", str(file))
    assert code == 2
    assert "nothing is overwritten" in output
    assert file.read_text() == "mine"
    code, output = run("new", "policy", "-o", str(tmp_path / "absent" / "p.yaml"))
    assert code == 2
    assert "cannot be written" in output


def test_a_wrong_kind_is_told_the_near_one() -> None:
    code, output = run("new", "rule", "rate_limt")
    assert code == 2
    assert "did you mean `rate_limit`?" in output
