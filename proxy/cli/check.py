"""`excise check`: every mistake in policies, with file, line, column and what was perhaps meant."""

from __future__ import annotations

import datetime
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence, Sized
from pathlib import Path
from typing import Any

import click

from proxy.client.accounts import load_accounts
from proxy.errors import ConfigurationError
from proxy.networks.lists import load_list
from proxy.policy.load import PolicyError, load, warnings
from proxy.policy.mistake import Mistake
from proxy.policy.yamltree import read_tree
from proxy.rules import DATA_FILES
from proxy.signals.wants import Mistaken


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check policies, files beside them, accounts files and lists of networks; or all *.yaml in folders.

    Exits with 0 when all are sound, 1 when there are mistakes, 2 when a path cannot be read.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(path.rglob("*.yaml"))
        elif path.is_file():
            files.append(path)
        else:
            raise click.UsageError(f"{path}: no such file or folder")
    if not files:
        raise click.UsageError("no *.yaml files there")
    sound = [_check(file) for file in files]
    if not all(sound):
        sys.exit(1)


def _check(file: Path) -> bool:
    if _holds(file, "accounts"):
        try:
            accounts = load_accounts(file)
        except ConfigurationError as error:
            click.secho(str(error), fg="red", err=True)
            return False
        click.echo(f"{file}: OK, {accounts.count} account{'' if accounts.count == 1 else 's'}")
        return True
    if _holds(file, "entries"):
        return _check_list(file)
    for key, read in DATA_FILES.items():
        if _holds(file, key):
            return _check_data(file, key, read)
    try:
        policy = load(file)
    except PolicyError as error:
        for mistake in error.mistakes:
            _show(mistake, "red")
        click.secho(_counted(file, error.mistakes), fg="red", err=True)
        return False
    for warning in warnings(policy, file, time.time()):
        _show(warning, "yellow", "warning: ")
    count = len(policy.rules)
    rules = f"{count} rule{'' if count == 1 else 's'}"
    click.echo(f"{file}: OK, {rules}, {policy.digest[:19]}")
    return True


def _counted(file: Path, mistakes: Sequence[Mistake]) -> str:
    """How many mistakes there are, and how many of them stand in other files that the policy names."""
    count = len(mistakes)
    said = f"{file}: {count} mistake{'s' if count > 1 else ''}"
    elsewhere = Counter(one.file for one in mistakes if one.file != str(file))
    if not elsewhere:
        return said
    return f"{said}, of them {', '.join(f'{many} in {name}' for name, many in elsewhere.items())}"


def _check_data(file: Path, key: str, read: Callable[[Any, Mistaken], Sized]) -> bool:
    tree = read_tree(file.read_text(encoding="utf-8"), str(file))
    found = read(tree.data, tree.mistake)
    for mistake in sorted(tree.mistakes):
        _show(mistake, "red")
    if not tree.mistakes:
        click.echo(f"{file}: OK, {len(found)} {key}")
    return not tree.mistakes


def _check_list(file: Path) -> bool:
    try:
        found = load_list(datetime.datetime.now(datetime.UTC).date(), file)
    except ConfigurationError as error:
        click.secho(str(error), fg="red", err=True)
        return False
    count = found.count
    click.echo(f"{file}: OK, {count} entr{'y' if count == 1 else 'ies'} of a list of networks")
    return True


def _holds(file: Path, key: str) -> bool:
    try:
        data = read_tree(file.read_text(encoding="utf-8"), str(file)).data
    except (OSError, UnicodeDecodeError):
        return False
    return isinstance(data, dict) and key in data and "rules" not in data


def _show(mistake: Mistake, colour: str, prefix: str = "") -> None:
    where = f"{mistake.file}:{mistake.line}:{mistake.column}:"
    hint = f" (did you mean {mistake.suggestion}?)" if mistake.suggestion else ""
    click.echo(f"{click.style(where, bold=True)} {prefix}{mistake.message}{hint}", err=True)
    try:
        lines = Path(mistake.file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    if mistake.line <= len(lines):
        click.echo(f"    {lines[mistake.line - 1]}", err=True)
        click.secho(f"    {' ' * (mistake.column - 1)}^", fg=colour, err=True)
