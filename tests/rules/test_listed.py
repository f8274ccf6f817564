"""listed: who stands on a list, until when, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.decision import Finding, Verb
from proxy.facts import Facts, Signals
from proxy.lists import KINDS, Entry, ListTable, read_member, read_value
from proxy.policy.load import PolicyError, load
from proxy.rules.listed import Listed
from tests.policy.facts import facts

NOW = 1_800_000_000.0  # 2027-01-15

LIST = """
version: 1
listed:
  - account: [acme-7, acme-8]
    until: 2027-03-31
    because: "ticket 4711: resold in bulk"
  - {account: gone, until: 2027-01-14, because: moved on}
  - {account: today, until: 2027-01-15, because: last day}
  - {network: 198.51.100.0/24, because: scraped us in March}
  - {network: 198.51.100.64/26, until: 2027-01-01, because: an office}
  - {network: "2001:db8::/32", because: six}
  - {address: 192.0.2.7, because: one of them}
  - {asn: 64496, because: resells exits}
  - {country: "NO", because: tests}
  - {api_key: key_pj4e2mqx7k3t5w6a, because: on a page}
"""


def rule(folder: Path, entries: str = LIST, more: str = "action: block") -> Listed:
    (folder / "list.yaml").write_text(entries)
    policy = folder / "policy.yaml"
    policy.write_text(
        f"version: 1\nrules:\n  - {{name: known, kind: listed, file: list.yaml, {more}}}\n"
    )
    (found,) = load(policy).rules
    assert isinstance(found, Listed)
    return found


def judged(of: Listed, **client: Any) -> Finding | None:
    return of.judge(replace(facts(**client), now=NOW), ())


def test_each_kind_of_entry_is_found_and_says_why(tmp_path: Path) -> None:
    known = rule(tmp_path)
    assert judged(known) is None
    found = judged(known, account="acme-8")
    assert found is not None
    assert found.reason == "account_listed"
    assert found.evidence == {
        "listed": "account",
        "entry": "acme-8",
        "because": "ticket 4711: resold in bulk",
    }
    for client, reason in (
        ({"address": "198.51.100.9"}, "network_listed"),
        ({"address": "198.51.100.70"}, "network_listed"),  # the narrower one has ended
        ({"address": "2001:db8::1"}, "network_listed"),
        ({"address": "192.0.2.7"}, "address_listed"),
        ({"asn": 64496}, "asn_listed"),
        ({"country": "NO"}, "country_listed"),
        ({"key_id": "key_pj4e2mqx7k3t5w6a"}, "api_key_listed"),
    ):
        found = judged(known, **client)
        assert found is not None, client
        assert found.reason == reason


def test_an_entry_holds_through_its_last_day(tmp_path: Path) -> None:
    known = rule(tmp_path)
    assert judged(known, account="gone") is None
    assert judged(known, account="today") is not None


def test_an_address_is_not_repeated_in_the_evidence(tmp_path: Path) -> None:
    found = judged(rule(tmp_path), address="192.0.2.7")
    assert found is not None
    assert found.evidence == {"listed": "address", "because": "one of them"}


def test_a_list_may_block_alone_and_before_the_body(tmp_path: Path) -> None:
    known = rule(tmp_path)
    assert known.does.verb is Verb.BLOCK
    assert not known.needs_body


def test_what_the_body_tells_is_waited_for_and_derived(tmp_path: Path) -> None:
    template = "tpl_" + "0" * 15 + "a"
    known = rule(
        tmp_path, f"version: 1\nlisted: [{{template: {template}, because: a pipeline's}}]\n"
    )
    assert known.needs_body
    assert known.wants == {"template"}
    of = replace(facts(), signals=Signals(template=template), now=NOW)
    assert known.judge(of, ()) is not None
    assert judged(known) is None


def test_an_allow_list_finds_whom_it_does_not_name(tmp_path: Path) -> None:
    entries = """
version: 1
listed:
  - {account: acme, because: a customer}
  - {asn: 64496, until: 2027-01-01, because: has ended}
