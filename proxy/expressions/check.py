"""
Names and types of an expression, checked over the declared facts before it ever runs.

CEL itself finds out at run time; here an unknown name, a number compared with a text, or a loop over a loop
is a mistake of the policy, with its place.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from proxy.expressions.declared import DECLARED, GROUPS
from proxy.expressions.pattern import check_pattern
from proxy.expressions.syntax import (
    Call,
    ExpressionError,
    Listing,
    Literal,
    Name,
    Node,
    Operation,
    Select,
    start,
)

_MACROS: Final = ("all", "exists", "exists_one", "filter", "map")
_TEXT_METHODS: Final = ("contains", "endsWith", "matches", "startsWith")
_FUNCTIONS: Final = ("double", "has", "int", "size", *_MACROS, *_TEXT_METHODS)
_NUMBERS: Final = frozenset({"int", "double"})

_SAID: Final = {
    "bool": "true or false",
    "double": "a fraction (double)",
    "int": "a whole number (int)",
    "list": "a list of texts",
    "list of int": "a list of whole numbers",
    "list of double": "a list of fractions",
    "text": "a text",
    "empty": "an empty list",
}


@dataclass(slots=True)
class Checked:
    """What an expression uses."""

    paths: dict[str, None] = field(default_factory=dict)
    """Declared facts, `client.asn`, in their order."""
    readings: dict[str, None] = field(default_factory=dict)
    """Names of counters."""


def check(tree: Node, readings: Mapping[str, object] = {}) -> Checked:
    """What a sound expression uses; it yields true or false. Raises ExpressionError.

    `readings` are the counters that it may name as `readings.…`.
    """
    checker = _Checker(readings)
    found = checker.type_of(tree)
    if found != "bool":
        raise ExpressionError(f"must be true or false, and is {_SAID[found]}", start(tree))
    return checker.checked


def _near(word: str, known: tuple[str, ...], prefix: str = "") -> str | None:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"`{prefix}{near[0]}`" if near else None


def _near_fact(group: str, word: str) -> str | None:
    """The fact's full name that was perhaps meant: one of the group, else the same word of another."""
    inside = tuple(
        name for path in DECLARED for of, _, name in [path.partition(".")] if of == group
    )
    return _near(word, inside, f"{group}.") or _elsewhere(word)


def _elsewhere(word: str) -> str | None:
    return next((f"`{path}`" for path in DECLARED if path.endswith(f".{word}")), None)


MAX_JOINS: Final = 8
"""Each `+` copies what stands before it, and a loop does so for each of a caller's tools."""


