"""
Feeds: public lists of networks, named in the settings, fetched by `excise networks refresh`.

A fetched feed is kept in `networks.folder` as one file that loads in milliseconds; the proxy itself never
fetches anything.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from proxy.errors import ConfigurationError
from proxy.facts import NETWORK_KINDS
from proxy.nearest import nearest
from proxy.networks.container import pack, unpack
from proxy.networks.info import Mark
from proxy.networks.layer import Layer, layer_of
from proxy.networks.table import Network, Table

NARROWEST: Final = {4: 8, 6: 16}
"""Prefix lengths below which an entry is a mistake of the feed's: it would mark half the Internet."""
_COUNTRY = re.compile(r"[A-Z]{2}").fullmatch
Entries = Sequence[tuple[Network, str | None]]


class Feed(BaseModel):
    """One feed, as the settings name it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    url: str
    format: Literal["cidr", "csv", "mmdb"]
    """`cidr`: a network or address a line. `csv`: the same first, then perhaps a country (RFC 8805).
    `mmdb`: a database of one's own."""
    kind: str | None = None
    """What the networks of a `cidr` or `csv` feed are for."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    sha256_url: str | None = None
    """Where the hash stands, as `sha256sum` writes it."""

    @field_validator("url", "sha256_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be an http:// or https:// URL")
        return value

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, value: str | None) -> str | None:
        if value is not None and value not in NETWORK_KINDS:
            near = nearest(value, NETWORK_KINDS)
            hint = f" (did you mean {near}?)" if near else ""
            raise ValueError(f"must be one of {', '.join(NETWORK_KINDS)}{hint}")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Feed:
        if (self.format == "mmdb") != (self.kind is None):
            raise ValueError("`kind` goes with `cidr` and `csv`; an mmdb tells its own")
        if self.sha256 is not None and self.sha256_url is not None:
            raise ValueError("`sha256` and `sha256_url` exclude each other")
        if self.url.startswith("http:") and self.sha256 is None:
            host = urlsplit(self.url).hostname
            if host not in {"localhost", "127.0.0.1", "::1"}:
                raise ValueError("plain http needs a `sha256`: anybody on the way may write it")
        return self

    def file(self, folder: Path) -> Path:
        """Where it is kept."""
        return folder / f"{self.name}.{'mmdb' if self.format == 'mmdb' else 'feed'}"


def read_entries(text: str, form: str) -> Entries:
    """The networks of a `cidr` or `csv` text, sorted, each once, and their countries.

    Comments begin with `#` or `;`. Raises ValueError, with the line, for the first that is no network, is
    far too wide or has bits beyond its prefix; and for a text without any.
    """
    entries: dict[Network, str | None] = {}
    lines = (re.split("[#;]", line, maxsplit=1)[0].strip() for line in text.splitlines())
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        row = next(csv.reader([line])) if form == "csv" else [line]
        if form == "csv" and number == 1 and not row[0][:1].isdigit() and ":" not in row[0]:
            continue  # a head
        try:
            network = ipaddress.ip_network(row[0].strip())
        except ValueError:
            raise ValueError(f"line {number}: not a network: {row[0][:60]!r}") from None
        if network.prefixlen < NARROWEST[network.version]:
            raise ValueError(f"line {number}: {network} is too wide to be meant")
        country = row[1].strip().upper() if len(row) > 1 else ""
        entries[network] = country if _COUNTRY(country) else None
    if not entries:
        raise ValueError("there is no network in it")
    return sorted(entries.items(), key=lambda entry: (entry[0].version, *_place(entry[0])))


def _place(network: Network) -> tuple[int, int]:
    return int(network.network_address), network.prefixlen


def pack_feed(entries: Entries, about: Mapping[str, Any]) -> bytes:
    """A feed's file; `about` is told by its header."""
    countries = ["", *sorted({country for _, country in entries if country})]
    layer = layer_of((network, Mark("", "", country=country)) for network, country in entries)
    columns: dict[str, Any] = {"countries": countries}
    of_mark = [0, *(countries.index(mark.country or "") + 1 for mark in layer.marks if mark)]
    for family, table in zip((4, 6), layer.tables, strict=True):
        columns[f"ipv{family}.starts"] = table.starts
        columns[f"ipv{family}.values"] = array("I", [of_mark[value] for value in table.values])
    return pack({**about, "entries": len(entries)}, columns)


def load_feed(feed: Feed, path: Path) -> Layer:
    """What a fetched feed says. Raises ConfigurationError."""
    try:
        header, columns = unpack(path.read_bytes(), str(path))
        dated, countries = str(header["dated"]), columns["countries"]
        source, kind = f"feed {feed.name}", feed.kind or "unknown"
        marks: list[Mark | None] = [
            None,
            *(Mark(kind, source, dated, country=code or None) for code in countries),
        ]
        tables = tuple(
            Table(columns[f"ipv{family}.starts"], columns[f"ipv{family}.values"])
            for family in (4, 6)
        )
        _ = marks[max(max(table.values) for table in tables)]  # an IndexError for a stray value
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (LookupError, TypeError, ValueError):
        raise ConfigurationError(f"{path}: it is damaged; fetch it again") from None
    return Layer((tables[0], tables[1]), marks)
