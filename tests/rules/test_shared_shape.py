"""Accounts whose requests are written alike to the last parameter."""

from __future__ import annotations

from proxy.facts import Signals
from proxy.rules.shared_shape import SharedShape

from .linked import shown, tied

RULE = SharedShape(name="r", min_accounts=3)
HAND = Signals(shape="shp_a")


async def test_one_hand_ties() -> None:
    ties = await tied(RULE, enumerate(shown(who, signals=HAND) for who in "abc"))
    (tie,) = ties[2]
    assert (tie.thing, tie.family, tie.by_end_users) == ("request_shape:shp_a", "client", False)


async def test_other_hands_and_what_has_no_shape_do_not() -> None:
    others = [shown(who, signals=Signals(shape=f"shp_{who}")) for who in "abcdef"]
    assert not any(await tied(RULE, enumerate(others)))
    assert not any(await tied(RULE, enumerate(shown(who) for who in "abcdef")))
