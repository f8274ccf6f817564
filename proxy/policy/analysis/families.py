"""Refusals that rest on one family of evidence, and thresholds that nothing reaches."""

from __future__ import annotations

from collections import defaultdict

from proxy.decision import Verb
from proxy.policy.analysis.told import Told
from proxy.policy.suspicion import FAMILIES_TO_BLOCK, NEARLY, Threshold
from proxy.policy.yamltree import Path as Place


def families(told: Told) -> None:
    """Bans of plain limits, and each threshold beside the scores that there are."""
    for at, rule in enumerate(told.policy.rules):
        bans = rule.does.ban_s > 0 and rule.plain_limit
        if bans and rule.acknowledge_single_family is None:
            message = (
                f"a ban on `{rule.family}` evidence alone: whoever fills the limit for "
                "somebody else shuts them out; `throttle`, score it, or say why with "
                "`acknowledge_single_family`"
            )
            told.say("one-family-ban", told.spot(at), ("action",), message)
    scores, enforced = _scores(told, "enforce", "shadow"), _scores(told, "enforce")
    for at, threshold in enumerate(told.policy.suspicion.thresholds):
        _threshold(told, scores, enforced, threshold, ("suspicion", "thresholds", at))


def _scores(told: Told, *modes: str) -> dict[str, float]:
    """Family → what its rules in these modes can add up to."""
    policy = told.policy
    scores: dict[str, float] = defaultdict(float)
    for rule in policy.rules:
        if rule.score is not None and rule.mode in modes and rule.name not in told.dead:
            scores[rule.family] += rule.score
    return scores


def _threshold(
    told: Told,
    scores: dict[str, float],
    enforced: dict[str, float],
    threshold: Threshold,
    place: Place,
) -> None:
    main, action = told.main, threshold.action
    most = sum(scores.values())
    if threshold.at > most + NEARLY:
        message = f"`at` is never reached: all scores together come to {most:g}"
        told.say("unreachable-threshold", main, (*place, "at"), message)
        return
    if action.strongest is Verb.BLOCK and len(scores) < FAMILIES_TO_BLOCK:
        message = "`at` never blocks: a block needs two families of evidence that score"
        told.say("never-blocks", main, (*place, "at"), message)
        return
    if not action.verb.refuses or threshold.acknowledge_single_family is not None:
        return
    # What stands on a list of the operator's own is no guess, here as with a rule that blocks.
    alone = [name for name, score in enforced.items() if score + NEARLY >= threshold.at]
    alone = sorted(name for name in alone if name != "listed")
    if alone:
        told_of = ", ".join(f"`{name}` ({enforced[name]:g})" for name in alone)
        but = " but for a second family of 1" if action.verb is Verb.BLOCK else ""
        message = (
            f"one family of evidence reaches this{but}: {told_of}; raise `at`, lower scores, "
            "or say why with `acknowledge_single_family`"
        )
        told.say("one-family-threshold", main, (*place, "at"), message)
