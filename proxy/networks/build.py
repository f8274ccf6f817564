"""
`python -m proxy.networks.build [ASN_FOLDER COUNTRY_FOLDER]`: make the embedded pack. Deterministic.

The folders are unpacked npm packages: `npm pack @ip-location-db/asn` and
`npm pack @ip-location-db/geo-whois-asn-country`. Without folders the classes alone are made anew from the
names in the pack, after a change of `known.csv` or of the rules in `classes.py`.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proxy.facts import NETWORK_KINDS
from proxy.networks.classes import SPECIAL, classify, known
from proxy.networks.container import pack, unpack
from proxy.networks.pack import PACK_FILE
from proxy.networks.table import V6_BITS, Range, Table, index_of, range_of, table_of

SOURCE = "embedded pack: routeviews.org, DB-IP.com, nro.net; country approximate"
COUNTRY_BITS = 48
"""IPv6 countries are kept by /48: finer registrations double the size and tell no better."""
_VERSION = re.compile(r"(\d{4})(\d{2})(\d{2})\d{2}\Z")


def build(asn_folder: Path, country_folder: Path) -> bytes:
    """The pack's bytes, from the two packages' CSV files."""
    names: dict[int, str] = {}
    for family in (4, 6):
        for _, _, asn, name in _rows(asn_folder / f"asn-ipv{family}-num.csv"):
            names[int(asn)] = " ".join(name.split())
    asns = [0, *sorted(names)]
    index = {asn: at for at, asn in enumerate(asns)}
    codes = ["", *sorted({row[2] for row in _country_rows(country_folder)})]
    of_code = {code: at for at, code in enumerate(codes)}
    tables: list[tuple[Table, Table]] = []
    for family in (4, 6):
        systems = (
            (int(first), int(last), index[int(asn)])
            for first, last, asn, _ in _rows(asn_folder / f"asn-ipv{family}-num.csv")
        )
        places = (
            (int(first), int(last), of_code[code])
            for first, last, code in _rows(_country_file(country_folder, family))
        )
        tables.append((_table(systems, family, V6_BITS), _table(places, family, COUNTRY_BITS)))
    columns: dict[str, Any] = {
        "asns": array("I", asns),
        "names": ["", *(names[asn] for asn in asns[1:])],
        "countries": codes,
    }
    header = {"dated": _dated(asn_folder), "source": SOURCE, "kinds": list(NETWORK_KINDS)}
    return pack(header, {**columns, **_records(columns, tables)})


def reclassify(data: bytes) -> bytes:
    """The same pack with its networks classified anew."""
    header, columns = unpack(data, PACK_FILE.name)
    tables: list[tuple[Table, Table]] = []
    for family in (4, 6):
        starts, records = columns[f"ipv{family}.starts"], columns[f"ipv{family}.records"]
        systems = [columns["record.system"][record] for record in records]
        places = [columns["record.country"][record] for record in records]
        tables.append((Table(starts, systems), Table(starts, places)))
    kept = {name: columns[name] for name in ("asns", "names", "countries")}
    header["kinds"] = list(NETWORK_KINDS)
    return pack(header, {**kept, **_records(kept, tables)})


def _records(
    columns: dict[str, Any], tables: Sequence[tuple[Table, Table]]
) -> dict[str, array[int]]:
    """One table a family out of systems, countries and kinds, and what its records are."""
    of_kind = {kind: at for at, kind in enumerate(NETWORK_KINDS)}
    named = zip(columns["asns"], columns["names"], strict=True)
    classes = [of_kind[classify(asn, name)] for asn, name in named]
    fixed = [(network, kind) for network, kind, _ in known().networks]
    fixed += [(network, "private") for network in SPECIAL]
    records: dict[tuple[int, int, int], int] = {(0, 0, of_kind["unknown"]): 0}
    made: dict[str, array[int]] = {}
    for family, (systems, places) in zip((4, 6), tables, strict=True):
        kinds = table_of(
            (
                (*range_of(network), of_kind[kind] + 1)
                for network, kind in fixed
                if network.version == family
            ),
            wide=family == 6,
        )
        starts: list[int] = []
        values: list[int] = []
        for start in sorted({*systems.starts, *places.starts, *kinds.starts}):
            system, kind = systems.find(start), kinds.find(start)
            triple = system, places.find(start), kind - 1 if kind else classes[system]
            record = records.setdefault(triple, len(records))
            if not values or values[-1] != record:
                starts.append(start)
                values.append(record)
        made[f"ipv{family}.starts"] = array("I" if family == 4 else "Q", starts)
        made[f"ipv{family}.records"] = array("I", values)
        made[f"ipv{family}.index"] = index_of(starts, wide=family == 6)
    for at, (name, code) in enumerate((("system", "I"), ("country", "B"), ("kind", "B"))):
        made[f"record.{name}"] = array(code, [record[at] for record in records])
    return made


def _rows(file: Path) -> Iterator[list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.reader(lines)


def _country_file(folder: Path, family: int) -> Path:
    return folder / f"geo-whois-asn-country-ipv{family}-num.csv"


def _country_rows(folder: Path) -> Iterator[list[str]]:
    for family in (4, 6):
        yield from _rows(_country_file(folder, family))


def _table(ranges: Iterator[Range], family: int, bits: int) -> Table:
    if family == 4:
        return table_of(ranges, wide=False)
    coarse, up = 128 - bits, V6_BITS - bits
    floored = (
        (first >> coarse << up, ((last >> coarse) + 1 << up) - 1, value)
        for first, last, value in ranges
    )
    return table_of(floored, wide=True)


def _dated(folder: Path) -> str:
    version = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
    match = _VERSION.search(version)
    if match is None:
        raise ValueError(f"{folder}: version {version} bears no date")
    return "-".join(match.groups())


def main(arguments: list[str]) -> int:
    """Write the pack; 2 for wrong arguments."""
    if len(arguments) == 2:
        data = build(Path(arguments[0]), Path(arguments[1]))
    elif not arguments:
        data = reclassify(PACK_FILE.read_bytes())
    else:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    PACK_FILE.write_bytes(data)
    sys.stdout.write(f"{PACK_FILE}: {len(data)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
