"""
CEL's text → a tree, as far as policies may use CEL.

The library compiles and evaluates; this reads the same text once more, at load, so that every name and
type can be checked with its place. What it does not know is refused: messages, maps, bytes, unsigned
numbers, indexes and null have no use over facts. Grammar: the CEL specification, "syntax".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 1000
"""Characters of an expression."""
MAX_DEPTH: Final = 24
"""Levels of nesting."""


class ExpressionError(Exception):
    """A mistake in an expression: what, at which character, and what was perhaps meant."""

    def __init__(self, message: str, offset: int, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, true or false."""

    at: int
    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Listing:
    """`[a, b]`."""

    at: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A bare word."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`of.field`; `at` is the field's."""

    at: int
    of: Node
    field: str


@dataclass(frozen=True, slots=True)
class Call:
    """`function(…)` or `target.function(…)`."""

    at: int
    function: str
    target: Node | None
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator over one, two or three operands; `at` is the operator's."""

    at: int
    operator: str
    operands: tuple[Node, ...]


Node = Literal | Listing | Name | Select | Call | Operation


def start(node: Node) -> int:
    """Where the text of a node begins."""
    match node:
        case Select(of=of):
            return start(of)
        case Call(target=target) if target is not None:
            return start(target)
        case Operation(operator=operator, operands=operands) if (
            len(operands) > 1 or operator == "?:"
        ):
            return start(operands[0])
    return node.at


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<double>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)"
    r"|(?P<int>0x[0-9a-fA-F]+|[0-9]+)"
    r"|(?P<raw>[rR](?:'[^'\r\n]*'|\"[^\"\r\n]*\"))"
    r"|(?P<text>'(?:[^'\\\r\n]|\\['\"\\nt])*'|\"(?:[^\"\\\r\n]|\\['\"\\nt])*\")"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\|\||&&|<=|>=|==|!=|[-+*/%<>!?:.,()\[\]])"
)
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "t": "\t"}
_INT_MAX: Final = 2**63 - 1

_RELATIONS: Final = ("<", "<=", ">", ">=", "==", "!=", "in")
_LEVELS: Final = (("||",), ("&&",), _RELATIONS, ("+", "-"), ("*", "/", "%"))
"""Operators of two operands, weakest first; each level joins from the left."""


def tokens(text: str) -> list[_Token]:
    """The words of an expression. Raises ExpressionError."""
    found: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            what = "a text that does not end" if text[at] in "'\"" else f"`{text[at]}`"
            raise ExpressionError(f"{what} is not understood here", at)
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_Token(kind, match.group(), at))
        at = match.end()
    found.append(_Token("end", "", len(text.rstrip())))
    return found


def read(text: str) -> Node:
    """The tree of an expression. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    return _Reader(tokens(text)).whole()


def canonical(text: str) -> str:
    """One text for expressions that differ in white space alone."""
    return " ".join(token.text for token in tokens(text) if token.kind != "end")


class _Reader:
    """Recursive descent, one method a kind of thing."""

    def __init__(self, words: list[_Token]) -> None:
        self._words = words
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._ternary()
        if self._words[self._next].kind != "end":
            raise self._unexpected()
        return node

    def _peek(self, *signs: str) -> bool:
        word = self._words[self._next]
        return word.kind in {"sign", "word"} and word.text in signs

    def _take(self) -> _Token:
        word = self._words[self._next]
        self._next += 1
        return word

    def _expect(self, sign: str) -> _Token:
        if not self._peek(sign):
            raise self._unexpected(f"; expected `{sign}`")
        return self._take()

    def _unexpected(self, expected: str = "") -> ExpressionError:
        word = self._words[self._next]
        what = f"`{word.text}` is not understood here" if word.text else "ends too early"
        return ExpressionError(f"{what}{expected}", word.at)

    def _ternary(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"is nested deeper than {MAX_DEPTH} levels"
            raise ExpressionError(message, self._words[self._next].at)
        node = self._binary(0)
        if self._peek("?"):
            at = self._take().at
            then = self._binary(0)
            self._expect(":")
            node = Operation(at, "?:", (node, then, self._ternary()))
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while self._peek(*_LEVELS[level]):
            sign = self._take()
            node = Operation(sign.at, sign.text, (node, self._binary(level + 1)))
        return node

    def _unary(self) -> Node:
        if not self._peek("!", "-"):
            return self._member()
        sign = self._take()
        if self._peek("!", "-"):
            raise ExpressionError("one `!` or `-` is enough", self._words[self._next].at)
        operand = self._member()
        if sign.text == "-" and isinstance(operand, Literal) and _is_number(operand.value):
            return Literal(sign.at, -operand.value)  # type: ignore[operator]  # a number
        return Operation(sign.at, sign.text, (operand,))

    def _member(self) -> Node:
        node = self._primary()
        while self._peek("."):
            self._take()
            word = self._words[self._next]
            if word.kind != "word":
                raise self._unexpected("; expected a field's name")
            self._take()
            if self._peek("("):
                node = Call(word.at, word.text, node, self._items("(", ")"))
            else:
                node = Select(word.at, node, word.text)
        return node

    def _items(self, first: str, last: str) -> tuple[Node, ...]:
        self._expect(first)
        items: list[Node] = []
        while not self._peek(last):
            items.append(self._ternary())
            if not self._peek(","):
                break
            self._take()
        self._expect(last)
        return tuple(items)

    def _primary(self) -> Node:
        word = self._words[self._next]
        if word.kind == "word" and word.text not in {"in", "null"}:
            self._take()
            if word.text in {"true", "false"}:
                return Literal(word.at, word.text == "true")
            if self._peek("("):
                return Call(word.at, word.text, None, self._items("(", ")"))
            return Name(word.at, word.text)
        if word.text == "null":
            raise ExpressionError(
                "`null`: no fact is null, an absent one is told by `has(…)`", word.at
            )
        if self._peek("("):
            self._take()
            node = self._ternary()
            self._expect(")")
            return node
        if self._peek("["):
            return Listing(word.at, self._items("[", "]"))
        if word.kind in {"int", "double", "text", "raw"}:
            self._take()
            return Literal(word.at, _value(word))
        raise self._unexpected()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(word: _Token) -> str | int | float:
    match word.kind:
        case "int":
            number = int(word.text, 16 if word.text.startswith("0x") else 10)
            if number > _INT_MAX:
                raise ExpressionError("a number is too large", word.at)
            return number
        case "double":
            return float(word.text)
        case "raw":
            return word.text[2:-1]
        case _:
            inner = word.text[1:-1]
            return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), inner)
