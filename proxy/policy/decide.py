"""decide: one decision out of all findings. Pure, and the same whatever the rules' order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from proxy.decision import ALLOWED, Decision, Finding, RuleFinding, Verb, all_of
from proxy.rules.base import RuleKind

PAUSE_S = 30.0
"""What a caller is told to wait that is throttled by a rule which knows no better."""


JITTER: Final = 0.2
"""By so much delays that no limit dictates differ from request to request, up and down: an even one would
teach what was seen, and hold many back at once only to let them go at once."""


def jitter_of(request_id: str) -> float:
    """A factor within 1 ± JITTER, the same for a request whenever it is judged."""
    drawn = int.from_bytes(blake2b(request_id.encode(), digest_size=4).digest(), "big") / 2**32
    return 1 - JITTER + 2 * JITTER * drawn


def jittered(at_most: float, jitter: float) -> float:
    """A delay around five sixths of `at_most`, and never beyond it."""
    return at_most * jitter / (1 + JITTER)


def weigh(
    rule: RuleKind,
    finding: Finding,
    subject: str | None,
    *,
    shadow: bool,
    jitter: float = 1 + JITTER,
) -> RuleFinding:
    """What a rule does about its finding."""
    action = rule.does
    verb, delay = action.verb, 0.0
    if verb is Verb.DELAY:
        # A limit says how long to wait and refuses what would need longer; other kinds only fire.
        too_long = finding.retry_after_s is not None or finding.wait_s > action.at_most
        if too_long and action.then.refuses:
            verb = action.then
        else:
            most = action.at_most
            delay = min(finding.wait_s, most) if finding.wait_s else jittered(most, jitter)
    return RuleFinding(
        rule=rule.name,
        kind=rule.kind,
        family=rule.family,
        shadow=shadow,
        verb=verb,
        finding=finding,
        delay_s=delay,
        delay_then=action.then,
        ban_s=action.ban_s,
        subject=subject,
        degradation=action.degradation,
    )


def decide(found: Sequence[RuleFinding]) -> Decision:
    """The strongest enforced finding decides; delays compose to the longest, degradations to all of
    them; shadow never acts."""
    if not found:
        return ALLOWED
    ordered = tuple(sorted(found, key=_strength))
    enforced = [one for one in ordered if not one.shadow]
    if not enforced:
        return Decision(findings=ordered)
    first = enforced[0]
    waits = [
        one.finding.retry_after_s
        for one in enforced
        if one.verb is Verb.THROTTLE and one.finding.retry_after_s is not None
    ]
    delays = [one for one in enforced if one.verb is Verb.DELAY]
    refused = first.verb.refuses
    pause = PAUSE_S if first.verb is Verb.THROTTLE else None
    return Decision(
        verb=first.verb,
        rule=first.rule,
        kind=first.kind,
        reason=first.finding.reason,
        evidence=first.finding.evidence,
        delay_s=0.0 if refused else max((one.delay_s for one in delays), default=0.0),
        delay_then=max((one.delay_then for one in delays), default=Verb.ALLOW),
        retry_after_s=max(waits, default=pause),
        findings=ordered,
        degradation=None if refused else all_of(one.degradation for one in enforced),
    )


def without_room(decision: Decision) -> Decision:
    """What becomes of a delay where nobody has room to hold the request back."""
    return replace(
        decision,
        verb=max(decision.delay_then, Verb.DEGRADE if decision.degradation else Verb.ALLOW),
        reason="delay_lanes_full",
        delay_s=0.0,
        retry_after_s=decision.delay_s,
    )


def _strength(found: RuleFinding) -> tuple[int, float, str]:
    """Strongest first, the longer wait before the shorter, then by name."""
    return -found.verb, -(found.finding.retry_after_s or found.delay_s), found.rule
