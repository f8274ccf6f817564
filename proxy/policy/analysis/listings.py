"""Entries of lists that name nobody any more."""

from __future__ import annotations

from proxy.policy.analysis.told import Told
from proxy.rules.listed import Listed


def listings(told: Told, now: float) -> None:
    """Those of a rule's files that have ended: one of the same value without an end still holds."""
    for at, rule in enumerate(told.policy.rules):
        if not isinstance(rule, Listed):
            continue
        ended = [entry for entry in rule.entries if entry.ends <= now]
        if ended:
            count = (
                "1 entry of its files has"
                if len(ended) == 1
                else f"{len(ended)} entries of its files have"
            )
            message = f"{count} ended: {ended[0].kind} `{ended[0].value}`"
            message += ", …" if len(ended) > 1 else ""
            told.say("expired-entry", told.spot(at), ("file",), message)
