"""`excise replay`: what a policy would have done to recorded traffic."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from proxy.assembly import collect_garbage_less, make_secret
from proxy.cli.ending import Ending
from proxy.cli.replay_files import STDOUT, Written, check
from proxy.cli.replay_tables import show
from proxy.client.accounts import load_accounts
from proxy.errors import ConfigurationError
from proxy.policy.load import PolicyError, load, load_sources
from proxy.policy.model import Policy
from proxy.replay.eventline import EventLines
from proxy.replay.logged import read_events
from proxy.replay.records import Record, read_records
from proxy.replay.rejudge import EventWorld
from proxy.replay.report import Report
from proxy.replay.result import line
from proxy.replay.source import Source
from proxy.replay.world import START, World
from proxy.settings import Settings, load_settings

WIDTH: Final = 130
"""Of tables that go to no terminal."""
_WRITES: Final = {
    "decisions": "decisions",
    "json": "json_to",
    "html": "html",
    "campaigns": "campaigns",
}
"""Option → the name of its value."""
LOOK_EVERY: Final = 256
"""Records between two looks at how far the file has been read."""

_FILE = click.Path(path_type=Path, dir_okay=False)
_INPUT = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)


@click.command()
@click.argument("traffic", type=_INPUT)
@click.option("--policy", type=_FILE, required=True, help="The policy that judges.")
@click.option("--against", type=_FILE, help="Another one: who is newly refused or freed.")
@click.option("--accounts", type=_FILE, help="Accounts file; its key ids need their secret.")
@click.option("--secret-file", type=_FILE, help="The secret of the accounts file's key ids.")
@click.option("--config", type=_FILE, help="Settings file: networks, limits, mode.")
@click.option("--decisions", metavar="FILE", help="A line for each request; - is stdout.")
@click.option("--json", "json_to", metavar="FILE", help="The summary as JSON; - is stdout.")
@click.option("--html", metavar="FILE", help="The summary as a page with charts; - is stdout.")
@click.option("--campaigns", metavar="FILE", help="Campaigns that were found; - is stdout.")
@click.option("--events", is_flag=True, help="TRAFFIC is an event log of Excise's own.")
@click.option("--recorded", type=_FILE, multiple=True, help="A policy that wrote the log.")
@click.option("--top", type=click.IntRange(0, 10_000), default=10, help="Accounts shown [10].")
@click.option("--seed", type=int, default=0, help="Ids and delays are drawn from it [0].")
@click.option("--start", metavar="TIME", help="When the record begins [2026-01-05T00:00:00Z].")
def replay(traffic: Path, policy: Path, against: Path | None, top: int, **given: Any) -> None:
    """Replay TRAFFIC through a policy in virtual time, and tell what it would have done.

    TRAFFIC is labelled traffic in lines of JSON, plain, gzip or zstd; - reads standard input. Nothing is
    sent, nothing sleeps. The same input, policy and seed give the same bytes.

    With --events it is Excise's own event log, which holds no texts: rules that need more than it holds are
    left out and named, and reactions are not modelled.
    """
    writes = {f"--{name}": given[to] for name, to in _WRITES.items()}
    rest = (given[name] for name in ("accounts", "secret_file", "config"))
    check(writes, (traffic, policy, against, *rest, *given["recorded"]))
    try:
        report, source = _prepared(policy, against, given), Source(_or_none(traffic))
        with Ending() as ending, ExitStack() as opened:
            opened.enter_context(source)
            with ending.later():
                out = {
                    option: opened.enter_context(Written(where))
                    for option, where in writes.items()
                    if where is not None
                }
            decisions = out.get("--decisions")
            decide = None if decisions is None else lambda result: decisions.write(line(result))
            records = opened.enter_context(_shown(source, _read(source, report, given["events"])))
            opened.callback(ending.off)  # what is whole is put in its place, all of it
            collect_garbage_less()
            report.run(records, decide)
            told = report.told(top)
            _write(told, out)
            if (file := out.get("--campaigns")) is not None:
                for one in report.world.campaigns_told():
                    file.write(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE))
        if STDOUT not in writes.values():
            _show(told)
    except (ConfigurationError, PolicyError) as error:
        raise click.ClickException(str(error)) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _prepared(policy: Path, against: Path | None, given: dict[str, Any]) -> Report:
    settings = _settings(given["config"], given["secret_file"])
    accounts = given["accounts"] or settings.accounts
    secret = make_secret(settings)
    if accounts is not None and secret.ephemeral and not given["events"]:
        raise ConfigurationError(
            "the key ids in an accounts file need the secret that they were made with: --secret-file"
        )
    named: dict[str, Any] = {
        "accounts": None if accounts is None else load_accounts(accounts),
        "secret": None if secret.ephemeral else secret,
        "settings": settings,
        "seed": given["seed"],
        "start": _start(given["start"]),
    }
    world: Callable[[Policy], World] = partial(World, **named)
    if given["events"]:
        world = partial(EventWorld, recorded=tuple(map(load, given["recorded"])), **named)
    mine, *other = load_sources(policy, *(() if against is None else (against,)))
    return Report(world(mine.policy), world(other[0].policy) if other else None)


def _settings(config: Path | None, secret_file: Path | None) -> Settings:
    """Those of the file that is named, and of no other: a replay is the same wherever it runs."""
    if config is None:
        return Settings(secret_file=secret_file)
    environ = {"EXCISE_CONFIG": str(config)}
    flags = {"secret_file": None if secret_file is None else str(secret_file)}
    return load_settings(flags, environ, Path.cwd())


def _start(text: str | None) -> float:
    if text is None:
        return START
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError("--start must be a time such as 2026-01-05T00:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()


def _read(source: Source, report: Report, events: bool) -> Iterator[Record]:
    if not events:
        return read_records(source)
    lines = EventLines(source)
    report.record_notes = lines.notes
    return read_events(source, lines)


def _or_none(path: Path) -> Path | None:
    return None if str(path) == "-" else path


@contextmanager
def _shown(source: Source, records: Iterator[Record]) -> Iterator[Iterator[Record]]:
    """The records, with a bar on a terminal: how far the file is read, and how long the rest takes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield records
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[requests]:,} requests"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(source.name, total=source.size, requests=0)

        def watched() -> Iterator[Record]:
            for count, record in enumerate(records, 1):
                if count % LOOK_EVERY == 0:
                    progress.update(task, completed=source.read_bytes, requests=count)
                yield record

        yield watched()


def _write(told: dict[str, Any], out: dict[str, Written]) -> None:
    if (file := out.get("--json")) is not None:
        file.write(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if (file := out.get("--html")) is not None:
        from proxy.replay.page import page  # noqa: PLC0415 - charts are loaded for who wants them

        file.write(page(told).encode())


def _show(told: dict[str, Any]) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    try:
        show(told, console)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigurationError(f"standard output: cannot be written: {error.strerror}") from None
