"""
Operators' own lists: what they know better of networks and systems, over all that is public.

    version: 1
    entries:
      - networks: [198.51.100.0/24]
        kind: business
        organization: Acme
        country: "NO"
        because: our largest customer's offices
        until: 2027-03-31
      - asns: [64496]
        kind: vpn
        because: resells exits, seen in January
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from proxy.errors import ConfigurationError
from proxy.facts import NETWORK_KINDS
from proxy.nearest import nearest
from proxy.networks.info import Mark
from proxy.networks.layer import Layer, layer_of
from proxy.networks.table import Network
from proxy.policy.mistake import MistakenFileError
from proxy.policy.yamltree import Tree, read_tree
from proxy.value import value

_FIELDS: Final = ("asns", "because", "country", "kind", "networks", "organization", "until")
_COUNTRY = re.compile(r"[A-Z]{2}").fullmatch
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,128}").fullmatch


@value
class NetworkList:
    """One file, read: what it says by network and by AS number."""

    networks: tuple[tuple[Network, Mark], ...]
    systems: tuple[tuple[int, Mark], ...]
    count: int
    """Entries, those whose day is past included."""


def load_list(today: datetime.date, path: Path) -> NetworkList:
    """Load a file; entries whose `until` lies before `today` (UTC) say nothing any more.

    Raises ConfigurationError with all of its mistakes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"{path}: cannot be read: {reason}") from None
    tree = read_tree(text, str(path))
    read = _Reader(tree, path, today).read() if not tree.mistakes else None
    if tree.mistakes or read is None:
        raise MistakenFileError(sorted(tree.mistakes))
    return read


def joined(lists: Sequence[NetworkList]) -> tuple[Layer | None, dict[int, Mark]]:
    """All files as one: the narrowest network tells; of the same one, the first file."""
    said = [entry for one in lists for entry in one.networks]
    systems = dict(entry for one in reversed(lists) for entry in one.systems)
    return (layer_of(said) if said else None), systems


class _Reader:
    def __init__(self, tree: Tree, path: Path, today: datetime.date) -> None:
        self._tree = tree
        self._source = f"list {path.name}"
        self._today = today
        self._networks: dict[Network, Mark] = {}
        self._systems: dict[int, Mark] = {}
        self._seen: set[Network | int] = set()

    def read(self) -> NetworkList | None:
        tree, data = self._tree, self._tree.data
        if not isinstance(data, dict) or data.get("version") != 1:
            tree.mistake((), "a list of networks begins with `version: 1`")
            return None
        for key in data.keys() - {"version", "entries"}:
            near = nearest(key, ("entries",))
            tree.mistake((key,), f"`{key}` is not known here", near, key=True)
        entries = data.get("entries")
        if not isinstance(entries, list):
            tree.mistake(("entries",), "`entries` must be a list")
            return None
        for at, entry in enumerate(entries):
            self._entry(entry, at)
        return NetworkList(
            tuple(self._networks.items()), tuple(self._systems.items()), len(entries)
        )

    def _entry(self, entry: Any, at: int) -> None:
        tree, place = self._tree, ("entries", at)
        if not isinstance(entry, dict):
            tree.mistake(place, "an entry holds named fields: `networks`, `kind`, `because`, …")
            return
        for key in entry:
            if key not in _FIELDS:
                near = nearest(key, _FIELDS)
                tree.mistake((*place, key), f"`{key}` is not known here", near, key=True)
        kind = entry.get("kind")
        if kind not in NETWORK_KINDS:
            message = f"`kind` must be one of {', '.join(NETWORK_KINDS)}"
            tree.mistake((*place, "kind"), message, nearest(str(kind), NETWORK_KINDS))
            kind = "unknown"
        organization = self._text(entry, "organization", at)
        if self._text(entry, "because", at) is None and "because" not in entry:
            tree.mistake(place, "`because` is required: who looks at this in a year must know")
        mark = Mark(
            kind,
            self._source,
            organization=organization,
            country=self._country(entry, at),
        )
        in_force = self._until(entry, at)
        networks, asns = self._list(entry, "networks", at), self._list(entry, "asns", at)
        if not networks and not asns:
            tree.mistake(place, "an entry is about `networks`, `asns` or both")
        for index, text in enumerate(networks):
            self._network(text, (*place, "networks", index), mark if in_force else None)
        for index, number in enumerate(asns):
            self._asn(number, (*place, "asns", index), mark if in_force else None)

    def _network(self, text: Any, place: tuple[str | int, ...], mark: Mark | None) -> None:
        try:
            network = ipaddress.ip_network(text if isinstance(text, str) else "")
        except ValueError:
            self._tree.mistake(place, "must be a network such as `10.0.0.0/8`")
            return
        if network.version == 6 and network.prefixlen > 64:
            wider = f"`{network.supernet(new_prefix=64)}`"
            message = "IPv6 networks are told apart down to a /64: one caller has all of it"
            self._tree.mistake(place, message, wider)
        elif self._new(network, place) and mark is not None:
            self._networks[network] = mark

    def _asn(self, number: Any, place: tuple[str | int, ...], mark: Mark | None) -> None:
        if type(number) is not int or not 0 < number < 2**32:
            self._tree.mistake(place, "must be an AS number such as 64496")
        elif self._new(number, place) and mark is not None:
            self._systems[number] = mark

    def _new(self, what: Network | int, place: tuple[str | int, ...]) -> bool:
        if what in self._seen:
            self._tree.mistake(place, f"`{what}` stands in this file twice")
            return False
        self._seen.add(what)
        return True

    def _country(self, entry: dict[str, Any], at: int) -> str | None:
        country = entry.get("country")
        if country is None:
            return None
        if not isinstance(country, str) or not _COUNTRY(country):
            message = 'must be two capital letters of ISO 3166-1, such as `"NO"`'
            self._tree.mistake(("entries", at, "country"), message)
            return None
        return country

    def _text(self, entry: dict[str, Any], field: str, at: int) -> str | None:
        text = entry.get(field)
        if field not in entry:
            return None
        if not isinstance(text, str) or not _TEXT(text) or not text.strip():
            message = f"`{field}` must be one line of text, at most 128 characters"
            self._tree.mistake(("entries", at, field), message)
            return None
        return text

    def _until(self, entry: dict[str, Any], at: int) -> bool:
        """Whether the entry still holds."""
        if "until" not in entry:
            return True
        try:
            until = datetime.date.fromisoformat(str(entry["until"]))
        except ValueError:
            message = "must be a day such as `2027-03-31`; the entry holds through it, UTC"
            self._tree.mistake(("entries", at, "until"), message)
            return True
        return self._today <= until

    def _list(self, entry: dict[str, Any], field: str, at: int) -> list[Any]:
        found = entry.get(field, [])
        if isinstance(found, list):
            return found
        self._tree.mistake(("entries", at, field), f"`{field}` must be a list")
        return []
