"""select: the rules that apply to these facts, less exemptions, with the counters that they want."""

from __future__ import annotations

from proxy.counters.protocol import Op
from proxy.facts import Facts
from proxy.policy.model import Policy, Stage
from proxy.rules.base import RuleKind
from proxy.value import value

__all__ = ["Selected", "Selection", "Stage", "select"]


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
    whom, rules = policy.at_hand(stage)
    if not rules:
        return NOTHING
    exempt: dict[str, str] = {}
    for exemption in policy.exemptions:
        if exemption.covers(facts, now):
            exempt.update(dict.fromkeys(exemption.rules, exemption.name))
    selected: list[Selected] = []
    no_subject: list[str] = []
    spoke: dict[str, None] = {}
    subjects = [subject_of(facts) for subject_of in whom]
    for one in rules:
        applies = one.applies
        if applies is not None and not applies(facts):
            continue
        if exempt and one.name in exempt:
            spoke[exempt[one.name]] = None
            continue
        subject = subjects[one.whom]
        if subject is None:
            no_subject.append(one.name)
        else:
            selected.append(Selected(one.rule, one.counters(facts, subject)))
    return Selection(tuple(selected), tuple(no_subject), tuple(spoke))
