"""`excise rules` and `excise schema`: what they print is what ships, and the loader agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.policy.yamltree import read_tree
from proxy.rules import RULE_KINDS
from proxy.rules.base import RuleKind
from proxy.rules.pages import page

HERE = Path(__file__).parents[2]
SCHEMA = json.loads((HERE / "policies" / "policy.schema.json").read_text(encoding="utf-8"))
SHIPPED = [
    file
    for file in sorted((HERE / "policies").rglob("*.yaml"))
    if "\nrules:" in file.read_text(encoding="utf-8")
]
GOOD = [*sorted((HERE / "tests/policy/good").glob("*.yaml")), *SHIPPED]
BAD = sorted((HERE / "tests/policy/bad").glob("*.yaml"))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def data(file: Path) -> Any:
    return read_tree(file.read_text(encoding="utf-8"), file.name).data


def test_the_shipped_schema_is_the_printed_one() -> None:
    assert json.loads(run("schema")) == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_what_loads_is_sound_by_the_schema(file: Path) -> None:
    jsonschema.validate(data(file), SCHEMA)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_the_schema_refuses_what_the_loader_does_unless_the_file_says_why_it_cannot(
    file: Path,
) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    why_not = [line for line in lines if line.startswith("# schema: ")]
    sound = jsonschema.Draft202012Validator(SCHEMA).is_valid(data(file))
    assert sound == bool(why_not), "the schema sees it" if why_not else "the schema misses it"


@pytest.mark.parametrize("kind", RULE_KINDS, ids=lambda kind: kind.kind)
def test_the_documented_page_is_the_printed_one(kind: type[RuleKind]) -> None:
    printed = run("rules", kind.kind)
    documented = (HERE / "docs" / "rules" / f"{kind.kind}.md").read_text(encoding="utf-8")
    assert printed == documented == page(kind)


@pytest.mark.parametrize("kind", RULE_KINDS, ids=lambda kind: kind.kind)
def test_a_page_says_what_the_rule_cannot_see_and_whom_it_hits_wrongly(
    kind: type[RuleKind],
) -> None:
    text = page(kind)
    assert "Blind spot" in text
    assert "False positives" in text
    assert all(f"| `{name}` |" in text for name in kind.model_fields)
    assert "|  |  |" not in text, "a field has no meaning"


def test_kinds_are_listed_and_a_wrong_one_is_told_the_near_one() -> None:
    assert run("rules").splitlines()[0].split(maxsplit=1) == [
        "rate_limit",
        "so many requests in a time, for each subject",
    ]
    result = CliRunner().invoke(main, ["rules", "rate_limt"])
    assert result.exit_code == 2
    assert "did you mean `rate_limit`?" in result.output


def test_the_documented_routes_are_the_printed_ones() -> None:
    printed = CliRunner().invoke(main, ["routes"], catch_exceptions=False).output
    assert "| `/chat/completions` | inspected |" in printed
    page = (Path(__file__).parents[2] / "docs" / "routes.md").read_text(encoding="utf-8")
    assert page.endswith(printed)
