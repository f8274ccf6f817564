"""Users' own MMDB files, in each vendor's spelling, and damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigurationError
from proxy.networks.mmdb import NOTHING, Database, Found, read_record
from tests.networks.mmdb_writer import mmdb


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (  # GeoLite2-ASN, DB-IP ASN Lite
            {"autonomous_system_number": 64500, "autonomous_system_organization": "Frob"},
            Found(64500, "Frob"),
        ),
        (  # GeoLite2-Country, DB-IP Country Lite
            {"country": {"iso_code": "NO", "names": {"en": "Norway"}}},
            Found(country="NO"),
        ),
        ({"registered_country": {"iso_code": "SE"}}, Found(country="SE")),
        (  # IPinfo Lite
            {
                "asn": "AS64500",
                "as_name": "Frob",
                "as_domain": "frob.example",
                "country": "Norway",
                "country_code": "NO",
                "continent": "Europe",
            },
            Found(64500, "Frob", "NO"),
        ),
        ({"asn": "AS64500", "name": "Frob", "country": "NO"}, Found(64500, "Frob", "NO")),
        (  # GeoIP2 Enterprise
            {"traits": {"autonomous_system_number": 64500, "is_anonymous_vpn": True}},
            Found(64500, kind="vpn"),
        ),
        ({"is_tor_exit_node": True, "is_anonymous": True}, Found(kind="tor")),
        ({"hosting": "true", "vpn": "", "tor": ""}, Found(kind="hosting")),
        ({"hosting": True, "relay": True}, Found(kind="relay")),
        ({"hosting": False}, NOTHING),
        ({"asn": "ASnone", "country": 5, "as_name": "  "}, NOTHING),
        ({"asn": 0}, NOTHING),
        ({"asn": 2**32}, NOTHING),
        ({"asn": True}, NOTHING),
        ({"asn": "AS" + "9" * 200}, NOTHING),
        ({"country": "no"}, Found(country="NO")),
        ({"as_name": "a\nb" + "x" * 200}, Found(organization=("a b" + "x" * 200)[:128])),
        ({}, NOTHING),
    ],
)
def test_each_vendors_fields_are_read(record: dict[str, Any], found: Found, tmp_path: Path) -> None:
    assert read_record(record) == found
    (tmp_path / "x.mmdb").write_bytes(mmdb({"8.0.0.0/8": record}))
    assert Database(tmp_path / "x.mmdb").find("8.1.2.3") == found


def test_what_is_not_in_it_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "x.mmdb").write_bytes(mmdb({"8.0.0.0/8": {"asn": 1}, "9.0.0.0/8": "text"}))
    database = Database(tmp_path / "x.mmdb")
    assert database.find("7.0.0.1") == database.find("9.0.0.1") == NOTHING
    assert database.find("2001:4860::1") == NOTHING


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    whole = mmdb({"8.0.0.0/8": {"asn": 64500}})
    for at, data in enumerate((b"", b"garbage" * 100, whole[:200], whole[:-40])):
        file = tmp_path / f"{at}.mmdb"
        file.write_bytes(data)
        with pytest.raises(ConfigurationError, match="not an MMDB file"):
            Database(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Database(tmp_path / "absent.mmdb")
    with pytest.raises(ConfigurationError):
        Database(tmp_path)


def test_damage_within_its_data_says_nothing(tmp_path: Path) -> None:
    whole = mmdb({"8.0.0.0/8": {"asn": 64500}})
    at = whole.index(b"asn") - 2
    (tmp_path / "x.mmdb").write_bytes(whole[:at] + b"\xff" * 6 + whole[at + 6 :])
    assert Database(tmp_path / "x.mmdb").find("8.8.8.8") == NOTHING


def test_a_record_whose_key_is_no_text_does_not_end_the_process(tmp_path: Path) -> None:
    whole = mmdb({"8.0.0.0/8": {"asnumber": 64500}})
    at = whole.index(b"asnumber") - 1
    double = bytes([0b011_00000 | 8]) + b"12345678"
    (tmp_path / "x.mmdb").write_bytes(whole[:at] + double + whole[at + 9 :])
    assert Database(tmp_path / "x.mmdb").find("8.8.8.8") == NOTHING


def test_a_file_that_is_cut_short_under_a_running_proxy_does_not_end_it(tmp_path: Path) -> None:
    file = tmp_path / "x.mmdb"
    file.write_bytes(mmdb({f"8.{n}.0.0/16": {"asn": 64500, "name": "x" * 99} for n in range(200)}))
    database = Database(file)
    with file.open("r+b") as cut:
        cut.truncate(10)
    assert database.find("8.199.8.8").asn == 64500


def test_it_is_read_in_place_where_there_is_no_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    (tmp_path / "x.mmdb").write_bytes(mmdb({"8.0.0.0/8": {"asn": 64500}}))
    monkeypatch.setattr("tempfile.NamedTemporaryFile", none)
    assert Database(tmp_path / "x.mmdb").find("8.8.8.8").asn == 64500
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Database(tmp_path / "absent.mmdb")


@pytest.mark.parametrize("built", [2**60, 253_402_300_800])
def test_a_file_built_in_no_year_is_refused_and_does_not_end_the_process(
    built: int, tmp_path: Path
) -> None:
    (tmp_path / "x.mmdb").write_bytes(mmdb({"8.0.0.0/8": {"asn": 64500}}, built))
    with pytest.raises(ConfigurationError, match="not an MMDB file"):
        Database(tmp_path / "x.mmdb")
