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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.facts import NETWORK_KINDS
from proxy.networks.classes import classify
from proxy.networks.container import pack, unpack
from proxy.networks.pack import PACK_FILE
from proxy.networks.table import V6_BITS, Range, Table, table_of

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
    asns = array("I", [0, *sorted(names)])
    index = {asn: at for at, asn in enumerate(asns)}
    columns: dict[str, Any] = {"asns": asns, "names": ["", *(names[asn] for asn in asns[1:])]}
    columns["kinds"] = _classes(asns, columns["names"])
    codes = ["", *sorted({row[2] for row in _country_rows(country_folder)})]
    columns["countries"] = codes
    of_code = {code: at for at, code in enumerate(codes)}
    for family in (4, 6):
        systems = (
            (int(first), int(last), index[int(asn)])
            for first, last, asn, _ in _rows(asn_folder / f"asn-ipv{family}-num.csv")
        )
        _add(columns, f"system{family}", _table(systems, family, V6_BITS), "I")
        places = (
            (int(first), int(last), of_code[code])
            for first, last, code in _rows(_country_file(country_folder, family))
        )
        _add(columns, f"country{family}", _table(places, family, COUNTRY_BITS), "B")
    header = {"dated": _dated(asn_folder), "source": SOURCE, "kinds": list(NETWORK_KINDS)}
    return pack(header, columns)


def reclassify(data: bytes) -> bytes:
    """The same pack with its systems classified anew."""
    header, columns = unpack(data, PACK_FILE.name)
    columns["kinds"] = _classes(columns["asns"], columns["names"])
    return pack({**header, "kinds": list(NETWORK_KINDS)}, columns)


def _classes(asns: array[int], names: list[str]) -> array[int]:
    index = {kind: at for at, kind in enumerate(NETWORK_KINDS)}
    return array("B", [index[classify(asn, name)] for asn, name in zip(asns, names, strict=True)])


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


def _add(columns: dict[str, Any], name: str, table: Table, code: str) -> None:
    columns[f"{name}.starts"] = table.starts
    columns[f"{name}.values"] = array(code, table.values)


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
