"""What a system is for, by its number and its name."""

from __future__ import annotations

import pytest

from proxy.facts import NETWORK_KINDS
from proxy.networks.build import reclassify
from proxy.networks.classes import MAX_WORDS, classify, known
from proxy.networks.pack import PACK_FILE


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Frobnitz Hosting GmbH", "hosting"),
        ("FROBHOST LLC", "hosting"),
        ("Frob Cloud Computing Ltd", "hosting"),
        ("Frobnitz Data Centers", "hosting"),
        ("Frob Datacentre", "hosting"),
        ("Frob VPS", "hosting"),
        ("Colocation Frob", "hosting"),
        ("FrobVPN AB", "vpn"),
        ("Hostel Frobnitz", "unknown"),
        ("Hostelworld Group", "unknown"),
        ("Frob Telecom and Hosting", "unknown"),
        ("Frob Communications Data Center", "unknown"),
        ("Saint Cloudy Mills", "unknown"),
        ("University of Frob", "education"),
        ("Universidad de Frob", "education"),
        ("Frob Cable", "isp"),
        ("Frob Fibre Broadband", "isp"),
        ("Frob Telecom", "unknown"),
        ("Frob Mobile Communications", "mobile"),
        ("First Bank of Frob", "business"),
        ("Frobnitz", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_name_that_says_plainly_what_it_is_tells_and_any_other_is_unknown(
    name: str | None, kind: str
) -> None:
    assert classify(4_200_000_000, name) == kind


@pytest.mark.parametrize(
    ("asn", "kind"),
    [(16509, "hosting"), (24940, "hosting"), (9009, "vpn"), (22616, "business"), (21928, "mobile")],
)
def test_a_well_known_number_wins_over_any_name(asn: int, kind: str) -> None:
    assert classify(asn, "University of Frob") == kind


def test_of_well_known_words_the_longest_win() -> None:
    assert classify(None, "Google LLC") == "hosting"
    assert classify(None, "Google Fiber Inc.") == "isp"
    assert classify(None, "Amazon Telecom Ltda") == "unknown"


def test_carriers_that_announce_homes_and_hosting_are_unknown() -> None:
    for name in (
        "Comcast Cable Communications, LLC",
        "Deutsche Telekom AG",
        "Cogent Communications",
    ):
        assert classify(None, name) in {"unknown", "isp"}


def test_the_file_that_is_kept_by_hand_is_sound() -> None:
    facts = known()
    assert len(facts.of_asn) > 300
    assert all(0 < asn < 2**32 for asn in facts.of_asn)
    assert set(facts.of_asn.values()) | set(facts.of_words.values()) <= set(NETWORK_KINDS)
    for words in facts.of_words:
        assert words == words.lower()
        assert 0 < len(words.split()) <= MAX_WORDS


def test_the_pack_is_classified_by_the_rules_of_today() -> None:
    """After a change of the rules: `python -m proxy.networks.build`."""
    data = PACK_FILE.read_bytes()
    assert reclassify(data) == data