class _Checker:
    def __init__(self, readings: Mapping[str, object]) -> None:
        self._known = tuple(readings)
        self._variable: tuple[str, str] | None = None
        """The loop's variable and its type, while inside of one."""
        self._joins = 0
        self.checked = Checked()

    def type_of(self, node: Node) -> str:
        match node:
            case Literal(value=value):
                kinds = {bool: "bool", int: "int", float: "double"}
                return kinds.get(type(value), "text")
            case Listing():
                return self._listing(node)
            case Name():
                return self._name(node)
            case Select():
                return self._fact(node)
            case Call():
                return self._call(node)
            case Operation():
                _check_divisor(node)
                return self._operation(node)

    def _need(self, node: Node, *wanted: str) -> str:
        found = self.type_of(node)
        if found not in wanted:
            said = " or ".join(_SAID[one] for one in wanted)
            raise ExpressionError(f"must be {said}, and is {_SAID[found]}", start(node))
        return found

    def _listing(self, node: Listing) -> str:
        kinds = {self.type_of(item) for item in node.items}
        if not kinds:
            return "empty"
        if kinds == {"text"}:
            return "list"
        if kinds in ({"int"}, {"double"}):
            return f"list of {kinds.pop()}"
        raise ExpressionError("a list holds texts, or whole numbers, or fractions", node.at)

    def _name(self, node: Name) -> str:
        if self._variable is not None and node.name == self._variable[0]:
            return self._variable[1]
        if node.name in GROUPS or node.name == "readings":
            message = f"`{node.name}` is a group of facts: name one of them, `{node.name}.…`"
            raise ExpressionError(message, node.at)
        near = _near(node.name, tuple(DECLARED)) or _elsewhere(node.name)
        raise ExpressionError(f"`{node.name}` is no declared fact", node.at, near)

    def _fact(self, node: Select) -> str:
        of = node.of
        if not isinstance(of, Name):
            self.type_of(of)
            raise ExpressionError(f"`{node.field}`: what stands before it has no fields", node.at)
        if of.name == "readings" and self._known:
            if node.field not in self._known:
                message = f"`readings.{node.field}` is no counter of this rule"
                near = _near(node.field, self._known, "readings.")
                raise ExpressionError(message, node.at, near)
            self.checked.readings[node.field] = None
            return "int"
        if of.name not in GROUPS:
            if of.name == "readings":
                raise ExpressionError("`readings`: this rule declares none", of.at)
            raise ExpressionError(
                f"`{of.name}` is no group of facts", of.at, _near(of.name, GROUPS)
            )
        path = f"{of.name}.{node.field}"
        fact = DECLARED.get(path)
        if fact is None:
            near = _near_fact(of.name, node.field)
            raise ExpressionError(f"`{path}` is no declared fact", node.at, near)
        self.checked.paths[path] = None
        return fact.type

    def _call(self, node: Call) -> str:
        name, given = node.function, node.arguments
        match name:
            case "has" if node.target is None and len(given) == 1:
                if not isinstance(given[0], Select):
                    raise ExpressionError("`has` asks for a fact, `has(client.asn)`", node.at)
                self.type_of(given[0])
                return "bool"
            case "size" if len(given) + (node.target is not None) == 1:
                of = node.target if node.target is not None else given[0]
                self._need(of, "list", "list of int", "list of double")
                return "int"
            case "int" | "double" if node.target is None and len(given) == 1:
                self._need(given[0], "int", "double")
                return name
            case _ if name in _TEXT_METHODS and node.target is not None and len(given) == 1:
                self._need(node.target, "text")
                self._need(given[0], "text")
                if name == "matches":
                    self._check_matches(node, given[0])
                return "bool"
            case _ if name in _MACROS and node.target is not None and len(given) == 2:
                return self._loop(node)
            case _ if name in _FUNCTIONS:
                raise ExpressionError(f"`{name}` is written otherwise: {_form(name)}", node.at)
        raise ExpressionError(f"`{name}` is no known function", node.at, _near(name, _FUNCTIONS))

    def _check_matches(self, node: Call, pattern: Node) -> None:
        check_pattern(pattern)
        if self._variable is not None:
            # Callers choose how many items a list has, and each would compile the pattern anew.
            message = "a loop takes no pattern: use `contains`, `startsWith` or `endsWith`"
            raise ExpressionError(message, node.at)

    def _loop(self, node: Call) -> str:
        target, (variable, body) = node.target, node.arguments
        if self._variable is not None:
            raise ExpressionError("a loop may not stand in another", node.at)
        if not isinstance(target, Select) or self.type_of(target) != "list":
            raise ExpressionError(
                f"`{node.function}` goes over a declared list such as `ask.tools`", node.at
            )
        if not isinstance(variable, Name):
            raise ExpressionError(f"`{node.function}` names its variable first", node.at)
        if variable.name in GROUPS or variable.name == "readings":
            raise ExpressionError(
                "a variable may not have the name of a group of facts", variable.at
            )
        self._variable = variable.name, "text"
        if node.function == "map":
            self._need(body, "text")
        else:
            self._need(body, "bool")
        self._variable = None
        return "list" if node.function in {"filter", "map"} else "bool"

    def _operation(self, node: Operation) -> str:
        operator, operands = node.operator, node.operands
        match operator:
            case "?:":
                self._need(operands[0], "bool")
                first = self.type_of(operands[1])
                return self._need(operands[2], first)
            case "&&" | "||":
                for one in operands:
                    self._need(one, "bool")
                return "bool"
            case "!":
                return self._need(operands[0], "bool")
            case "in":
                return self._within(node)
            case "==" | "!=" | "<" | "<=" | ">" | ">=":
                return self._compared(node)
        if len(operands) == 1:  # a minus
            return self._need(operands[0], "int", "double")
        if operator == "%":
            self._need(operands[0], "int")
            return self._need(operands[1], "int")
        found = self._need(operands[0], "int", "double", *(("text",) if operator == "+" else ()))
        self._join(node, found)
        other = self.type_of(operands[1])
        if other != found:
            raise ExpressionError(
                f"`{operator}` joins {_SAID[found]} with {_SAID[other]}: "
                "convert one, `double(…)` or `int(…)`",
                node.at,
            )
        return found

    def _join(self, node: Operation, kind: str) -> None:
        self._joins += kind == "text"
        if self._joins > MAX_JOINS:
            raise ExpressionError(f"an expression joins texts at most {MAX_JOINS} times", node.at)

    def _within(self, node: Operation) -> str:
        item, found = self.type_of(node.operands[0]), self.type_of(node.operands[1])
        wanted = {"text": "list", "int": "list of int", "double": "list of double"}.get(item)
        if wanted is None or found != wanted:
            raise ExpressionError(
                f"`in` looks for {_SAID[item]} in {_SAID[found]}: that is never so", node.at
            )
        return "bool"

    def _compared(self, node: Operation) -> str:
        one, other = (self.type_of(operand) for operand in node.operands)
        if one != other and not {one, other} <= _NUMBERS:
            message = f"compares {_SAID[one]} with {_SAID[other]}: that is never so"
            raise ExpressionError(f"`{node.operator}` {message}", node.at)
        ordered = node.operator not in {"==", "!="}
        if ordered and one not in {"int", "double", "text"}:
            raise ExpressionError(f"`{node.operator}` orders numbers and texts", node.at)
        return "bool"


def _form(name: str) -> str:
    if name in _TEXT_METHODS:
        return f'`text.{name}("…")`'
    if name in _MACROS:
        return f"`list.{name}(one, …)`"
    return f"`{name}(…)`, of one thing"


def _check_divisor(node: Operation) -> None:
    """Such an expression would never be true, and say so request by request only."""
    if node.operator in {"/", "%"} and _is_zero(node.operands[1]):
        raise ExpressionError("a division by zero has no result", start(node.operands[1]))


def _is_zero(node: Node) -> bool:
    """Whether it is a zero that is written out, converted or not."""
    if isinstance(node, Call):
        return node.function in {"int", "double"} and all(map(_is_zero, node.arguments))
    return isinstance(node, Literal) and not isinstance(node.value, str) and node.value == 0
