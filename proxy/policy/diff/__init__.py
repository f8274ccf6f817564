"""
What one policy does otherwise than another: by meaning, never by text.

Both are read as they are in force, packs and overrides resolved, so that comments, order and ways of
writing the same make no difference. Pure.
"""

from __future__ import annotations

from proxy.policy.diff.change import EFFECTS, Change
from proxy.policy.diff.rules import rules
from proxy.policy.diff.whole import exemptions, gates, suspicion
from proxy.policy.load import Source

__all__ = ["EFFECTS", "Change", "diff"]


def diff(old: Source, new: Source) -> list[Change]:
    """All changes: what becomes stricter, then looser, then what starts anew, then the rest."""
    changes = [
        *gates(old.policy, new.policy),
        *rules(old, new),
        *suspicion(old.policy, new.policy),
        *exemptions(old.policy, new.policy),
    ]
    return sorted(changes, key=lambda one: EFFECTS.index(one.effect))
