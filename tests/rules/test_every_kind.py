"""What every kind of rule brings: a page with its blind spots and whom it hits wrongly, an example that
loads, a family, a schema, a place in the README, and a test file of its own."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from textwrap import dedent, indent
from typing import get_args

import pytest

from proxy.decision import Family
from proxy.policy.load import load
from proxy.policy.schema import policy_schema
from proxy.rules import RULE_KINDS
from proxy.rules.base import RuleKind
from proxy.rules.linking import Sharing

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EACH = pytest.mark.parametrize("kind", RULE_KINDS, ids=lambda kind: kind.kind)
LISTED = "version: 1\nlisted:\n  - {account: acme, because: they resell}\n"


def page(kind: type[RuleKind]) -> str:
    return (ROOT / "docs/rules" / f"{kind.kind}.md").read_text(encoding="utf-8")


def example(kind: type[RuleKind]) -> str:
    """The rule on a kind's page."""
    lines = page(kind).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("    - name: "))
    return dedent("\n".join(takewhile(str.strip, lines[first:])))


@EACH
def test_its_page_tells_its_blind_spots_and_its_false_positives(kind: type[RuleKind]) -> None:
    paragraphs = page(kind).split("\n\n")
    for told in ("Blind spot", "False positives"):
        (found,) = [one for one in paragraphs if re.match(rf"{told}s?: ", one)]
        assert len(found) > 80, "a sentence at least"


@EACH
def test_its_example_loads(kind: type[RuleKind], tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/harvesters.yaml").write_text(LISTED)
    file = tmp_path / "policy.yaml"
    file.write_text(f"version: 1\nrules:\n{indent(example(kind), '  ')}\n")
    (rule,) = load(file).rules
    assert type(rule) is kind


@EACH
def test_it_has_a_family_a_schema_and_a_place_in_the_readme(kind: type[RuleKind]) -> None:
    field = kind.model_fields.get("family")
    families = {kind.family} if field is None else set(get_args(field.annotation))
    assert families <= set(get_args(Family))
    assert f'"{kind.kind}"' in str(policy_schema()).replace("'", '"')
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"[`{kind.kind}`](docs/rules/{kind.kind}.md)" in readme


@EACH
def test_it_counts_and_judges_by_itself_in_one_file(kind: type[RuleKind]) -> None:
    assert kind.__module__ == f"proxy.rules.{kind.kind}"
    own = {"thing"} if issubclass(kind, Sharing) else {"counters", "judge"}
    assert own <= vars(kind).keys()
    assert (HERE / f"test_{kind.kind}.py").is_file()
