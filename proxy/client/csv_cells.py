"""CSV as RFC 4180 has it, each cell with its line and column: the standard library tells neither."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from proxy.nearest import nearest
from proxy.policy.yamltree import Tree

_CELL: Final = re.compile(r'"((?:[^"]|"")*)"|([^",\r\n]*)')
_END: Final = re.compile(r",|\r\n|\n|\r|\Z")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and where it stands."""

    value: Any
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says, by column; empty cells are left out."""

    line: int
    column: int
    cells: dict[str, list[Cell]]


def csv_rows(text: str, known: Sequence[str], tree: Tree) -> Iterator[Row]:
    """Rows by the names of their header, of which only the known ones are allowed; mistakes are noted."""
    records = _records(text, tree)
    header = next(records, None)
    if header is None:
        _mistake(tree, 1, 1, f"the first line names columns: {', '.join(known)}")
        return
    names = [str(cell.value).strip().lower() for cell in header]
    for at, (name, cell) in enumerate(zip(names, header, strict=True)):
        if name not in known:
            _mistake(tree, cell.line, cell.column, f"`{name}` is no column that is known here",
                     nearest(name, known))  # fmt: skip
        elif name in names[:at]:
            _mistake(tree, cell.line, cell.column, f"`{name}` stands here twice")
    if tree.mistakes:
        return
    for record in records:
        first = record[0]
        if len(record) > len(names):
            beyond = record[len(names)]
            _mistake(tree, beyond.line, beyond.column, "there are more cells here than columns")
            continue
        cells = {
            name: [Cell(cell.value.strip(), cell.line, cell.column)]
            for name, cell in zip(names, record, strict=False)
            if cell.value.strip()
        }
        if cells:
            yield Row(first.line, first.column, cells)


def _records(text: str, tree: Tree) -> Iterator[list[Cell]]:
    at, line, begins = 0, 1, 0
    record: list[Cell] = []
    while at <= len(text):
        found = _CELL.match(text, at)
        assert found is not None  # it matches nothing, too
        quoted, plain = found.groups()
        value = plain if quoted is None else quoted.replace('""', '"')
        record.append(Cell(value, line, at - begins + 1))
        if quoted is not None and "\n" in quoted:
            line += quoted.count("\n")
            begins = text.rindex("\n", 0, found.end()) + 1
        end = _END.match(text, found.end())
        if end is None:
            _mistake(tree, line, found.end() - begins + 1, "a quote encloses a whole cell, or none")
            return
        at = end.end()
        if end[0] == ",":
            continue
        if len(record) > 1 or record[0].value.strip():
            yield record
        record = []
        line, begins = line + 1, at
        if not end[0]:
            return


def _mistake(
    tree: Tree, line: int, column: int, message: str, suggestion: str | None = None
) -> None:
    tree.values[()] = (line, column)
    tree.mistake((), message, suggestion)
