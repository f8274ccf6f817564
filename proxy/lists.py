"""
Lists of whom operators know: accounts, keys, networks and more, from files and from Redis.

A table is immutable and answers at once: exact entries by a dictionary, networks by one look for each
prefix length that the list holds. Rules look requests up in it; nothing here does I/O.
"""

from __future__ import annotations

import datetime
import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson

from proxy.facts import Facts
from proxy.value import value

KINDS: Final[dict[str, Callable[[Facts], str | None]]] = {
    "account": lambda facts: facts.client.account,
    "address": lambda facts: facts.client.address,
    "api_key": lambda facts: facts.client.key_id,
    "asn": lambda facts: None if facts.client.asn is None else str(facts.client.asn),
    "client_fingerprint": lambda facts: facts.signals.client,
    "country": lambda facts: facts.client.country,
    "end_user": lambda facts: facts.end_user,
    "ja4": lambda facts: facts.client.ja4,
    "model": lambda facts: facts.ask.model if facts.ask is not None else None,
    "network": lambda facts: facts.client.address,
    "system": lambda facts: facts.signals.system,
    "template": lambda facts: facts.signals.template,
}
"""What an entry may name, and where a request shows it."""

OF_BODY: Final = frozenset({"client_fingerprint", "end_user", "model", "system", "template"})
"""Kinds that are known only once the body has been read."""
OF_IDENTITY: Final = tuple(kind for kind in KINDS if kind not in OF_BODY)

MAX_ENTRIES: Final = 65_536
"""Entries of one list of the store; what is more is not read, and that is said."""
MAX_VALUE: Final = 256
MAX_BECAUSE: Final = 128

_LINE = re.compile(r"[^\x00-\x1f\x7f]+").fullmatch
_FORMS: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "api_key": (re.compile(r"key_[a-z2-7]{16}").fullmatch, "a key id (`key_…`), never the key itself"),
    "country": (re.compile(r"[A-Z]{2}").fullmatch, 'two capital letters such as `"NO"`'),
    "template": (re.compile(r"tpl_[0-9a-f]{16}").fullmatch, "a template's fingerprint, `tpl_…`"),
    "system": (re.compile(r"sys_[0-9a-f]{16}").fullmatch, "a system prompt's fingerprint, `sys_…`"),
}  # fmt: skip
_ASN_MAX: Final = 2**32

_Key = TypeVar("_Key")


@value
class Entry:
    """One entry: what it names, and until when and why."""

    kind: str
    value: str
    """In its canonical form."""
    ends: float = math.inf
    """Unix seconds."""
    because: str | None = None


def read_value(kind: str, text: object) -> str:
    """What an entry names, in its canonical form. Raises ValueError in operators' words."""
    if kind == "asn":
        number = (
            int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() else text
        )
        if type(number) is not int or not 0 < number < _ASN_MAX:
            raise ValueError("must be an AS number such as 64496")
        return str(number)
    if not isinstance(text, str) or not 0 < len(text) <= MAX_VALUE or not _LINE(text):
        raise ValueError(f"must be one line of text, at most {MAX_VALUE} characters")
    if kind == "address":
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ValueError("must be an IP address") from None
        return str(getattr(address, "ipv4_mapped", None) or address)
    if kind == "network":
        try:
            network = _plain_network(text)
        except ValueError:
            raise ValueError("must be a network such as `10.0.0.0/8`") from None
        _network(network)  # at hand from here on: a table of many is made at once
        return network
    form = _FORMS.get(kind)
    if form is not None and not form[0](text):
        raise ValueError(f"must be {form[1]}")
    return text


def read_until(text: object) -> float:
    """The end (Unix seconds) of a day, which counts whole, UTC. Raises ValueError."""
    try:
        if isinstance(text, str) and len(text) == len("2027-03-31"):
            day = datetime.date.fromisoformat(text)
            midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
            return midnight.timestamp() + 86_400
    except ValueError:
        pass
    raise ValueError("must be a day such as `2027-03-31`; the entry holds through it, UTC")


