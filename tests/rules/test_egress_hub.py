"""Accounts that come from one exit."""

from __future__ import annotations

from proxy.rules.egress_hub import EgressHub

from .linked import shown, things, tied

RULE = EgressHub(name="r", min_accounts=3)


async def test_one_network_ties() -> None:
    ties = await tied(RULE, enumerate(shown(who) for who in "abc"))
    (tie,) = ties[2]
    assert (tie.thing, tie.family, tie.by_end_users) == (
        "subnet:203.0.113.0/24",
        "network",
        False,
    )


async def test_homes_are_homes() -> None:
    homes = [
        shown(who, address=f"198.51.{at}.7", subnet=f"198.51.{at}.0/24")
        for at, who in enumerate("abcdef")
    ]
    assert not any(await tied(RULE, enumerate(homes)))


async def test_an_office_with_few_accounts_and_declared_networks_tie_nobody() -> None:
    assert not any(await tied(RULE, enumerate(shown(who) for who in "abababab")))
    declared = [shown(who, declared_network=True) for who in "abcdef"]
    assert not any(await tied(RULE, enumerate(declared)))


async def test_an_exit_can_be_one_address() -> None:
    rule = EgressHub(name="r", min_accounts=3, by="address")
    ties = await tied(rule, enumerate(shown(who) for who in "abc"))
    assert things(ties[2]) == {"address:203.0.113.7"}
    neighbours = [shown(who, address=f"203.0.113.{at}") for at, who in enumerate("abcdef")]
    assert not any(await tied(rule, enumerate(neighbours)))
