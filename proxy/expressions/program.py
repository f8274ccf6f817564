"""
Expressions that run: compiled once, at load, and evaluated over one context a request.

The context holds only the facts that the policy's expressions name, and is built when the first of
them asks. What cannot be evaluated (an absent fact, a number out of range) is false, and is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import cel

from proxy.decision import Scalar
from proxy.expressions.check import check
from proxy.expressions.declared import DECLARED, GROUPS, Fact
from proxy.expressions.syntax import Call, ExpressionError, Literal, Node, canonical, read
from proxy.facts import Facts, Signal

NO_READINGS: Final[Mapping[str, int]] = {}

_SAMPLES: Final = {"text": "a", "int": 1, "double": 0.5, "bool": True, "list": ["a"]}


class Program:
    """One sound expression. Immutable."""

    def __init__(self, text: str, readings: Mapping[str, object] = NO_READINGS) -> None:
        """Raises ExpressionError."""
        tree = read(text)
        checked = check(tree, readings)
        self.text = text
        self.canonical = canonical(text)
        self.paths = tuple(checked.paths)
        self.readings = tuple(checked.readings)
        self.needs_body = any(DECLARED[path].of_body for path in self.paths)
        self.signals: frozenset[Signal] = frozenset(
            signal for path in self.paths if (signal := DECLARED[path].signal) is not None
        )
        self._compiled = _compiled(text, tree)
        _try(self._compiled, self.readings)

    def __repr__(self) -> str:
        return f"Program({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and other.canonical == self.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)

    def evaluate(self, context: cel.Context) -> bool | str:
        """True, false, or a word for why it cannot be told: `absent …` or `failed`."""
        try:
            return self._compiled.execute(context) is True
        except KeyError as error:
            return f"absent {error.args[0]}"
        except (TypeError, ValueError, RuntimeError, ArithmeticError):
            return "failed"

    def shown(self, facts: Facts) -> dict[str, Scalar]:
        """The facts that it uses, as far as a finding's evidence may tell them."""
        told: dict[str, Scalar] = {}
        for path in self.paths:
            fact = DECLARED[path]
            if fact.shown and fact.type != "list" and (found := fact.of(facts)) is not None:
                assert not isinstance(found, list)
                told[path] = found
        return told


def _compiled(text: str, tree: Node) -> cel.Program:
    for pattern in _patterns(tree):
        try:
            cel.compile("s.matches(p)").execute({"s": "", "p": pattern.value})
        except RuntimeError:
            raise ExpressionError("is no regular expression of Rust's", pattern.at) from None
    try:
        return cel.compile(text)
    except ValueError as error:
        # Read by us and not by the library: it should not happen, and must not pass.
        said = str(error).partition("ERROR: ")[2].partition("\n")[0]
        raise ExpressionError(f"is not understood: {said or 'syntax error'}", 0) from None


def _patterns(node: Node) -> Iterable[Literal]:
    if isinstance(node, Call) and node.function == "matches":
        (pattern,) = node.arguments
        if isinstance(pattern, Literal):
            yield pattern
    if isinstance(node, Call):
        inner = (*((node.target,) if node.target is not None else ()), *node.arguments)
    else:
        inner = (*getattr(node, "operands", ()), *getattr(node, "items", ()))
        if (of := getattr(node, "of", None)) is not None:
            inner = (*inner, of)
    for one in inner:
        yield from _patterns(one)


def _try(compiled: cel.Program, readings: Iterable[str]) -> None:
    """One evaluation with every fact there: what CEL has no way to carry out is a mistake."""
    variables: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    variables["readings"] = dict.fromkeys(readings, 1)
    for path, fact in DECLARED.items():
        group, _, name = path.partition(".")
        variables[group][name] = _SAMPLES[fact.type]
    try:
        compiled.execute(variables)
    except ArithmeticError:
        pass  # a sample's own number
    except (TypeError, ValueError, RuntimeError, LookupError) as error:
        said = str(error).partition(":")[0][:120]
        raise ExpressionError(f"cannot be evaluated: {said}", 0) from None


class Sight:
    """What the expressions of one policy look at."""

    def __init__(self, programs: Iterable[Program]) -> None:
        paths = dict.fromkeys(path for program in programs for path in program.paths)
        by_group: dict[str, list[tuple[str, Any]]] = {}
        for path in paths:
            group, _, name = path.partition(".")
            by_group.setdefault(group, []).append((name, DECLARED[path].of))
        self._groups = tuple((group, tuple(fields)) for group, fields in by_group.items())

    def context(self, facts: Facts) -> cel.Context:
        """The facts that there are, for CEL."""
        variables: dict[str, dict[str, Fact]] = {}
        for group, fields in self._groups:
            held: dict[str, Fact] = {}
            for name, of in fields:
                if (found := of(facts)) is not None:
                    held[name] = found
            variables[group] = held
        return cel.Context(variables=variables)


class Evaluation:
    """The expressions of a policy over one request's facts: the context, and what went wrong."""

    __slots__ = ("_context", "_facts", "_sight", "failures")

    def __init__(self, sight: Sight, facts: Facts) -> None:
        self._sight = sight
        self._facts = facts
        self._context: cel.Context | None = None
        self.failures: dict[str, str] = {}
        """Rule or exemption → why an expression of its could not be evaluated."""

    def holds(
        self, program: Program, whose: str, readings: Mapping[str, int] = NO_READINGS
    ) -> bool:
        """Whether an expression is true; what cannot be evaluated is not, and is noted."""
        context = self._context
        if context is None:
            context = self._context = self._sight.context(self._facts)
        if readings:
            context.add_variable("readings", dict(readings))
        found = program.evaluate(context)
        if isinstance(found, str):
            self.failures[whose] = found
            return False
        return found


def holds(
    program: Program, facts: Facts, whose: str, readings: Mapping[str, int] = NO_READINGS
) -> bool:
    """Whether an expression is true of facts, by their own evaluation or, outside of a request's way, by
    one of its own."""
    evaluation = facts.evaluation
    if evaluation is None:
        evaluation = Evaluation(Sight((program,)), facts)
    return evaluation.holds(program, whose, readings)
