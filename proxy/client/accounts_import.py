"""
Accounts out of another system's table, CSV or JSON, as an accounts file. Pure.

Several rows may speak of one account, each with another key. Plain keys are hashed at once and never kept;
what is written holds ids alone.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.client.accounts import Accounts, read_accounts
from proxy.client.csv_cells import Cell, Row, csv_rows
from proxy.nearest import nearest
from proxy.policy.mistake import MistakenFileError
from proxy.policy.yamltree import Tree, read_tree

FIELDS: Final = ("account", "tier", "profile", "since", "networks", "keys", "key")
"""Columns, or names in JSON. `key` is a plain key; `networks` and `keys` (ids) may be several."""
_SEVERAL: Final = ("networks", "keys")
_BETWEEN: Final = re.compile(r"[\s,;]+")
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.@/-]*").fullmatch

KeyId = Callable[[bytes], str]


@dataclass(slots=True)
class _Entry:
    at: int
    fields: dict[str, Any] = field(default_factory=dict)


def import_accounts(text: str, file: str, key_id: KeyId | None) -> str:
    """The accounts file, as YAML. `key_id` hashes plain keys; None where they may not come from here.

    Raises MistakenFileError, each mistake with its line and column.
    """
    tree = Tree(file)
    text = text.removeprefix("\ufeff")
    rows = _json_rows(text, tree) if text.lstrip()[:1] in {"[", "{"} else _csv_rows(text, tree)
    _Import(tree, key_id).take(rows)
    accounts = read_accounts(tree) if not tree.mistakes else None
    if tree.mistakes or accounts is None:
        raise MistakenFileError(sorted(set(tree.mistakes), key=str))
    written = accounts_yaml(accounts)
    again = read_tree(written, file)
    if again.mistakes:  # more of them than a file may hold
        raise MistakenFileError(again.mistakes)
    return written


class _Import:
    def __init__(self, tree: Tree, key_id: KeyId | None) -> None:
        self._tree = tree
        self._key_id = key_id
        self._entries: dict[str, _Entry] = {}

    def take(self, rows: Iterator[Row]) -> None:
        """All rows, joined by account, as an accounts file holds them."""
        listed: list[dict[str, Any]] = []
        self._tree.data = {"version": 1, "accounts": listed}  # type: ignore[dict-item]  # plain data
        for row in rows:
            name = row.cells.get("account")
            if name is None:
                self._mistake(row.line, row.column, "`account` is required")
                continue
            entry = self._entries.get(str(name[0].value))
            if entry is None:
                entry = self._entries[str(name[0].value)] = _Entry(len(listed))
                listed.append(entry.fields)
                self._put(("accounts", entry.at), name[0])
            for column, cells in row.cells.items():
                self._field(entry, column, cells)

    def _field(self, entry: _Entry, column: str, cells: list[Cell]) -> None:
        if column in _SEVERAL:
            for cell in cells:
                self._add(entry, column, cell)
        elif column == "key":
            for cell in cells:
                self._plain(entry, cell)
        else:
            (cell,) = cells
            before = entry.fields.setdefault(column, cell.value)
            place = ("accounts", entry.at, column)
            if place not in self._tree.values:
                self._put(place, cell)
            elif before != cell.value:
                line = self._tree.values[place][0]
                message = f"`{column}` is another one than in line {line}, of the same account"
                self._mistake(cell.line, cell.column, message)

    def _plain(self, entry: _Entry, cell: Cell) -> None:
        if self._key_id is None:
            message = "plain keys are read from standard input alone: `excise accounts import -`"
            self._mistake(cell.line, cell.column, message)
        elif not isinstance(cell.value, str):
            self._mistake(cell.line, cell.column, "`key` must be a text")
        else:
            try:
                key = cell.value.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:  # JSON can write half of a character
                self._mistake(cell.line, cell.column, "`key` must be a text of whole characters")
                return
            self._add(entry, "keys", Cell(self._key_id(key), cell.line, cell.column))

    def _add(self, entry: _Entry, column: str, cell: Cell) -> None:
        listed = entry.fields.setdefault(column, [])
        if cell.value not in listed:
            self._put(("accounts", entry.at, column, len(listed)), cell)
            listed.append(cell.value)

    def _put(self, place: tuple[str | int, ...], cell: Cell) -> None:
        self._tree.values[place] = (cell.line, cell.column)

    def _mistake(self, line: int, column: int, message: str) -> None:
        self._tree.values[()] = (line, column)
        self._tree.mistake((), message)


def _csv_rows(text: str, tree: Tree) -> Iterator[Row]:
    """Rows by their header; what is empty is left out, lists are taken apart."""
    for row in csv_rows(text, FIELDS, tree):
        for column in _SEVERAL:
            if column in row.cells:
                row.cells[column] = [
                    Cell(word, cell.line, cell.column)
                    for cell in row.cells[column]
                    for word in _BETWEEN.split(str(cell.value))
                    if word
                ]
        yield row


def _json_rows(text: str, tree: Tree) -> Iterator[Row]:
    """Objects of a list, which may stand in `accounts`. JSON is YAML, but for tabs between its parts."""
    read = read_tree(text.replace("\t", " "), tree.file)
    tree.mistakes += read.mistakes
    data: Any = read.data
    place: tuple[str | int, ...] = ()
    if isinstance(data, dict) and isinstance(data.get("accounts"), list):
        data, place = data["accounts"], ("accounts",)
    if not isinstance(data, list):
        if not tree.mistakes:
            read.mistake((), "a list of accounts, or `accounts` with one, is expected")
            tree.mistakes += read.mistakes
        return
    for at, item in enumerate(data):
        here = (*place, at)
        if not isinstance(item, dict):
            read.mistakes.clear()
            read.mistake(here, "an account holds named fields: `account`, `keys`, …")
            tree.mistakes += read.mistakes
            continue
        yield Row(*read.place(here), dict(_fields(item, here, read, tree)))


def _fields(
    item: dict[str, Any], here: tuple[str | int, ...], read: Tree, tree: Tree
) -> Iterator[tuple[str, list[Cell]]]:
    for name, given in item.items():
        if name not in FIELDS:
            line, column = read.place((*here, name), key=True)
            tree.values[()] = (line, column)
            tree.mistake((), f"`{name}` is not known here", nearest(name, FIELDS))
        elif isinstance(given, list):
            several = name in (*_SEVERAL, "key")
            cells = [
                Cell(one, *read.place((*here, name, index))) for index, one in enumerate(given)
            ]
            yield name, cells if several else [Cell(given, *read.place((*here, name)))]
        elif given is not None:
            yield name, [Cell(given, *read.place((*here, name)))]


def accounts_yaml(accounts: Accounts) -> str:
    """An accounts file."""
    keys = accounts.key_ids()
    lines = ["version: 1", "accounts:" if accounts.listed else "accounts: []"]
    for one in accounts.listed:
        lines.append(f"  - account: {_word(one.account)}")
        lines += [f"    tier: {_word(one.tier)}"] if one.tier is not None else []
        lines += [f"    profile: {one.profile}"] if one.profile is not None else []
        lines += [f"    since: {day_of(one.since)}"] if one.since is not None else []
        if one.networks:
            lines.append(f"    networks: [{', '.join(_word(str(net)) for net in one.networks)}]")
        if one.account in keys:
            lines.append(f"    keys: [{', '.join(keys[one.account])}]")
    return "\n".join(lines) + "\n"


def day_of(since: float) -> str:
    """`2025-06-01`."""
    return datetime.datetime.fromtimestamp(since, datetime.UTC).date().isoformat()


def _word(text: str) -> str:
    """A text as YAML has it; quoted wherever somebody could read it otherwise."""
    if _PLAIN(text):
        tree = read_tree(text, "")
        if tree.data == text and not tree.mistakes:
            return text
    return json.dumps(text)
