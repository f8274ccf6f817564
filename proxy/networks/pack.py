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
from proxy.networks.info import PRIVATE, NetworkInfo
from proxy.networks.table import IndexedTable

PACK_FILE: Final = Path(__file__).parent / "data" / "embedded.pack"


class Pack:
    """A number is found in a table, which tells a record: a system, a kind and a country.

    What a record says is made when it is first asked for, and kept: 0.1 kB each, of some 100,000.
    """

    def __init__(self, header: dict[str, Any], columns: dict[str, Any]) -> None:
        """Raises LookupError, TypeError or ValueError for columns that do not belong together."""
        self.dated: str = header["dated"]
        self._source: str = header["source"]
        self._asns = columns["asns"]
        self._names: list[str] = columns["names"]
        self._countries: list[str] = columns["countries"]
        self._words: list[str] = header["kinds"]
        self._records = tuple(columns[f"record.{name}"] for name in ("system", "kind", "country"))
        counts = {len(column) for column in self._records}
        if len(counts) != 1 or len(self._asns) != len(self._names):
            raise ValueError("its columns are not as long as each other")
        known = (self._asns, self._words, self._countries)
        if any(max(column) >= len(of) for column, of in zip(self._records, known, strict=True)):
            raise ValueError("a record names what is not there")
        self.infos: list[NetworkInfo | None] = [None] * counts.pop()
        """What records say, as far as they have been asked for."""
        self.tables = (_table(columns, 4), _table(columns, 6))
        """Record of a number, by family."""

    @property
    def systems(self) -> int:
        """How many autonomous systems it knows."""
        return len(self._asns) - 1

    def info(self, record: int) -> NetworkInfo:
        """What a record says."""
        info = self.infos[record]
        if info is None:
            system, kind, country = (column[record] for column in self._records)
            word = self._words[kind]
            info = self.infos[record] = (
                PRIVATE
                if word == "private"
                else NetworkInfo(
                    self._asns[system] or None,
                    self._names[system] or None,
                    word,
                    self._countries[country] or None,
                    self._source,
                    self.dated,
                )
            )
        return info


def _table(columns: dict[str, Any], family: int) -> IndexedTable:
    starts, values, index = (
        columns[f"ipv{family}.{name}"] for name in ("starts", "records", "index")
    )
    return IndexedTable(starts, values, index, wide=family == 6)


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
