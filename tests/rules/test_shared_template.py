"""Accounts whose prompts begin alike are tied; users of what is common are not."""

from __future__ import annotations

from dataclasses import replace

from proxy.facts import Signals
from proxy.rules.shared_template import SharedTemplate

from .linked import shown, things, tied

RULE = SharedTemplate(name="r", min_accounts=3)


async def test_the_third_account_with_one_frame_is_tied_and_so_are_all_from_then_on() -> None:
    frame = Signals(template="tpl_a")
    ties = await tied(RULE, [(at, shown(who, signals=frame)) for at, who in enumerate("abcab")])
    assert [things(one) for one in ties] == [set(), set(), *[{"template:tpl_a"}] * 3]
    (tie,) = ties[2]
    assert (tie.who, tie.family, tie.by_end_users) == ("account:c", "content", True)
    assert (tie.trusted, tie.ends - tie.seen) == (False, RULE.keep)


async def test_one_account_with_many_requests_is_nobodys_company() -> None:
    frame = Signals(template="tpl_a")
    assert not any(await tied(RULE, [(at, shown("a", signals=frame)) for at in range(50)]))


async def test_a_frame_that_is_common_ties_nobody() -> None:
    common = [
        (at, replace(shown(who, signals=Signals(template="tpl_a")), common_template=True))
        for at, who in enumerate("abcdef")
    ]
    assert not any(await tied(RULE, common))


async def test_a_day_later_nobody_remembers() -> None:
    frame = Signals(template="tpl_a")
    days = [(at * (RULE.window + 1), shown(who, signals=frame)) for at, who in enumerate("abcdef")]
    assert not any(await tied(RULE, days))


async def test_keys_that_nobody_vouches_for_are_tied_to_nothing() -> None:
    frame = Signals(template="tpl_a")
    made_up = [shown(who, signals=frame, unproven=True) for who in "abcdef"]
    assert not any(await tied(RULE, enumerate(made_up)))


async def test_known_customers_are_trusted() -> None:
    frame = Signals(template="tpl_a")
    declared = [shown(who, signals=frame, profile="batch") for who in "abc"]
    ties = await tied(RULE, enumerate(declared))
    assert [tie.trusted for tie in ties[2]] == [True]
