"""What the documents name exists, and what can be refused is documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.events import FIELDS

HERE = Path(__file__).parent.parent
DOCUMENTS = [*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_links_and_named_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    missing = [target for target in links if not (document.parent / target).exists()]
    named = re.findall(r"`((?:tests|policies|deploy|bench|proxy)/[\w./-]+)`", text)
    missing += [name for name in named if not (HERE / name).exists()]
    assert missing == []


def shown(name: str) -> bool:
    """Whether `tests/file.py::test_name` is there."""
    file, _, test = name.partition("::")
    if not (HERE / file).is_file():
        return False
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    tests = [one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return test in {one.name for one in tests}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_every_named_test_exists(document: Path) -> None:
    named = re.findall(r"`(tests/[\w./-]+::\w+)`", document.read_text(encoding="utf-8"))
    assert [name for name in named if not shown(name)] == []


def test_each_attack_names_its_tests_or_says_that_it_can_succeed() -> None:
    text = (HERE / "docs/threat-model.md").read_text(encoding="utf-8")
    rows = [
        line
        for table in re.findall(r"\| attack \|.*\n\|---.*\n((?:\|.*\n?)+)", text)
        for line in table.splitlines()
    ]
    assert len(rows) > 50
    for row in rows:
        _, _, answer, by, _ = row.split("|")
        named = re.findall(r"`([^`]+)`", by)
        assert named or "**" in answer, row
        assert all("::test_" in name or name.startswith("bench/") for name in named), row
    assert not shown("tests/test_docs.py::test_that_nobody_wrote")


def reasons() -> Iterator[str]:
    """The reason of every `Refusal(status, "reason", …)` that the product makes."""
    for file in (HERE / "proxy").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if called and node.func.id == "Refusal" and isinstance(node.args[1], ast.Constant):
                yield str(node.args[1].value)


def test_every_refusal_is_in_the_failure_modes_or_the_policy_page() -> None:
    found = set(reasons())
    assert len(found) > 15
    pages = ("failure-modes.md", "policies.md")
    text = "".join((HERE / "docs" / page).read_text(encoding="utf-8") for page in pages)
    assert {reason for reason in found if f"`{reason}`" not in text} == set()


def test_every_environment_name_in_the_documents_is_a_setting() -> None:
    known = set(
        re.findall(r"`(EXCISE_[A-Z_0-9]+)`", (HERE / "docs/settings.md").read_text("utf-8"))
    )
    known |= {"EXCISE_CONFIG", "EXCISE_EVAL_DATA"}
    for document in DOCUMENTS:
        named = set(re.findall(r"\bEXCISE_[A-Z_0-9]+\b", document.read_text(encoding="utf-8")))
        assert named - known == set(), document.name


def test_every_field_of_an_event_has_its_purpose_on_the_privacy_page() -> None:
    page = (HERE / "docs/privacy.md").read_text("utf-8")
    table = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    told = [name for names in table for name in re.findall(r"`([\w.]+)`", names)]
    assert sorted(told) == sorted(FIELDS), "each field once, and no other"


def test_every_shipped_policy_is_mapped_to_the_standards_and_no_other() -> None:
    text = (HERE / "docs/standards.md").read_text(encoding="utf-8")
    table = text.partition("## By policy and pack")[2].partition("\n## ")[0]
    mapped = re.findall(r"^\| `([\w./-]+)` \|", table, re.MULTILINE)
    shipped = ["default.yaml", "strict.yaml", "observe.yaml"]
    shipped += [f"library/{file.name}" for file in (HERE / "policies/library").glob("*.yaml")]
    assert sorted(mapped) == sorted(shipped)
