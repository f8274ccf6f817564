"""decide: one decision out of all findings. Pure, and the same whatever the rules' order."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.decision import ALLOWED, Decision, Finding, RuleFinding, Verb
from proxy.policy.model import Policy
from proxy.rules.base import Mode, RuleKind


def decide(
    judged: Sequence[tuple[RuleKind, Finding]], policy: Policy, mode: Mode = "enforce"
) -> Decision:
    """The strongest enforced finding decides; delays compose to the longest.

    A rule's effective mode is the weakest of the process's `mode`, the policy's and its own. A finding
    in shadow is listed and never acts.
    """
    if not judged:
        return ALLOWED
    watching = mode == "shadow" or policy.mode == "shadow"
    found = sorted(
        (
            _weighed(rule, finding, shadow=watching or rule.mode == "shadow")
            for rule, finding in judged
        ),
        key=_strength,
    )
    enforced = [one for one in found if not one.shadow]
    if not enforced:
        return Decision(findings=tuple(found))
    first = enforced[0]
    waits = [
        one.finding.retry_after_s
        for one in enforced
        if one.verb is Verb.THROTTLE and one.finding.retry_after_s is not None
    ]
    delays = [one for one in enforced if one.verb is Verb.DELAY]
    refused = first.verb.refuses
    return Decision(
        verb=first.verb,
        rule=first.rule,
        kind=first.kind,
        reason=first.finding.reason,
        evidence=first.finding.evidence,
        delay_s=0.0 if refused else max((one.delay_s for one in delays), default=0.0),
        delay_then=max((one.delay_then for one in delays), default=Verb.ALLOW),
        retry_after_s=max(waits, default=None),
        findings=tuple(found),
    )


def _weighed(rule: RuleKind, finding: Finding, *, shadow: bool) -> RuleFinding:
    action = rule.does
    verb, delay = action.verb, 0.0
    if verb is Verb.DELAY:
        # A limit says how long to wait and refuses what would need longer; other kinds only fire.
        too_long = finding.retry_after_s is not None or finding.wait_s > action.at_most
        if too_long and action.then.refuses:
            verb = action.then
        else:
            delay = min(finding.wait_s or action.at_most, action.at_most)
    return RuleFinding(
        rule=rule.name,
        kind=rule.kind,
        family=rule.family,
        shadow=shadow,
        verb=verb,
        finding=finding,
        delay_s=delay,
        delay_then=action.then,
        score=rule.score or 0.0,
    )


def _strength(found: RuleFinding) -> tuple[int, float, str]:
    """Strongest first, the longer wait before the shorter, then by name."""
    return -found.verb, -(found.finding.retry_after_s or found.delay_s), found.rule
