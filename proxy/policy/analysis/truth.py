"""
Whether an expression can be true, and whether it can be anything else.

The expression is tried with every value that could make a difference: of each fact the literals that it is
compared with, their neighbours, one value more, and its absence. What literals do not settle (arithmetic,
patterns, one fact against another) may come out either way, so that nothing is called constant that is not.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from proxy.expressions.declared import DECLARED
from proxy.expressions.syntax import Call, Listing, Literal, Name, Node, Operation, Select, read

Value = str | int | float | bool

MOST: Final = 2_000
"""Combinations that are tried; what has more is left alone."""
_READINGS: Final = "readings."
_OTHER: Final = "\x00other"
"""A text that stands in no expression."""
_COMPARES: Final[dict[str, Callable[[Value, Value], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


LEAST: Final = -float(2**62)


@dataclass(frozen=True, slots=True)
class Domain:
    """What a fact can be. `values` None: anything of its type but `excluded`."""

    values: frozenset[Value] | None = None
    excluded: frozenset[Value] = frozenset()
    absent: bool = False
    least: float = LEAST
    most: float | None = None

    @property
    def empty(self) -> bool:
        """Whether no value is left."""
        return self.values is not None and not self.values

    def only(self, wanted: frozenset[Value]) -> Domain:
        """Known, and one of these."""
        left = wanted if self.values is None else wanted & self.values
        return replace(self, values=left - self.excluded, absent=False)

    def but(self, others: frozenset[Value]) -> Domain:
        """None of these."""
        left = None if self.values is None else self.values - others
        return replace(self, values=left, excluded=self.excluded | others)

    def known(self) -> Domain:
        """Never absent."""
        return replace(self, absent=False)


ANYTHING: Final = frozenset({True, False})


def outcomes(text: str, domains: Mapping[str, Domain]) -> frozenset[bool]:
    """What an expression can come to: true, false (or cannot be told, which counts as false), or both."""
    tree = read(text)
    literals: dict[str, set[Value]] = {}
    free: list[Node] = []
    _gather(tree, literals, free)
    choices: dict[str | int, tuple[Value | None, ...]] = {
        path: tuple(_samples(path, seen, domains)) for path, seen in literals.items()
    }
    choices |= {id(node): (True, False, None) for node in free}
    count = 1
    for one in choices.values():
        count *= max(1, len(one))
        if count > MOST:
            return ANYTHING
    names, found = tuple(choices), set()
    for values in product(*choices.values()):
        found.add(_evaluate(tree, dict(zip(names, values, strict=True))) is True)
        if len(found) == 2:
            break
    return frozenset(found) or ANYTHING


def _path(node: Node) -> str | None:
    if isinstance(node, Select) and isinstance(node.of, Name):
        path = f"{node.of.name}.{node.field}"
        return path if path in DECLARED or path.startswith(_READINGS) else None
    return None


def _settled(node: Operation) -> tuple[str, tuple[Value, ...]] | None:
    """The fact and the literals of a comparison that has no more to it."""
    if node.operator not in {*_COMPARES, "in"} or len(node.operands) != 2:
        return None
    one, other = node.operands
    if node.operator != "in" and isinstance(one, Literal):
        one, other = other, one
    path = _path(one)
    if path is None or (path in DECLARED and DECLARED[path].type == "list"):
        return None
    if isinstance(other, Listing) and node.operator == "in":
        items = [item.value for item in other.items if isinstance(item, Literal)]
        return (path, tuple(items)) if len(items) == len(other.items) else None
    if not isinstance(other, Literal):
        return None
    orders = node.operator not in {"==", "!="}
    return None if orders and isinstance(other.value, str) else (path, (other.value,))


def _gather(node: Node, literals: dict[str, set[Value]], free: list[Node]) -> None:
    """Facts with the literals that they are compared with, and what comes out either way."""
    if isinstance(node, Operation):
        settled = _settled(node)
        if settled is not None:
            literals.setdefault(settled[0], set()).update(settled[1])
            return
        if node.operator in {"&&", "||", "!", "?:"}:
            for one in node.operands:
                _gather(one, literals, free)
            return
        if node.operator in _COMPARES and all(isinstance(one, Literal) for one in node.operands):
            return
    if isinstance(node, Call) and node.function == "has":
        asked = _path(node.arguments[0])
        if asked is not None:
            literals.setdefault(asked, set())
            return
    path = _path(node)
    if path is not None and path in DECLARED and DECLARED[path].type == "bool":
        literals.setdefault(path, set())
    elif not isinstance(node, Literal):
        free.append(node)


def _samples(path: str, seen: set[Value], domains: Mapping[str, Domain]) -> Iterator[Value | None]:
    """Values of a fact that could make a difference; None is its absence."""
    domain = domains.get(path, Domain(absent=True))
    if domain.absent:
        yield None
    if domain.values is not None:
        other = domain.values - seen
        yield from domain.values & seen
        yield from sorted(other, key=str) if _is_number_in(other) else sorted(other, key=str)[:1]
        return
    kind = DECLARED[path].type if path in DECLARED else "int"
    if kind in {"int", "double"}:
        yield from _numbers(seen, domain, 1 if kind == "int" else 0.001) - domain.excluded
    elif kind == "bool":
        yield from (True, False)
    else:
        yield from ({_OTHER} | seen) - domain.excluded


def _numbers(seen: set[Value], domain: Domain, step: float) -> set[Value]:
    """Both sides of each number, and both ends."""
    tried: set[float] = {domain.least} | ({domain.most} if domain.most is not None else set())
    for one in seen:
        if isinstance(one, int | float):
            tried |= {one - step, one, one + step}
            if step == 1:
                tried |= {math.floor(one), math.ceil(one)}
    whole = {one for one in tried if step != 1 or one == math.floor(one)}
    most = math.inf if domain.most is None else domain.most
    return {one for one in whole if domain.least <= one <= most}


def _is_number_in(values: frozenset[Value]) -> bool:
    return any(isinstance(one, int | float) for one in values)


def _evaluate(node: Node, given: Mapping[str | int, Value | None]) -> Value | None:
    """CEL's own logic: what is absent spoils all but what its other side decides."""
    if id(node) in given:
        return given[id(node)]
    if isinstance(node, Literal):
        return node.value
    path = _path(node)
    if path is not None:
        return given[path]
    if isinstance(node, Call):
        asked = _path(node.arguments[0])
        return asked is not None and given[asked] is not None
    assert isinstance(node, Operation)
    settled = _settled(node)
    if settled is not None:
        return _compared(node, given[settled[0]], settled[1])
    found = [_evaluate(one, given) for one in node.operands]
    return _joined(node.operator, found)


def _joined(sign: str, found: list[Value | None]) -> Value | None:
    if sign in {"&&", "||"}:
        decides = sign == "||"
        if decides in found:
            return decides
        return None if None in found else not decides
    if sign == "?:":
        return None if found[0] is None else found[1] if found[0] else found[2]
    if None in found:
        return None
    if sign == "!":
        return not found[0]
    return _COMPARES[sign](found[0], found[1])  # type: ignore[arg-type]  # None was told before


def _compared(node: Operation, fact: Value | None, literals: tuple[Value, ...]) -> bool | None:
    if fact is None:
        return None
    sign = node.operator
    if sign == "in":
        return fact in literals
    if isinstance(node.operands[0], Literal):
        sign = _MIRRORED.get(sign, sign)
    return _COMPARES[sign](fact, literals[0])
