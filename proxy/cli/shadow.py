"""`excise shadow`: what shadow rules would have done by an event log, and which may be put in force."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.cli.events_file import event_of, lines_of
from proxy.cli.numbers import NumberRange
from proxy.client.accounts import Accounts, load_accounts
from proxy.console import printable
from proxy.errors import ConfigurationError
from proxy.explain.promote import Enough, told
from proxy.explain.watched import ShadowLog
from proxy.policy import suspicion
from proxy.policy.load import PolicyError, load
from proxy.policy.model import Policy

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
WIDTH = 120
"""Columns where nobody says how wide it may be."""
_COLOURS = {"promote": "green", "likely wrong": "red"}


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False),
)
@click.option("--policy", type=FILE, help="Only its shadow rules, those that never fired too.")
@click.option("--accounts", type=FILE, help="The accounts file: who has declared what by now.")
@click.option("--min-hits", default=100, show_default=True, type=click.IntRange(1))
@click.option("--min-accounts", default=3, show_default=True, type=click.IntRange(1))
@click.option("--min-days", default=7.0, show_default=True, type=NumberRange(0))
@click.option(
    "--max-declared",
    default=0.05,
    show_default=True,
    type=NumberRange(0, 1),
    help="Share of hits on accounts with a declared profile beyond which nothing is suggested.",
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def shadow(
    *,
    files: tuple[Path, ...],
    policy: Path | None,
    accounts: Path | None,
    min_hits: int,
    min_accounts: int,
    min_days: float,
    max_declared: float,
    top: int,
    as_json: bool,
) -> None:
    """Tell what each shadow rule would have done to whom, and which may be put in force.

    FILES are event logs, plain, .gz or .zst, or - for standard input. A rule is suggested only
    where it was watched for long enough, on enough accounts, and leaves those alone that have
    declared what they are.
    """
    try:
        known = None if accounts is None else load_accounts(accounts)
        loaded = None if policy is None else load(policy)
    except PolicyError as error:
        raise click.ClickException("\n".join(map(str, error.mistakes))) from None
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    excuses = {} if loaded is None else {one.name: one.excuse or () for one in loaded.rules}
    log = ShadowLog(lambda event: _profile(event, known), excuses)
    try:
        for event in _events(files):
            log.add(event)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    report = told(log, Enough(min_hits, min_accounts, min_days, max_declared), top)
    if loaded is not None:
        _only_of(report, loaded)
    if as_json:
        click.echo(json.dumps(report))
    else:
        _show(printable(report))


def _events(files: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    for file in files:
        for line in lines_of(None if str(file) == "-" else file):
            event = event_of(line)
            if event is not None:
                yield event


def _profile(event: Mapping[str, Any], accounts: Accounts | None) -> str | None:
    """What the accounts file says by now, else what the event says."""
    if accounts is not None and (found := accounts.of_key(str(event.get("api_key")))) is not None:
        return found.profile
    profile = event.get("account.profile")
    return None if profile is None else str(profile)


def _only_of(report: dict[str, Any], policy: Policy) -> None:
    """Leave what the policy does not watch, and add what has never fired."""
    watches = policy.mode == "shadow"
    named = {rule.name: rule for rule in policy.rules if watches or rule.mode == "shadow"}
    kept = [one for one in report["rules"] if one["rule"] in named or one["kind"] == suspicion.KIND]
    report["ties"] = {name: tied for name, tied in report["ties"].items() if name in named}
    fired = {*(one["rule"] for one in kept), *report["ties"]}
    report["rules"] = kept
    report["never_fired"] = [name for name in named if name not in fired]


def _show(report: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    say = partial(console.print, soft_wrap=True)
    enough = report["enough"]
    console.print(f"{report['requests']:,} requests in {report['days']:.1f} days")
    for name in report.get("never_fired", ()):
        say(Text(f"{name}: never fired"))
    for name, tied in report["ties"].items():
        most = "at least " if tied["accounts_at_least"] else ""
        say(
            Text(
                f"{name}: ties {most}{tied['accounts']:,} accounts, in {tied['requests']:,} requests"
            )
        )
        say(Text(f"  most tied: {_pairs(tied['most_tied'])}"))
    if not report["rules"]:
        console.print("no shadow rule would have acted")
        return
    console.print(_table(report["rules"]))
    for one in report["rules"]:
        say(Text(f"{one['rule']}: {one['advice']}", style=_COLOURS.get(one["advice"], "")))
        say(Text(f"  {one['because']}"))
        if one["excused"]:
            say(Text(f"  {one['excused']:,} more on accounts that the policy excuses by now"))
        for title in ("most_hit", "tiers", "profiles", "declared_hit", "decided"):
            if one[title]:
                say(Text(f"  {title.replace('_', ' ')}: {_pairs(one[title])}"))
    say(
        f"Enough is: {enough['hits']:,} hits, {enough['accounts']} accounts, {enough['days']:g} days "
        f"since it first fired, and at most {enough['max_declared']:.1%} of the hits on declared accounts."
    )


def _table(rules: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("shadow rule", overflow="fold")
    table.add_column("would", overflow="fold")
    for name in ("hits", "accounts", "declared", "adds", "refuses anew", "days"):
        table.add_column(name, justify="right")
    table.add_column("advice", overflow="fold")
    for one in rules:
        table.add_row(
            Text(one["rule"]),
            _pairs(one["would"]),
            f"{one['hits']:,}",
            f"{'≥ ' if one['accounts_at_least'] else ''}{one['accounts']:,}",
            f"{one['declared_share']:.1%}",
            f"{one['adds']:,}",
            f"{one['would_newly_refuse']:,}",
            f"{one['watched_days']:.1f}",
            Text(one["advice"], style=_COLOURS.get(one["advice"], "")),
        )
    return table


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
