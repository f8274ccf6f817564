"""
The embedded pack: who announces an address, of what class that system is, and in which country.

Built by `proxy/networks/build.py` out of public data; `docs/networks.md` names the sources.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from proxy.errors import ConfigurationError
from proxy.networks.container import unpack
from proxy.networks.table import Table

PACK_FILE: Final = Path(__file__).parent / "data" / "embedded.pack"


class Pack:
    """Immutable. Systems and countries are known by an index; 0 is none."""

    __slots__ = ("asns", "countries", "country", "dated", "kinds", "names", "source", "system")

    def __init__(self, header: dict[str, Any], columns: dict[str, Any]) -> None:
        """Raises LookupError, TypeError or ValueError for columns that do not belong together."""
        self.dated: str = header["dated"]
        self.source: str = header["source"]
        self.asns = columns["asns"]
        self.names: list[str] = columns["names"]
        words: list[str] = header["kinds"]
        self.kinds: tuple[str, ...] = tuple(words[at] for at in columns["kinds"])
        self.countries: list[str] = columns["countries"]
        self.system = _pair(columns, "system")
        """Index of the system that announces a number, (IPv4, IPv6)."""
        self.country = _pair(columns, "country")
        if not len(self.asns) == len(self.names) == len(self.kinds):
            raise ValueError("its systems, names and classes are not as many")


def _pair(columns: dict[str, Any], name: str) -> tuple[Table, Table]:
    four, six = (
        Table(columns[f"{name}{family}.starts"], columns[f"{name}{family}.values"])
        for family in (4, 6)
    )
    return four, six


def read_pack(path: Path) -> Pack:
    """Read a pack. Raises ConfigurationError."""
    try:
        header, columns = unpack(path.read_bytes(), str(path))
        return Pack(header, columns)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (LookupError, TypeError, ValueError):
        raise ConfigurationError(f"{path}: it is damaged") from None


@cache
def embedded() -> Pack:
    """The pack that ships with Excise, read once a process."""
    return read_pack(PACK_FILE)
