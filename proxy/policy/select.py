"""select: the rules that apply to these facts, less exemptions, with the counters that they want."""

from __future__ import annotations

from typing import Literal

from proxy.counters.protocol import Op
from proxy.facts import Facts
from proxy.policy.model import Policy
from proxy.rules.base import RuleKind
from proxy.value import value

Stage = Literal["identity", "body", "all"]
"""What is known: the identity alone, then the body too; `all` judges both at once."""


@value
class Selected:
    """A rule that applies, and its counter operations."""

    rule: RuleKind
    ops: tuple[Op, ...]


@value
class Selection:
    """What applies; which rules found no subject; which exemptions spoke."""

    selected: tuple[Selected, ...]
    no_subject: tuple[str, ...] = ()
    exempted_by: tuple[str, ...] = ()


NOTHING = Selection(())


def select(policy: Policy, facts: Facts, now: float, stage: Stage) -> Selection:
    """The rules of one stage that apply; `now` in Unix seconds decides which exemptions still run."""
    rules = policy.rules_of(stage)
    if not rules:
        return NOTHING
    exempt: dict[str, str] = {}
    for exemption in policy.exemptions:
        if exemption.covers(facts, now):
            exempt.update(dict.fromkeys(exemption.rules, exemption.name))
    selected: list[Selected] = []
    no_subject: list[str] = []
    spoke: dict[str, None] = {}
    subjects: dict[tuple[str, ...], str | None] = {}
    for rule in rules:
        applies = rule.applies
        if applies is not None and not applies(facts):
            continue
        if exempt and rule.name in exempt:
            spoke[exempt[rule.name]] = None
            continue
        per = rule.per
        if per in subjects:
            subject = subjects[per]
        else:
            subject = subjects[per] = rule.subject(facts)
        if subject is None:
            no_subject.append(rule.name)
        else:
            selected.append(Selected(rule, rule.counters(facts, subject)))
    return Selection(tuple(selected), tuple(no_subject), tuple(spoke))
