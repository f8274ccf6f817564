"""
Users' own MMDB files: GeoLite2 and GeoIP2, DB-IP, IPinfo and whatever spells its fields like one of them.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import maxminddb

from proxy.errors import ConfigurationError
from proxy.value import value

_ASN: Final = ("autonomous_system_number", "asn", "as_number")
_ORGANIZATION: Final = (
    "autonomous_system_organization",
    "as_name",
    "as_organization",
    "as_org",
    "name",
    "organization",
)
_COUNTRY: Final = ("country_code", "country")
_FLAGS: Final = (
    ("relay", ("relay", "is_relay")),
    ("tor", ("tor", "is_tor_exit_node", "is_tor")),
    ("vpn", ("vpn", "is_anonymous_vpn", "is_vpn")),
    ("hosting", ("hosting", "is_hosting_provider", "is_hosting")),
)
_YEAR_10000: Final = 253_402_300_800
MAX_NAME: Final = 128
_IN_PYTHON: Final = maxminddb.MODE_MMAP
"""Its reader in C ends the process at a record whose key is no text."""
_REMEMBERED: Final = 8192
"""Addresses whose answers a file keeps at hand: reading a record takes some 0.1 ms."""
_DAMAGED: Final = (
    *(maxminddb.InvalidDatabaseError, ValueError, TypeError, LookupError, RecursionError),
    struct.error,
)
"""What the reader raises for records that are damaged."""


@value
class Found:
    """What one record says; None where it does not."""

    asn: int | None = None
    organization: str | None = None
    country: str | None = None
    kind: str | None = None


NOTHING: Final = Found()


class Database:
    """One open file."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError for a file that cannot be read or is no MMDB."""
        try:
            self._reader = _open(path)
            metadata = self._reader.metadata()
            self.dated = _day(metadata.build_epoch)
        except (*_DAMAGED, EOFError):
            raise ConfigurationError(f"{path}: not an MMDB file") from None
        except OSError as error:
            reason = error.strerror or "not an MMDB file"
            raise ConfigurationError(f"{path}: cannot be read: {reason}") from None
        self.source = f"{path.name}; country approximate"
        self.entries: int = metadata.node_count
        self.find = lru_cache(_REMEMBERED)(self._find)
        """What the file says of an IP address; nothing for a record that is damaged."""

    def _find(self, address: str) -> Found:
        try:
            record = self._reader.get(address)
        except _DAMAGED:  # or IPv6 asked of an IPv4 file
            return NOTHING
        return read_record(record) if isinstance(record, dict) else NOTHING


def read_record(record: Mapping[str, Any]) -> Found:
    """The fields of a record, in whichever spelling."""
    traits = record.get("traits")
    if isinstance(traits, Mapping):  # GeoIP2 Enterprise and City keep the network there
        record = {**traits, **record}
    kind = next((kind for kind, names in _FLAGS if _flagged(record, names)), None)
    return Found(
        _number(_first(record, _ASN)),
        _text(_first(record, _ORGANIZATION)),
        _country(record),
        kind,
    )


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _flagged(record: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(record.get(name) is True or record.get(name) == "true" for name in names)


def _number(found: object) -> int | None:
    if isinstance(found, str):
        digits = found.upper().removeprefix("AS")
        found = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 11 else None
    return found if type(found) is int and 0 < found < 2**32 else None


def _text(found: object) -> str | None:
    text = " ".join(found.split()) if isinstance(found, str) else ""
    return text[:MAX_NAME] or None


def _country(record: Mapping[str, Any]) -> str | None:
    for name in (*_COUNTRY, "registered_country"):
        found = record.get(name)
        if isinstance(found, Mapping):
            found = found.get("iso_code")
        if isinstance(found, str) and len(found) == 2 and found.isascii() and found.isalpha():
            return found.upper()  # IPinfo writes a name into `country` beside a `country_code`
    return None


def _day(built: object) -> str:
    """Raises ValueError for what is no second of a year that there is."""
    if type(built) is not int or not 0 <= built < _YEAR_10000:
        raise ValueError("built at no time")
    return datetime.fromtimestamp(built, UTC).date().isoformat()


def _open(path: Path) -> maxminddb.Reader:
    """Map a copy that nobody else can write: a file cut short under a map would end the process."""
    try:
        with tempfile.NamedTemporaryFile(prefix="excise-") as copy:
            with path.open("rb") as file:
                shutil.copyfileobj(file, copy)
            copy.flush()
            return maxminddb.open_database(copy.name, _IN_PYTHON)
    except FileNotFoundError:
        if not path.exists():
            raise
        # No folder for temporary files, as on a read-only root: mapped where it lies.
        return maxminddb.open_database(path, _IN_PYTHON)
