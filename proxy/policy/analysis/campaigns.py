"""Rules and suspicion about campaigns where no rules make any."""

from __future__ import annotations

from itertools import combinations

from proxy.policy.analysis.told import Told
from proxy.rules.linking import Linking


def campaigns(told: Told) -> None:
    """What counts or suspects campaigns needs rules that link accounts by two families of evidence."""
    policy = told.policy
    counting = [at for at, rule in enumerate(policy.rules) if "campaign" in rule.per]
    subjects = policy.suspicion.subjects
    suspects = "campaign" in subjects and bool(policy.suspicion.thresholds)
    if not _joins(told):
        message = (
            "there are no campaigns: they take rules in force that link accounts by two families of "
            "evidence, one of which end users cannot forge (`library/campaigns.yaml`)"
        )
        for at in counting:
            told.say("no-campaigns", told.spot(at), ("per",), message)
        if suspects:
            told.say("no-campaigns", told.main, ("suspicion", "subjects"), message)
    elif suspects and all(policy.rules[at].score is None for at in counting):
        message = "campaigns are suspected of nothing: no rule that counts `per: campaign` scores"
        told.say("no-campaigns", told.main, ("suspicion", "subjects"), message)


def _joins(told: Told) -> bool:
    """Whether some two rules may join accounts; where the whole policy only watches, all of them link."""
    policy = told.policy
    links = [
        rule
        for rule in policy.rules
        if isinstance(rule, Linking)
        and rule.joins
        and (rule.mode == "enforce" or policy.mode == "shadow")
        and rule.name not in told.dead
    ]
    return any(
        one.family != other.family and not (one.by_end_users and other.by_end_users)
        for one, other in combinations(links, 2)
    )
