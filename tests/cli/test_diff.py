"""`excise diff`: what it prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from proxy.cli import main

POLICIES = Path(__file__).parents[2] / "policies"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["diff", *map(str, arguments)])
    return result.exit_code, result.output


def test_reformatted_policies_are_the_same(tmp_path: Path) -> None:
    text = (POLICIES / "strict.yaml").read_text(encoding="utf-8")
    bare = "".join(
        line for line in text.splitlines(keepends=True) if not line.strip().startswith("#")
    )
    (tmp_path / "p.yaml").write_text(bare, encoding="utf-8")
    same = run(POLICIES / "strict.yaml", tmp_path / "p.yaml", "--exit-code")
    assert same == (0, "no change in meaning\n")


def test_changes_are_told_stricter_first_and_exit_with_1_only_where_asked(tmp_path: Path) -> None:
    text = (POLICIES / "default.yaml").read_text(encoding="utf-8")
    text = text.replace("limit: 600/minute", "limit: 60/minute").replace("window: 1h", "window: 2h")
    new = tmp_path / "p.yaml"
    new.write_text(text.replace("score: 25", "score: 20"), encoding="utf-8")
    code, output = run(POLICIES / "default.yaml", new)
    assert code == 0
    assert output.startswith(
        "stricter\n  shape-requests: limit 600/minute, burst 60 → 60/minute, burst 60\n"
        "looser\n  wide-crawl: score 25 → 20\nstarts anew\n  wide-crawl: counters wide-crawl:"
    )
    assert output.endswith("otherwise\n  wide-crawl: window 1h → 2h\n")
    assert run(POLICIES / "default.yaml", new, "--exit-code")[0] == 1


def test_programs_are_told_in_json(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("version: 1\n")
    (tmp_path / "new.yaml").write_text("version: 1\nmode: shadow\n")
    code, output = run(tmp_path / "old.yaml", tmp_path / "new.yaml", "--format", "json")
    assert code == 0
    told = json.loads(output)
    assert told["old"] != told["new"]
    assert told["changes"] == [
        {
            "effect": "looser",
            "where": "policy",
            "what": "mode",
            "before": "enforce",
            "after": "shadow",
            "because": None,
        }
    ]


def test_a_policy_with_mistakes_is_not_compared(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\nmoed: x\n")
    code, output = run(POLICIES / "default.yaml", tmp_path / "bad.yaml")
    assert code == 2
    assert "bad.yaml:2:1: `moed` is not known here" in output


def test_the_mistakes_of_both_policies_are_told_at_once(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("version: 1\nrulez: []\n", encoding="utf-8")
    new.write_text("version: 2\nrules: []\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["diff", str(old), str(new)])
    assert done.exit_code == 2
    assert "old.yaml:2:1: " in done.output
    assert "new.yaml:1:10: " in done.output
