"""Accounts with the same false appearance."""

from __future__ import annotations

from proxy.facts import Signals
from proxy.rules.shared_contradiction import SharedContradiction

from .linked import shown, tied

RULE = SharedContradiction(name="r", min_accounts=3)


async def test_one_mask_ties_its_wearers() -> None:
    masked = Signals(client="httpx-compact-1", contradictions=("json_style",))
    ties = await tied(RULE, enumerate(shown(who, signals=masked) for who in "abc"))
    (tie,) = ties[2]
    assert (tie.thing, tie.family) == ("contradiction:httpx-compact-1", "client")


async def test_who_is_what_they_say_is_tied_to_nobody() -> None:
    honest = Signals(client="httpx-compact-1")
    assert not any(await tied(RULE, enumerate(shown(who, signals=honest) for who in "abcdef")))