def read_because(text: object) -> str:
    """A reason. Raises ValueError."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_BECAUSE or not _LINE(text):
        raise ValueError(f"must be one line of text, at most {MAX_BECAUSE} characters")
    return text


class ListTable:
    """Entries to be looked up in. Immutable."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._exact: dict[tuple[str, str], Entry] = {}
        self._networks: dict[int, dict[int, dict[int, Entry]]] = {4: {}, 6: {}}
        self._last: dict[str, float] = {}
        """Kind → when the last entry about it ends."""
        for entry in entries:
            self._last[entry.kind] = max(entry.ends, self._last.get(entry.kind, 0.0))
            if entry.kind != "network":
                _put(self._exact, (entry.kind, entry.value), entry)
                continue
            version, rest, prefix = _network(entry.value)
            _put(self._networks[version].setdefault(rest, {}), prefix, entry)
        for version, found in self._networks.items():
            self._networks[version] = dict(sorted(found.items()))  # the narrowest first
        networks = sum(len(held) for by in self._networks.values() for held in by.values())
        self._count = len(self._exact) + networks
        self.kinds = tuple(kind for kind in KINDS if kind in self._last)
        """What its entries name."""

    def __len__(self) -> int:
        return self._count

    def find(self, kind: str, shown: str, now: float) -> Entry | None:
        """The entry in force about what a request shows."""
        if kind == "network":
            return self._network(shown, now)
        entry = self._exact.get((kind, shown))
        return entry if entry is not None and now < entry.ends else None

    def in_force(self, kind: str, now: float) -> bool:
        """Whether some entry about a kind has not ended."""
        return now < self._last.get(kind, 0.0)

    def _network(self, address: str, now: float) -> Entry | None:
        version, number = _number(address)
        for rest, held in self._networks[version].items():
            entry = held.get(number >> rest)
            if entry is not None and now < entry.ends:
                return entry
        return None


def _put(held: dict[_Key, Entry], key: _Key, entry: Entry) -> None:
    """Of two entries that name the same, the one that ends later: an old one takes none out of force."""
    before = held.get(key)
    if before is None or before.ends < entry.ends:
        held[key] = entry


def _plain_network(text: str) -> str:
    """A network as callers' addresses show it: one of IPv4 that is written as IPv6 is one of IPv4."""
    network = ipaddress.ip_network(text)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return str(network)
    return f"{mapped}/{network.prefixlen - 96}"


@lru_cache(maxsize=2 * MAX_ENTRIES)
def _network(text: str) -> tuple[int, int, int]:
    """(version, bits after the prefix, the prefix) of a network."""
    network = ipaddress.ip_network(text)
    rest = network.max_prefixlen - network.prefixlen
    return network.version, rest, int(network.network_address) >> rest


@lru_cache(maxsize=8192)
def _number(address: str) -> tuple[int, int]:
    parsed = ipaddress.ip_address(address)
    return parsed.version, int(parsed)


NOTHING: Final = ListTable(())


def read_member(member: bytes, more: bytes | None) -> Entry:
    """An entry as it stands in Redis: `account:acme`, and in a hash what is told of it besides.

    Raises ValueError: why, in a word or two that quote nothing.
    """
    if len(member) > MAX_VALUE + 32 or (more is not None and len(more) > 1024):
        raise ValueError("too long")
    try:
        kind, _, text = member.decode().partition(":")
    except UnicodeDecodeError:
        raise ValueError("no text") from None
    if kind not in KINDS:
        raise ValueError("no such kind")
    try:
        named = read_value(kind, text)
    except ValueError:
        raise ValueError(f"no {kind}") from None
    told: Any = _told(more)
    try:
        ends = read_until(told["until"]) if "until" in told else math.inf
        because = read_because(told["because"]) if "because" in told else None
    except ValueError:
        raise ValueError("no day or reason") from None
    return Entry(kind, named, ends, because)


def _told(more: bytes | None) -> dict[str, Any]:
    """Until when, and why: JSON, or the reason alone."""
    if not more:
        return {}
    if not more.startswith(b"{"):
        return {"because": more.decode("utf-8", "replace")}
    try:
        told = orjson.loads(more)
    except ValueError:
        raise ValueError("not JSON") from None
    if told.keys() - {"until", "because"}:
        raise ValueError("unknown fields")
    assert isinstance(told, dict)
    return told


Tables = Mapping[str, ListTable]
