"""`excise accounts`: accounts files out of other systems' tables, and what one holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.cli.key_id import lasting_secret
from proxy.cli.output import OUTPUT, put
from proxy.client.accounts import Account, load_accounts
from proxy.client.accounts_import import day_of, import_accounts
from proxy.errors import ConfigurationError

_COLUMNS = ("account", "tier", "profile", "since", "networks", "keys")


@click.group()
def accounts() -> None:
    """Make an accounts file, or look at one."""


@accounts.command("import")
@click.argument("source", metavar="FILE")
@OUTPUT
def import_(source: str, output: Path | None) -> None:
    """Make an accounts file out of FILE, CSV with a header or a JSON list; - reads standard input.

    Columns: account, tier, profile, since, networks, keys (ids) and key. A `key` is a plain key, hashed
    with EXCISE_SECRET and never written; it is read from standard input alone, so that no file has to
    hold it.
    Several rows may give one account several keys.

    Exits with 1 where there are mistakes, each told with its line and column.
    """
    name, text = _read(source)
    try:
        secret = lasting_secret() if source == "-" and _names_keys(text) else None
        key_id = None if secret is None else secret.key_id
        written = import_accounts(text, name, key_id)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    put(written, output)


@accounts.command("list")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(file: Path, as_json: bool) -> None:
    """Show the accounts of FILE: tier, profile, networks and how many keys each has.

    Exits with 1 where the file has mistakes, each told with its line and column.
    """
    try:
        found = load_accounts(file)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    keys = found.key_ids()
    told = [_told(one, keys.get(one.account, [])) for one in found.listed]
    if as_json:
        for one in told:
            click.echo(orjson.dumps(one))
    else:
        _show(told)


def _read(source: str) -> tuple[str, str]:
    try:
        if source == "-":
            return "standard input", sys.stdin.buffer.read().decode()
        return source, Path(source).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{source}: it is not UTF-8") from None
    except OSError as error:
        raise click.UsageError(f"{source}: cannot be read: {error.strerror}") from None


def _names_keys(text: str) -> bool:
    """Whether there may be plain keys: only then a secret is needed."""
    head = text.lstrip("\ufeff \r\n\t")
    if head[:1] in {"[", "{"}:
        return '"key"' in text
    words = head.partition("\n")[0].replace('"', "").lower().split(",")
    return "key" in (word.strip() for word in words)


def _told(one: Account, keys: list[str]) -> dict[str, Any]:
    return {
        "account": one.account,
        "tier": one.tier,
        "profile": one.profile,
        "since": None if one.since is None else day_of(one.since),
        "networks": [str(network) for network in one.networks],
        "keys": keys,
    }


def _show(told: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, overflow="fold", justify="right" if name == "keys" else "left")
    for one in told:
        shown = {**one, "keys": len(one["keys"]), "networks": " ".join(one["networks"]) or None}
        table.add_row(
            *(Text("-" if shown[name] is None else str(shown[name])) for name in _COLUMNS)
        )
    Console().print(table)
