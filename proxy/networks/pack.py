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
from proxy.networks.table import IndexedTable

PACK_FILE: Final = Path(__file__).parent / "data" / "embedded.pack"


class Pack:
    """Immutable. A number is found in a table, which tells a record: a system, a country and a kind.

    Records, systems and countries are known by their index; 0 is none.
    """

    __slots__ = (
        "asns",
        "countries",
        "dated",
        "names",
        "record_country",
        "record_kind",
        "record_system",
        "source",
        "tables",
    )

    def __init__(self, header: dict[str, Any], columns: dict[str, Any]) -> None:
        """Raises LookupError, TypeError or ValueError for columns that do not belong together."""
        self.dated: str = header["dated"]
        self.source: str = header["source"]
        self.asns = columns["asns"]
        self.names: list[str] = columns["names"]
        self.countries: list[str] = columns["countries"]
        self.record_system = columns["record.system"]
        self.record_country = columns["record.country"]
        words: list[str] = header["kinds"]
        self.record_kind: tuple[str, ...] = tuple(words[at] for at in columns["record.kind"])
        self.tables = (_table(columns, 4), _table(columns, 6))
        """Record of a number, by family."""
        records = len(self.record_system), len(self.record_country), len(self.record_kind)
        if len(self.asns) != len(self.names) or len(set(records)) != 1:
            raise ValueError("its columns are not as long as each other")


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
