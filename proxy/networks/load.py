"""All that is known of networks, out of the files that the settings name."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from proxy.errors import ConfigurationError
from proxy.networks.feed import Feed, load_feed
from proxy.networks.layer import Layer
from proxy.networks.lists import joined, load_list
from proxy.networks.lookup import Networks
from proxy.networks.mmdb import Database
from proxy.networks.pack import embedded

T = TypeVar("T")


class Sources(Protocol):
    """The settings under `networks`."""

    @property
    def database(self) -> tuple[Path, ...]:
        """Users' MMDB files, the first before the second."""
        ...

    @property
    def lists(self) -> tuple[Path, ...]:
        """Operators' lists."""
        ...

    @property
    def folder(self) -> Path | None:
        """Where fetched feeds are kept."""
        ...

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What is fetched."""
        ...


def files_of(sources: Sources) -> tuple[Path, ...]:
    """Every file that is read; one that comes, goes or changes makes another Networks."""
    fetched = () if sources.folder is None else sources.feeds
    kept = tuple(feed.file(sources.folder) for feed in fetched if sources.folder is not None)
    return (*sources.database, *sources.lists, *kept)


def load_networks(sources: Sources, now: float) -> Networks:
    """Load everything, `now` being Unix time. Raises ConfigurationError with all mistakes of all files."""
    mistakes: list[str] = []
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()

    def each(paths: Iterable[Path], load: Callable[[Path], T]) -> list[T]:
        loaded: list[T] = []
        for path in paths:
            try:
                loaded.append(load(path))
            except ConfigurationError as error:
                mistakes.append(str(error))
        return loaded

    databases = each(sources.database, Database)
    lists, systems = joined(each(sources.lists, partial(load_list, today)))
    feeds: list[tuple[str, Layer]] = []
    missing: list[str] = []
    for feed in sources.feeds:
        path = feed.file(sources.folder or Path())
        if not path.exists():
            missing.append(feed.name)
        elif feed.kind is None:
            databases += each((path,), Database)
        else:
            kind = feed.kind
            feeds += [(kind, layer) for layer in each((path,), partial(load_feed, feed))]
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return Networks(
        embedded(),
        lists=lists,
        systems=systems,
        feeds=feeds,
        databases=databases,
        missing=missing,
    )
