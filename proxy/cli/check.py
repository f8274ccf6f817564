"""`excise check`: every mistake in policies, with file, line, column and what was perhaps meant."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from proxy.cli.check_files import Checked, check_file
from proxy.cli.check_formats import FORMATS
from proxy.client.accounts import Account, load_accounts
from proxy.errors import ConfigurationError


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--accounts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Look for accounts and tiers that this accounts file does not declare.",
)
@click.option("--strict", is_flag=True, help="Warnings fail as mistakes do.")
@click.option(
    "--format",
    "style",
    type=click.Choice(sorted(FORMATS)),
    default="text",
    show_default=True,
    help="How findings are told: to people, to programs, or to GitHub as annotations.",
)
def check(paths: tuple[Path, ...], accounts: Path | None, strict: bool, style: str) -> None:
    """Check policies, their tests and other files beside them, accounts files and lists of networks; or all
    *.yaml in folders.

    Mistakes keep a policy from being loaded. Warnings are about what is sound but can hardly be meant:
    rules that never fire, exemptions that lift nothing, actions that never decide.

    Exits with 0 when all are sound, 1 when there are mistakes (or warnings, with --strict), 2 when a path
    cannot be read.
    """
    declared = _accounts(accounts)
    checked = [check_file(file, declared) for file in _files(paths)]
    FORMATS[style](checked)
    if any(_fails(one, strict=strict) for one in checked):
        sys.exit(1)


def _fails(checked: Checked, *, strict: bool) -> bool:
    return bool(checked.mistakes or (strict and checked.warnings))


def _files(paths: tuple[Path, ...]) -> list[Path]:
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
    return files


def _accounts(path: Path | None) -> tuple[Account, ...] | None:
    if path is None:
        return None
    try:
        return load_accounts(path).listed
    except ConfigurationError as error:
        raise click.UsageError(f"--accounts cannot be used:\n{error}") from None
