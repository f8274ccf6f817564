"""A refused body that comes again under another account."""

from __future__ import annotations

from proxy.facts import Signals
from proxy.rules.throttle_echo import ThrottleEcho

from .linked import shown, things, tied

RULE = ThrottleEcho(name="r")
BODY = Signals(body="b1")


async def test_who_brings_what_another_was_refused_is_tied_to_them() -> None:
    ties = await tied(RULE, enumerate(shown(who, signals=BODY) for who in "ab"), refused=[0])
    assert things(ties[0]) == set()
    (tie,) = ties[1]
    assert (tie.who, tie.thing, tie.family) == ("account:b", "account:a", "linkage")


async def test_so_it_is_where_the_upstream_refused_it_for_its_rate() -> None:
    asked = [shown(who, signals=BODY) for who in "ab"]
    ties = await tied(RULE, enumerate(asked), throttled=[0])
    assert [things(one) for one in ties] == [set(), {"account:a"}]


async def test_the_same_body_that_was_served_is_no_echo() -> None:
    assert not any(await tied(RULE, enumerate(shown(who, signals=BODY) for who in "abc")))


async def test_ones_own_retry_is_none() -> None:
    again = [shown("a", signals=BODY)] * 3
    assert not any(await tied(RULE, enumerate(again), refused=[0, 1]))


async def test_short_bodies_and_late_ones_are_none() -> None:
    short = [shown(who, signals=BODY, bytes_=100) for who in "ab"]
    assert not any(await tied(RULE, enumerate(short), refused=[0]))
    late = [(0.0, shown("a", signals=BODY)), (RULE.window + 1, shown("b", signals=BODY))]
    assert not any(await tied(RULE, late, refused=[0]))
