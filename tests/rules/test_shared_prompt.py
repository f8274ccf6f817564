"""Accounts that ask nearly the same question."""

from __future__ import annotations

from proxy.facts import Signals
from proxy.rules.shared_prompt import SharedPrompt

from .linked import shown, tied

RULE = SharedPrompt(name="r")


async def test_one_question_ties_its_askers() -> None:
    ties = await tied(RULE, enumerate(shown(who, signals=Signals(overlap="q1")) for who in "abc"))
    (tie,) = ties[2]
    assert (tie.thing, tie.family, tie.by_end_users) == ("prompt:q1", "content", True)


async def test_questions_of_ones_own_do_not() -> None:
    own = [shown(who, signals=Signals(overlap=f"q_{who}")) for who in "abcdef"]
    assert not any(await tied(RULE, enumerate(own)))
