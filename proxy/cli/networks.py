"""`excise networks`: what is known of an address, and fetching feeds that know more."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.client.address import canonical
from proxy.errors import ConfigurationError
from proxy.networks.info import NetworkInfo
from proxy.networks.load import load_networks
from proxy.networks.lookup import Networks
from proxy.networks.refresh import FeedError, refresh
from proxy.settings import NetworksSettings, load_settings

_COLUMNS = ("address", "asn", "organization", "kind", "country", "source", "dated")


@click.group()
def networks() -> None:
    """What is known of networks, without asking anybody."""


@networks.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--config", metavar="FILE", help="Settings file [excise.yaml, if there is one].")
def lookup(addresses: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Tell whose network each ADDRESS stands in; - reads addresses from standard input.

    Exits with 2 for what is no IP address.
    """
    known = _load(_settings(config))
    found = []
    for text in _each(addresses):
        address = canonical(text)
        if address is None:
            raise click.UsageError(f"{text[:80]!r} is not an IP address")
        info = known.lookup(address)
        if as_json:
            click.echo(orjson.dumps({"address": address, **asdict(info)}))
        else:
            found.append((address, info))
    if found:
        _show(found)


@networks.command("refresh")
@click.argument("names", nargs=-1, metavar="[FEED]...")
@click.option("--force", is_flag=True, help="Take a feed however much it has changed.")
@click.option("--config", metavar="FILE", help="Settings file [excise.yaml, if there is one].")
def refresh_(names: tuple[str, ...], force: bool, config: str | None) -> None:
    """Fetch the feeds of the settings, or those named; a running proxy takes them over by itself.

    Exits with 0 when all are in place, 1 when one was not taken (its last good file stays).
    """
    settings = _settings(config)
    if not settings.feeds or settings.folder is None:
        raise click.UsageError("the settings name no feeds: see networks.feeds")
    unknown = set(names) - {feed.name for feed in settings.feeds}
    if unknown:
        raise click.UsageError(f"the settings name no feed `{min(unknown)}`")
    failed = False
    for feed in settings.feeds:
        if names and feed.name not in names:
            continue
        try:
            done = refresh(
                feed,
                settings.folder,
                time.time(),
                timeout=settings.feed_timeout,
                limit=settings.feed_bytes,
                swing=settings.feed_swing,
                force=force,
            )
        except FeedError as error:
            failed = True
            click.secho(f"{feed.name}: not taken: {error}", fg="red", err=True)
        else:
            before = "" if done.before is None else f", {done.before} before"
            same = "" if done.changed else ", unchanged"
            click.echo(f"{feed.name}: OK, {done.entries} entries{before}{same}")
    if failed:
        sys.exit(1)


def _settings(config: str | None) -> NetworksSettings:
    environ = dict(os.environ)
    if config is not None:
        environ["EXCISE_CONFIG"] = config
    try:
        return load_settings({}, environ, Path.cwd()).networks
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None


def _load(settings: NetworksSettings) -> Networks:
    try:
        return load_networks(settings, time.time())
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None


def _each(addresses: tuple[str, ...]) -> Iterator[str]:
    for text in addresses:
        if text == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield text


def _show(found: list[tuple[str, NetworkInfo]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS[:5]:
        table.add_column(name, overflow="fold")
    for address, info in found:
        cells = (address, info.asn, info.organization, info.kind, info.country)
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in cells))
    Console().print(table)
    for source, dated in dict.fromkeys((info.source, info.dated) for _, info in found):
        click.echo(f"source: {source}" + (f", {dated}" if dated else ""))
