"""Who is asking: keys, accounts, gateways, and keys that nobody has vouched for yet."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from proxy.client.accounts import Accounts, load_accounts
from proxy.client.identity import (
    AMBIGUOUS_ACCOUNT,
    MISSING,
    UNKNOWN,
    Gateway,
    Identifier,
)
from proxy.client.proven import ProvenKeys
from proxy.client.secret import Secret
from proxy.errors import ConfigurationError
from proxy.head import Head
from proxy.networks.info import Mark
from proxy.networks.lookup import Networks
from proxy.networks.pack import embedded
from proxy.policy.model import Keys

SECRET = Secret(b"0123456789abcdef")
NOW = 1_800_000_000.0


def head(
    key: bytes | None = b"sk-1", *headers: tuple[bytes, bytes], peer: str = "192.0.2.1"
) -> Head:
    own = ((b"x-api-key", key),) if key is not None else ()
    return Head("POST", "/v1/x", "", own + headers, peer)


def accounts(folder: Path, text: str) -> Accounts:
    file = folder / "accounts.yaml"
    file.write_text(f"version: 1\naccounts:\n{text}")
    return load_accounts(file)


def test_ids_are_keyed_stable_and_say_nothing_of_each_other() -> None:
    other = Secret(b"another-secret-0")
    assert SECRET.key_id(b"sk-1") == SECRET.key_id(b"sk-1") != SECRET.key_id(b"sk-2")
    assert SECRET.key_id(b"sk-1") != other.key_id(b"sk-1")
    assert SECRET.end_user_id("a", "u") != SECRET.end_user_id("b", "u")
    assert SECRET.end_user_id("ab", "c") != SECRET.end_user_id("a", "bc")
    assert SECRET.fingerprints() != other.fingerprints()
    assert "0123" not in repr(SECRET)


def test_an_unmapped_key_is_its_own_provisional_account_until_the_upstream_accepts_it() -> None:
    proven = ProvenKeys()
    identifier = Identifier(SECRET, proven=proven)
    client, flaw = identifier.identify(head(), NOW, Keys())
    assert flaw is None
    assert client.key_id is not None
    assert client.account == client.key_id == SECRET.key_id(b"sk-1")
    assert (client.account_source, client.provisional) == ("key", True)
    proven.prove(client.key_id, NOW)
    assert identifier.identify(head(), NOW, Keys())[0].provisional is False
    assert identifier.identify(head(b"sk-2"), NOW, Keys())[0].provisional is True


@pytest.mark.parametrize(
    ("given", "keys", "flaw"),
    [
        (head(None), Keys(), MISSING),
        (head(None), Keys(missing="allow"), None),
        (head(), Keys(unknown="block"), UNKNOWN),
        (head(), Keys(unknown="allow"), None),
    ],
)
def test_the_keys_policy(given: Head, keys: Keys, flaw: object) -> None:
    assert Identifier(SECRET).identify(given, NOW, keys)[1] == flaw


def test_where_our_key_is_injected_only_known_keys_pass_whatever_the_policy() -> None:
    identifier = Identifier(SECRET, only_known=True)
    lax = Keys(missing="allow", unknown="allow")
    assert identifier.identify(head(), NOW, lax)[1] == UNKNOWN
    assert identifier.identify(head(None), NOW, lax)[1] == MISSING


def test_the_accounts_file_says_whose_a_key_is_before_and_after_a_rotation(tmp_path: Path) -> None:
    key_id = SECRET.key_id(b"sk-1")
    table = accounts(
        tmp_path, f"  - {{account: acme, tier: pro, profile: rag, keys: [{key_id}]}}\n"
    )
    rotated = Secret(b"the-new-secret-1", b"0123456789abcdef")
    for secret in (SECRET, rotated):
        client, flaw = Identifier(secret, accounts=table).identify(
            head(), NOW, Keys(unknown="block")
        )
        assert flaw is None
        assert (client.account, client.tier, client.profile) == ("acme", "pro", "rag")
        assert (client.account_source, client.provisional) == ("file", False)


def test_account_headers_count_from_a_trusted_gateway_alone() -> None:
    gateway = Gateway((ipaddress.ip_network("10.0.0.0/8"),), "X-Account-Id", "X-Tier")
    identifier = Identifier(SECRET, gateway=gateway)
    named = ((b"X-Account-Id", b"acme"), (b"X-Tier", b"free"))
    client, flaw = identifier.identify(head(None, *named, peer="10.1.1.1"), NOW, Keys())
    assert flaw is None
    assert (client.account, client.tier, client.account_source) == ("acme", "free", "gateway")
    forged = head(b"sk-1", *named, (b"X-Excise-Anything", b"1"))
    client, _ = identifier.identify(forged, NOW, Keys())
    assert (client.account_source, client.tier) == ("key", None)
    assert set(identifier.withheld(forged)) == {"X-Account-Id", "X-Tier", "X-Excise-Anything"}
    assert identifier.withheld(head(b"sk-1", *named, peer="10.1.1.1")) == ()


def test_the_user_agent_is_cut() -> None:
    client, _ = Identifier(SECRET).identify(head(b"k", (b"User-Agent", b"x" * 300)), NOW, Keys())
    assert client.user_agent == "x" * 256


def test_proven_keys_are_bounded_and_end() -> None:
    proven = ProvenKeys(capacity=2, ttl=10)
    for key in ("a", "b", "c"):
        proven.prove(key, NOW)
    assert [proven.is_proven(key, NOW) for key in ("a", "b", "c")] == [False, True, True]
    assert proven.is_proven("b", NOW + 10.1) is False
    assert len(proven) == 1


def test_every_mistake_of_an_accounts_file_is_told_with_its_place(tmp_path: Path) -> None:
    good = SECRET.key_id(b"sk-1")
    text = f"""  - {{account: acme, keys: [{good}, sk-live-secret], tiers: pro}}
  - {{account: acme, profile: robot, networks: [10.0.0.1/8, 5]}}
  - {{keys: [{good}]}}
