"""What is found in one file: whichever of Excise's files it is."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.client.accounts import Account, load_accounts
from proxy.errors import ConfigurationError
from proxy.networks.lists import load_list
from proxy.policy.analysis import analyse
from proxy.policy.load import PolicyError, load_source
from proxy.policy.mistake import Mistake, MistakenFileError
from proxy.policy.yamltree import read_tree
from proxy.rules import DATA_FILES
from proxy.scenarios.load import SuiteError, load_suite
from proxy.signals.wants import Mistaken


@dataclass(frozen=True, slots=True)
class Checked:
    """One file, and what is wrong with it."""

    file: Path
    holds: str = ""
    """Of a sound file: how much of what."""
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[Mistake, ...] = ()


def check_file(file: Path, accounts: Sequence[Account] | None = None) -> Checked:
    """Look through one file; a policy's warnings need the accounts, where they are given."""
    if _holds(file, "tests"):
        return _suite(file)
    if _holds(file, "accounts"):
        return _told(file, lambda: _several(load_accounts(file).count, "account"))
    if _holds(file, "entries"):
        return _told(file, lambda: _list(file))
    for key, read in DATA_FILES.items():
        if _holds(file, key):
            return _data(file, key, read)
    try:
        source = load_source(file)
    except PolicyError as error:
        return Checked(file, mistakes=error.mistakes)
    policy = source.policy
    found = analyse(source, time.time(), accounts)
    holds = f"{_several(len(policy.rules), 'rule')}, {policy.digest[:19]}"
    return Checked(file, holds, warnings=tuple(found))


def _told(file: Path, read: Callable[[], str]) -> Checked:
    try:
        return Checked(file, read())
    except MistakenFileError as error:
        return Checked(file, mistakes=error.mistakes)
    except ConfigurationError as error:
        said = str(error).removeprefix(f"{file}: ")
        return Checked(file, mistakes=(Mistake(str(file), 1, 1, said),))


def _list(file: Path) -> str:
    count = load_list(datetime.datetime.now(datetime.UTC).date(), file).count
    return f"{count} entr{'y' if count == 1 else 'ies'} of a list of networks"


def _suite(file: Path) -> Checked:
    try:
        return Checked(file, _several(len(load_suite(file).suite.tests), "test"))
    except SuiteError as error:
        return Checked(file, mistakes=error.mistakes)


def _data(file: Path, key: str, read: Callable[[Any, Mistaken], Sized]) -> Checked:
    tree = read_tree(file.read_text(encoding="utf-8"), str(file))
    found = read(tree.data, tree.mistake)
    return Checked(file, f"{len(found)} {key}", _sorted(tree.mistakes))


def _sorted(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    return tuple(sorted(mistakes, key=lambda one: (one.file, one.line, one.column, one.message)))


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _holds(file: Path, key: str) -> bool:
    try:
        data = read_tree(file.read_text(encoding="utf-8"), str(file)).data
    except (OSError, UnicodeDecodeError):
        return False
    return isinstance(data, dict) and key in data and "rules" not in data
