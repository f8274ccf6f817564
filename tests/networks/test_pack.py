"""The embedded pack: what it knows, how it is made, and what a damaged one does."""

from __future__ import annotations

import json
import zlib
from array import array
from pathlib import Path

import pytest

from proxy.errors import ConfigurationError
from proxy.networks.build import build, main
from proxy.networks.container import MAGIC, pack, read_header, unpack
from proxy.networks.lookup import Networks
from proxy.networks.pack import Pack, embedded, read_pack

ASN4 = '16777216,16777471,64500,"Frob, Hosting"\n16777472,16777727,64501,Other\n'
ASN6 = (
    "42540766411282592856903984951653826560,42540766490510755371168322545197776895,64500,X\n"
    "42540528726795050063891204319802818560,42540528806023212578155541913346768895,64502,Six\n"
)
COUNTRY4 = "16777216,16777343,AU\n16777472,16777727,NO\n"
COUNTRY6 = "42540528726795050063891204319802818560,42540528806023212578155541913346768895,JP\n"


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    one, two = tmp_path / "asn", tmp_path / "country"
    one.mkdir()
    two.mkdir()
    (one / "package.json").write_text('{"version": "2.3.2026061719"}')
    for family, asn, country in ((4, ASN4, COUNTRY4), (6, ASN6, COUNTRY6)):
        (one / f"asn-ipv{family}-num.csv").write_text(asn)
        (two / f"geo-whois-asn-country-ipv{family}-num.csv").write_text(country)
    return one, two


def test_a_pack_tells_system_class_country_and_day(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    data = build(*sources)
    assert data == build(*sources)
    (tmp_path / "p").write_bytes(data)
    networks = Networks(read_pack(tmp_path / "p"))
    info = networks.lookup("1.0.0.1")
    assert (info.asn, info.organization, info.kind) == (64500, "X", "unknown")
    assert (info.country, info.dated) == ("AU", "2026-06-17")
    assert "DB-IP.com" in info.source
    assert networks.lookup("1.0.0.200").country is None
    assert networks.lookup("1.0.1.255").asn == 64501
    assert networks.lookup("1.0.2.0").asn is None
    assert networks.lookup("2001:200::1").country == "JP"
    assert networks.lookup("2001:201::1").asn is None
    assert networks.lookup("10.0.0.1").kind == "private"


def test_a_version_without_a_day_is_refused(sources: tuple[Path, Path]) -> None:
    (sources[0] / "package.json").write_text('{"version": "2.3.4"}')
    with pytest.raises(ValueError, match="no date"):
        build(*sources)


def test_the_builder_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["one"]) == 2
    assert "ASN_FOLDER" in capsys.readouterr().err


def test_what_ships_knows_the_internet() -> None:
    pack = embedded()
    assert pack.systems > 80_000
    assert pack.dated >= "2026-06"
    networks = Networks(pack)
    google = networks.lookup("8.8.8.8")
    assert (google.asn, google.kind, google.country) == (15169, "hosting", "US")
    assert networks.lookup("2a01:4f8::1").kind == "hosting"
    assert networks.lookup("172.224.226.1").kind == "relay"


PARTS = {
    "numbers": array("I", [1, 2**32 - 1]),
    "long": array("Q", [2**64 - 1]),
    "texts": ["a", "é"],
}


def test_a_container_gives_back_what_was_put_in() -> None:
    data = pack({"dated": "2026-01-01"}, PARTS)
    header, columns = unpack(data, "x")
    assert header == {"dated": "2026-01-01"}
    assert columns == PARTS
    assert read_header(data, "x")["dated"] == "2026-01-01"


def test_a_damaged_container_is_a_configuration_error() -> None:
    whole = pack({}, PARTS)
    at = whole.index(b"\n", len(MAGIC)) + 1
    head = json.loads(whole[len(MAGIC) : at])

    def with_head(**changed: object) -> bytes:
        parts = [{**head["parts"][0], **changed}, *head["parts"][1:]]
        return MAGIC + json.dumps({"parts": parts}).encode() + b"\n" + whole[at:]

    damaged = [
        b"",
        b"garbage",
        MAGIC,
        MAGIC + b"[]\n",
        MAGIC + b"{}\n",
        MAGIC + b"[" * 100_000 + b"\n",
        whole[:-1],
        whole + b"x",
        whole[:at] + b"\0" * (len(whole) - at),
        with_head(plain=7),
        with_head(plain=9),
        with_head(plain=2**40),
        with_head(type="Z"),
        with_head(bytes="x"),
    ]
    for data in damaged:
        with pytest.raises(ConfigurationError, match="not a networks file"):
            unpack(data, "x")


def test_a_column_that_unpacks_to_more_than_it_says_is_refused() -> None:
    """A bomb ends at the length that its header names."""
    stream = zlib.compress(bytes(50_000_000))
    part = {"name": "a", "type": "B", "bytes": len(stream), "plain": 10}
    data = MAGIC + json.dumps({"parts": [part]}).encode() + b"\n" + stream
    with pytest.raises(ConfigurationError, match="another length"):
        unpack(data, "x")


def test_columns_that_do_not_belong_together_are_refused(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    header, columns = unpack(build(*sources), "x")
    for change in (
        {"names": ["only"]},
        {"record.kind": array("B", [99])},
        {"ipv4.index": array("I")},
    ):
        (tmp_path / "p").write_bytes(pack(header, {**columns, **change}))
        with pytest.raises(ConfigurationError, match="damaged"):
            read_pack(tmp_path / "p")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_pack(tmp_path / "absent")


def test_the_pack_is_held_in_memory_once() -> None:
    assert embedded() is embedded()
    assert isinstance(embedded(), Pack)