"""
    with pytest.raises(ConfigurationError) as raised:
        accounts(tmp_path, text)
    said = str(raised.value)
    assert len(said.splitlines()) == 7
    assert "accounts.yaml:3:50: must be a key id" in said
    assert "`tiers` is not known here (did you mean `tier`?)" in said
    assert "`acme` stands in this file twice" in said
    assert "`profile` must be one of" in said
    assert said.count("must be a network") == 2
    assert "`account` is required" in said
    assert "sk-live-secret" not in said


@pytest.mark.parametrize(
    "sent",
    [
        [(b"X-Account", "acmé".encode())],
        [(b"X-Account", b"acme"), (b"X-Account", b"other")],
        [(b"X-Account", b"")],
        [(b"X-Account", b"acme"), (b"X-Tier", b"\xff")],
    ],
)
def test_a_gateway_that_could_be_read_in_two_ways_is_refused(
    sent: list[tuple[bytes, bytes]],
) -> None:
    trusted = (ipaddress.ip_network("10.0.0.0/8"),)
    identifier = Identifier(SECRET, gateway=Gateway(trusted, "X-Account", "X-Tier"))
    given = Head("POST", "/v1/chat/completions", "", (*head().headers, *sent), "10.0.0.1")
    assert identifier.identify(given, NOW, Keys())[1] == AMBIGUOUS_ACCOUNT


def test_long_texts_of_callers_are_kept_nowhere() -> None:
    identifier = Identifier(SECRET)
    for number in range(20):
        long = b"k" * 4000 + b"%d" % number
        client, flaw = identifier.identify(head(long), NOW, Keys())
        assert flaw is None
        assert identifier.end_user_id(client, "u" * 100_000 + str(number))
    assert identifier._ids.cache_info().currsize == 0
    assert identifier._end_users.cache_info().currsize == 0


def test_a_client_has_its_network_and_another_once_it_is_replaced(tmp_path: Path) -> None:
    identifier = Identifier(SECRET, networks=Networks(embedded()))
    client, _ = identifier.identify(head(peer="8.8.8.8"), NOW, Keys())
    assert (client.asn, client.organization) == (15169, "Google LLC")
    assert (client.network_kind, client.country) == ("hosting", "US")
    assert identifier.identify(head(peer="10.0.0.1"), NOW, Keys())[0].network_kind == "private"
    identifier.replace_networks(Networks(embedded(), systems={15169: Mark("vpn", "list x")}))
    assert identifier.identify(head(peer="8.8.8.8"), NOW, Keys())[0].network_kind == "vpn"


def test_without_knowledge_of_networks_the_kind_is_unknown() -> None:
    client, _ = Identifier(SECRET).identify(head(peer="8.8.8.8"), NOW, Keys())
    assert (client.asn, client.network_kind, client.country) == (None, "unknown", None)


def test_an_address_in_an_accounts_own_networks_is_declared(tmp_path: Path) -> None:
    one, two = SECRET.key_id(b"sk-1"), SECRET.key_id(b"sk-2")
    known = accounts(
        tmp_path,
        f"""
  - {{account: acme, networks: [203.0.113.0/24, "2001:db8::1/128"], keys: [{one}]}}
  - {{account: umbrella, keys: [{two}]}}
""",
    )
    identifier = Identifier(SECRET, accounts=known)

    def declared(key: bytes | None, peer: str) -> bool:
        return identifier.identify(head(key, peer=peer), NOW, Keys())[0].declared_network

    assert declared(b"sk-1", "203.0.113.255")
    assert declared(b"sk-1", "2001:db8::1")
    assert not declared(b"sk-1", "2001:db8::2")
    assert not declared(b"sk-1", "203.0.114.0")
    assert not declared(b"sk-2", "203.0.113.1")
    assert not declared(b"sk-3", "203.0.113.1")
    assert not declared(None, "203.0.113.1")


def test_who_a_gateway_asks_for_has_not_declared_the_gateways_network(tmp_path: Path) -> None:
    one = SECRET.key_id(b"sk-1")
    known = accounts(tmp_path, f"  - {{account: acme, networks: [192.0.2.0/24], keys: [{one}]}}\n")
    gateway = Gateway((ipaddress.ip_network("192.0.2.1/32"),), "X-Account")
    identifier = Identifier(SECRET, accounts=known, gateway=gateway)
    client, _ = identifier.identify(head(b"sk-1", (b"X-Account", b"other")), NOW, Keys())
    assert (client.account, client.declared_network) == ("other", False)


def test_a_customer_since_a_day_is_known_by_it(tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    text = "version: 1\naccounts:\n  - {account: a, since: %s, keys: [key_aaaaaaaaaaaaaaaa]}\n"
    file.write_text(text % "2025-06-01", encoding="utf-8")
    account = load_accounts(file).of_key("key_aaaaaaaaaaaaaaaa")
    assert account is not None
    assert account.since == 1_748_736_000.0
    file.write_text(text % "lately", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r":3:25: `since` must be a day"):
        load_accounts(file)
