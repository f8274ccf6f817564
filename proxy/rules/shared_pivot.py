"""
shared_pivot: accounts that turn to a new model as soon as it is there.

A campaign moved half of its requests to a new model within a day of its release. An account that has
asked another model before, and asks one that nobody had asked until a day or two ago, is tied to that
turn.

    - name: same-turn
      kind: shared_pivot
      within: 2d

It links nobody by itself, nor beside one other family: at a release all keen users turn, and all users of
an app whose maker changed its default. It is shown as one more reason for accounts that two other
families have joined, and only of these a rule with a `score` finds anything. See
[campaigns](../campaigns.md).

Blind spot: who waits a few days, and a release within the first two days that anything is counted:
then every model is new.

False positives: none by its tie. With a score, whoever was joined wrongly turns with everybody else.
End users may choose the model themselves in many apps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from proxy.campaigns.ties import Tie
from proxy.counters.protocol import Different, Distinct, Op, Reading
from proxy.decision import Family, Finding
from proxy.facts import PROMPTING, Facts, Signal
from proxy.rules.fields import Duration
from proxy.rules.items import item
from proxy.rules.linking import DAY, Linking
from proxy.rules.subjects import NO_MODEL, SUBJECTS

MEMORY: Final = 30 * DAY
"""A model that nobody has asked for so long is new again."""
OLD_WORLD: Final = 3
"""Days of traffic before which every model would be new."""
WORLD: Final = "models:all"
"""Days on which anything was asked are counted under this."""


class SharedPivot(Linking):
    """One turn to a new model."""

    kind: ClassVar[str] = "shared_pivot"
    family: ClassVar[Family] = "volume"
    derives: ClassVar[frozenset[Signal]] = frozenset()
    by_end_users: ClassVar[bool] = True
    joins: ClassVar[bool] = False

    within: Duration = 2 * DAY
    """How long a model is new, by whole days."""

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Which models it has asked, on how many days this one was asked by anybody, and any."""
        model = SUBJECTS["model"](facts)
        if facts.client.unproven or model is None or model == NO_MODEL:
            return ()
        if facts.route.operation not in PROMPTING:
            return ()
        day = int(facts.now // DAY)
        return (
            Distinct(subject, self.key, MEMORY, item(model), 2),
            Distinct(model, self.key, MEMORY, day, self._new_for + 1),
            Distinct(WORLD, self.key, MEMORY, day, OLD_WORLD),
        )

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on a campaign's member that turns, for a rule that has an action or a score besides."""
        if facts.campaign is None or (self.action is None and self.score is None):
            return None
        return Finding("turned_to_new_model", {}) if self._turns(readings) else None

    def ties(self, facts: Facts, ops: Sequence[Op], readings: Sequence[Reading]) -> tuple[Tie, ...]:
        """Ties the account to the turn."""
        if not self._turns(readings) or not ops[1].subject.startswith("model:"):
            return ()
        return (self.tie(facts, f"pivot:{ops[1].subject.removeprefix('model:')}"),)

    @property
    def _new_for(self) -> int:
        return max(1, int(self.within // DAY))

    def _turns(self, readings: Sequence[Reading]) -> bool:
        if not readings:
            return False
        own, model, world = readings
        assert isinstance(own, Different)
        assert isinstance(model, Different)
        assert isinstance(world, Different)
        old = world.distinct >= OLD_WORLD
        return old and own.distinct > 1 and model.distinct <= self._new_for
