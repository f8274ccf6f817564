"""Who turns to a new model at once is tied to the turn; nobody is where every model is new or none."""

from __future__ import annotations

from dataclasses import replace

from proxy.decision import Finding
from proxy.facts import Ask, Facts, Turn
from proxy.rules.shared_pivot import SharedPivot

from .judged import judged
from .linked import T0, shown, things, tied

RULE = SharedPivot(name="r")
DAY = 86_400.0
WEEK = 4


def asks(who: str, model: str | None, **client: object) -> Facts:
    return replace(shown(who, **client), ask=Ask(model, (Turn("user", "go on"),)))


def weeks(*whos: str) -> list[tuple[float, Facts]]:
    return [(day * DAY, asks(who, "old")) for day in range(WEEK) for who in whos]


async def test_a_turn_within_two_days_ties() -> None:
    turn = [(WEEK * DAY + at, asks(who, "new")) for at, who in enumerate("abc")]
    ties = await tied(RULE, [*weeks("a", "b", "c"), *turn])
    assert not any(ties[: WEEK * 3])
    assert [things(one) for one in ties[-3:]] == [{"pivot:new"}] * 3
    (tie,) = ties[-1]
    assert (tie.family, tie.by_end_users) == ("volume", True)


async def test_newcomers_and_who_turns_later_are_not_tied() -> None:
    known = [*weeks("a", "b"), *[((WEEK + day) * DAY, asks("a", "new")) for day in range(6)]]
    late = [((WEEK + 6) * DAY, asks("b", "new")), ((WEEK + 6) * DAY, asks("c", "new"))]
    ties = await tied(RULE, [*known, *late])
    assert not any(ties[-2:])
    newcomer = await tied(RULE, [*weeks("a"), (WEEK * DAY, asks("z", "new"))])
    assert not any(newcomer)


async def test_in_the_first_days_every_model_is_new_and_none_is_told() -> None:
    both = [(at * 3_600.0, asks("a", model)) for at in range(48) for model in ("one", "two")]
    assert not any(await tied(RULE, both))


async def test_no_model_and_keys_that_nobody_vouches_for_ask_nothing() -> None:
    assert RULE.counters(asks("a", None), "account:a") == ()
    assert RULE.counters(asks("a", "new", unproven=True), "account:a") == ()


async def test_with_a_score_only_a_campaigns_member_is_found() -> None:
    rule = SharedPivot(name="r", score=10.0)
    turn = (WEEK * DAY, asks("a", "new"))
    member = (turn[0], replace(turn[1], campaign="cmp_aaaaaaaaaaaaaaaa"))

    async def last(came: tuple[float, Facts]) -> Finding | None:
        timed = [(t, replace(one, now=T0 + t)) for t, one in [*weeks("a"), came]]
        return (await judged(rule, timed))[-1]

    assert await last(turn) is None
    found = await last(member)
    assert found is not None
    assert found.reason == "turned_to_new_model"
