"""A campaign's STIX 2.1: read by the specification's own library, strictly, and nothing lost or added."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import stix2

from proxy.campaigns.stix import bundle
from proxy.campaigns.told import handed_on

from .documents import NAME, document


def objects(told: dict[str, Any]) -> list[dict[str, Any]]:
    """A bundle's objects, after the library has read it and found nothing of our own invention."""
    text = json.dumps(bundle(handed_on(told)))
    read = stix2.parse(text, allow_custom=False, version="2.1")
    assert isinstance(read, stix2.v21.Bundle)
    again: list[dict[str, Any]] = json.loads(read.serialize())["objects"]
    assert again == json.loads(text)["objects"]
    return again


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("count", [1, 10, 200])
def test_the_librarys_strict_reader_takes_every_bundle(count: int, asked: bool) -> None:
    kinds = Counter(one["type"] for one in objects(document(count, asked=asked)))
    followed = count - count // 10
    assert kinds["campaign"] == kinds["identity"] == kinds["sighting"] == 1
    assert kinds["user-account"] == kinds["observed-data"] == followed
    assert kinds["note"] == 3
    assert kinds["indicator"] == kinds["relationship"]


def test_all_that_is_referred_to_is_in_the_bundle_and_once() -> None:
    told = objects(document(50))
    ids = [one["id"] for one in told]
    assert len(ids) == len(set(ids))
    for one in told:
        for name, ref in one.items():
            refs = [ref] if name.endswith("_ref") else ref if name.endswith("_refs") else []
            assert set(refs) <= set(ids), name


def test_observables_have_the_ids_that_the_specification_draws() -> None:
    accounts = [one for one in objects(document(10)) if one["type"] == "user-account"]
    for one in accounts:
        drawn = stix2.v21.UserAccount(user_id=one["user_id"], account_type=one["account_type"])
        assert drawn.id == one["id"]


def test_the_same_campaign_has_the_same_ids_later_on() -> None:
    before, after = objects(document(10)), objects(document(12))
    assert {one["id"] for one in before} <= {one["id"] for one in after}
    assert {one["created"] for one in before if "created" in one} == {
        one["created"] for one in after if "created" in one
    }
    assert bundle(document(10)) == bundle(document(10))


def test_what_is_told_is_what_is_known() -> None:
    told = document(10)
    by_kind = {one["type"]: one for one in objects(told)}
    campaign = by_kind["campaign"]
    assert campaign["name"] == NAME
    assert "9 accounts" in campaign["description"]
    assert f"{told['requests']} requests" in campaign["description"]
    assert (campaign["first_seen"], campaign["last_seen"] >= told["seen"]) == (told["since"], True)
    notes = {one["abstract"]: one["content"] for one in objects(told) if one["type"] == "note"}
    assert json.loads(notes["Shared by its accounts"]) == told["shared"]
    assert json.loads(notes["Timeline"]) == told["timeline"]


def test_networks_that_are_shared_are_indicators_that_the_pattern_language_knows() -> None:
    found = [one for one in objects(document(20)) if one["type"] == "indicator"]
    assert len(found) == 7
    for one in found:
        assert one["pattern"].startswith("[ipv4-addr:value ISSUBSET '198.51.")


def test_hidden_addresses_indicate_nothing() -> None:
    told = document(20)
    for one in told["shared"]:
        one["shared"] = one["shared"].replace("198.51.", "addr_")
    assert not [one for one in objects(told) if one["type"] == "indicator"]


def test_customers_who_are_only_suspected_are_not_handed_on() -> None:
    told = document(10)
    (suspected,) = [one["id"] for one in told["accounts"] if one["state"] == "suspected"]
    assert suspected not in json.dumps(bundle(told))
