"""`excise diff`: what another policy would do otherwise."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
import orjson

from proxy.policy.diff import EFFECTS, Change
from proxy.policy.diff import diff as compare
from proxy.policy.load import PolicyError, Source, load_sources

_COLOURS: Final = {"stricter": "red", "looser": "green", "anew": "yellow", "otherwise": "cyan"}
_SAID: Final = {"anew": "starts anew"}


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "style",
    type=click.Choice(["json", "text"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 where something changes.")
def diff(old: Path, new: Path, style: str, exit_code: bool) -> None:
    """Tell what the policy NEW does otherwise than OLD: by meaning, never by text.

    Packs and overrides are resolved first; comments, order and other ways to write the same are no
    change. First comes what becomes stricter, then what becomes looser, then whose counts start anew,
    then the rest.

    Exits with 0, with 1 where something changes and --exit-code is given, and with 2 where a policy
    cannot be loaded.
    """
    try:
        before, after = load_sources(old, new)
    except PolicyError as error:
        raise click.UsageError(f"not a sound policy:\n{error}") from None
    changes = compare(before, after)
    if style == "json":
        _json(before, after, changes)
    else:
        _text(changes)
    if exit_code and changes:
        sys.exit(1)


def _json(before: Source, after: Source, changes: list[Change]) -> None:
    told = {
        "old": before.policy.digest,
        "new": after.policy.digest,
        "changes": [{name: told or None for name, told in asdict(one).items()} for one in changes],
    }
    click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))


def _text(changes: list[Change]) -> None:
    if not changes:
        click.echo("no change in meaning")
    for effect in EFFECTS:
        found = [one for one in changes if one.effect == effect]
        if found:
            click.secho(_SAID.get(effect, effect), fg=_COLOURS[effect], bold=True)
        for one in found:
            click.echo(f"  {click.style(one.where, bold=True)}: {_line(one)}")


def _line(change: Change) -> str:
    told = change.what
    if change.before is None and change.after is not None:
        told += f" added: {change.after}"
    elif change.after is None and change.before is not None:
        told += f" removed: {change.before}"
    elif change.before != change.after:
        told += f" {change.before} → {change.after}"
    return f"{told}; {change.because}" if change.because else told