"""
    strangers = rule(tmp_path, entries, "invert: true, action: block")
    assert judged(strangers, account="acme") is None
    found = judged(strangers, account="other")
    assert found is not None
    assert found.reason == "not_listed"
    # What is not known is not evidence, and an entry that has ended asks for nothing.
    assert judged(strangers, account=None, asn=64497) is None


def test_an_allow_list_without_entries_in_force_says_nothing(tmp_path: Path) -> None:
    ended = "version: 1\nlisted: [{account: acme, until: 2020-01-01, because: old}]\n"
    assert judged(rule(tmp_path, ended, "invert: true, action: block"), account="x") is None
    assert judged(rule(tmp_path, "version: 1\nlisted: []\n", "invert: true, score: 5")) is None


def test_lists_of_the_store_are_looked_up_by_their_kinds(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "version: 1\nrules:\n"
        "  - {name: a, kind: listed, redis_set: resold, action: block}\n"
        "  - {name: b, kind: listed, redis_set: resold, kinds: model, action: block}\n"
    )
    loaded = load(policy)
    identity, model = loaded.rules
    assert loaded.lists == ("resold",)
    assert (identity.needs_body, model.needs_body) == (False, True)
    table = ListTable([Entry("account", "acme", because="why"), Entry("model", "large")])
    of = replace(facts(), lists={"resold": table}, now=NOW)
    found, other = identity.judge(of, ()), model.judge(of, ())
    assert found is not None
    assert found.evidence == {
        "listed": "account",
        "entry": "acme",
        "because": "why",
        "list": "resold",
    }
    assert other is not None
    assert other.reason == "model_listed"
    assert identity.judge(replace(of, lists={}), ()) is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{account: a}", "3:5: `because` is required"),
        ("{because: b}", "3:5: an entry names one of account, address"),
        ("{account: a, asn: 1, because: b}", "an entry names one of"),
        ("{acount: a, because: b}", "3:6: `acount` is not known here (did you mean `account`?)"),
        ("{account: a, until: soon, because: b}", "3:25: `until` must be a day"),
        ("{account: a, because: ''}", "3:27: `because` must be one line"),
        ("{network: 10.0.0.1/8, because: b}", "3:15: `network` must be a network"),
        ("{address: here, because: b}", "`address` must be an IP address"),
        ("{asn: 0, because: b}", "`asn` must be an AS number"),
        ("{country: Norway, because: b}", "`country` must be two capital letters"),
        ("{api_key: sk-secret, because: b}", "never the key itself"),
        ("{template: x, because: b}", "a template's fingerprint"),
        ("{account: [a, b, a], because: b}", "3:22: `a` stands in this file twice"),
        ("word", "3:5: an entry holds named fields"),
    ],
)
def test_mistakes_in_a_list_are_told_with_their_place(
    tmp_path: Path, entry: str, said: str
) -> None:
    with pytest.raises(PolicyError) as raised:
        rule(tmp_path, f"version: 1\nlisted:\n  - {entry}\n")
    assert any(said in str(one) for one in raised.value.mistakes), raised.value
    assert all(one.file.endswith("list.yaml") for one in raised.value.mistakes)
    assert "sk-secret" not in str(raised.value)


def test_entries_that_the_rule_leaves_out_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="leave `asn` out"):
        rule(tmp_path, LIST, "kinds: [account, network, address], action: block")


@pytest.mark.parametrize(
    ("member", "more", "entry"),
    [
        (b"account:acme", None, Entry("account", "acme")),
        (b"account:a:b", b"", Entry("account", "a:b")),
        (b"asn:64496", b"resells", Entry("asn", "64496", because="resells")),
        (b"address:::ffff:192.0.2.1", None, Entry("address", "192.0.2.1")),
        (
            b"network:10.0.0.0/8",
            b'{"until": "1970-01-01", "because": "x"}',
            Entry("network", "10.0.0.0/8", 86_400.0, "x"),
        ),
    ],
)
def test_members_of_the_store_are_read(member: bytes, more: bytes | None, entry: Entry) -> None:
    assert read_member(member, more) == entry


@pytest.mark.parametrize(
    ("member", "more"),
    [
        (b"", None),
        (b"acme", None),
        (b"account:", None),
        (b"acount:acme", None),
        (b"account:\xff", None),
        (b"account:a\nb", None),
        (b"account:" + b"a" * 300, None),
        (b"asn:1e3", None),
        ("asn:٣".encode(), None),
        (b"network:10.0.0.1/8", None),
        (b"api_key:sk-live-secret", None),
        (b"account:acme", b"{"),
        (b"account:acme", b'{"until": 5}'),
        (b"account:acme", b'{"untill": "2027-01-01"}'),
        (b"account:acme", b'{"because": "' + b"a" * 2000 + b'"}'),
        (b"account:acme", b"\x00"),
    ],
)
def test_members_of_no_known_form_are_refused_unquoted(member: bytes, more: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"^[a-zA-Z_ -]+$") as raised:
        read_member(member, more)
    assert "secret" not in str(raised.value)


def test_every_kind_has_a_form() -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match="must be"):
            read_value(kind, "")


def test_the_narrowest_network_in_force_tells() -> None:
    table = ListTable(
        [
            Entry("network", "10.0.0.0/8", because="wide"),
            Entry("network", "10.1.0.0/16", because="narrow"),
            Entry("network", "10.1.1.0/24", 5.0, "ended"),
            Entry("network", "0.0.0.0/0", 5.0),
        ]
    )
    assert [
        found.because if (found := table.find("network", address, 10.0)) is not None else None
        for address in ("10.1.1.1", "10.1.2.1", "10.2.0.1", "11.0.0.1", "2001:db8::1")
    ] == ["narrow", "narrow", "wide", None, None]


@pytest.mark.parametrize("kind", ["account", "network"])
@pytest.mark.parametrize("backwards", [False, True])
def test_an_entry_that_has_ended_takes_no_standing_one_out_of_force(
    kind: str, backwards: bool
) -> None:
    value, shown = ("acme", "acme") if kind == "account" else ("10.0.0.0/8", "10.1.2.3")
    entries = [Entry(kind, value, because="stands"), Entry(kind, value, 1000.0, "has ended")]
    table = ListTable(reversed(entries) if backwards else entries)
    found = table.find(kind, shown, 2000.0)
    assert found is not None
    assert found.because == "stands"
    assert len(table) == 1


def test_a_network_of_mapped_addresses_is_one_of_ipv4() -> None:
    assert read_value("network", "::ffff:10.0.0.0/104") == "10.0.0.0/8"
    assert read_value("network", "::ffff:192.0.2.7") == "192.0.2.7/32"
    assert read_value("network", "::ffff:0:0/96") == "0.0.0.0/0"
    assert read_value("network", "::/0") == "::/0"
    table = ListTable([read_member(b"network:::ffff:10.0.0.0/104", None)])
    assert table.find("network", "10.1.2.3", NOW) is not None


def test_facts_for_lists(tmp_path: Path) -> None:
    """Whatever a request lacks is looked up nowhere."""
    bare: Facts = replace(facts(None, account=None, key_id=None), now=NOW)
    assert rule(tmp_path).judge(bare, ()) is None
