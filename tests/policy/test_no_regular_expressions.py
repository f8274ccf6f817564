"""
Nobody outside brings a regular expression to Python's engine, which can be made to take for ever.

All that the product matches with `re` is written in its own source, at the top of a module or a class.
What a policy, an accounts file or a caller says is compared as it is written, or as a network. Only an
expression of a policy (`when:`) may `matches(…)` a pattern that is written out in it: CEL's engine takes
time in proportion to the text (`tests/expressions/test_program.py`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from proxy.policy.model import Policy
from proxy.rules import RULE_KINDS

PRODUCT = Path(__file__).parents[2] / "proxy"
FILES = sorted(PRODUCT.rglob("*.py"))
TAKE_A_PATTERN = {name for name in re.__all__ if name.islower()} - {"escape", "error", "purge"}
OTHER_ENGINES = {"regex", "re2", "fnmatch", "glob", "sre_compile"}


def patterns(tree: ast.AST, depth: int = 0) -> Iterator[tuple[ast.Call, int]]:
    """Each `re.something(…)`, and in how many functions it stands."""
    for node in ast.iter_child_nodes(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if (
            isinstance(node, ast.Call)
            and isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and called.value.id == "re"
            and called.attr in TAKE_A_PATTERN
        ):
            yield node, depth
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from patterns(node, depth + inside)


def own(pattern: ast.expr, depth: int) -> bool:
    """Whether a pattern is the product's own text: constants, put together outside of any function."""
    return isinstance(pattern, ast.Constant) or depth == 0


def foreign(text: str) -> list[int]:
    """Lines that match by a pattern which is not in the source, or by another engine's."""
    tree = ast.parse(text)
    lines = [call.lineno for call, depth in patterns(tree) if not own(call.args[0], depth)]
    for node in ast.walk(tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        foreign_here = OTHER_ENGINES | ({"re"} if isinstance(node, ast.ImportFrom) else set())
        lines += [node.lineno for name in names if name in foreign_here]
    return lines


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PRODUCT)))
def test_every_pattern_stands_in_the_source(file: Path) -> None:
    assert foreign(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "import re\ndef f(x):\n    return re.compile(x)",
        "import re\nclass A:\n    def f(self):\n        return re.search(self.name, 'x')",
        "import re\ng = lambda x: re.match(f'a{x}', 'b')",
        "from re import compile",
        "import fnmatch",
    ],
)
def test_a_pattern_from_elsewhere_is_seen(text: str) -> None:
    assert foreign(text) != []


def types_in(annotation: object) -> Iterator[object]:
    yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from types_in(part)


def models() -> set[type[BaseModel]]:
    """The policy's models and those of all kinds, with what is inside of them."""
    found: set[type[BaseModel]] = set()
    waiting: list[object] = [Policy, *RULE_KINDS]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel) and one not in found:
            found.add(one)
            for field in one.model_fields.values():
                waiting += types_in(field.annotation)
    return found


def test_no_field_of_a_policy_is_a_regular_expression() -> None:
    assert len(models()) > len(RULE_KINDS)
    fields = [
        (model, name, field) for model in models() for name, field in model.model_fields.items()
    ]
    assert len(fields) > 50
    for model, name, field in fields:
        assert re.Pattern not in {
            getattr(one, "__origin__", one) for one in types_in(field.annotation)
        }, (model, name)
