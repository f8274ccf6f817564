"""How a replay's summary is put for people, in tables and on the page alike."""

from __future__ import annotations

from typing import Any, Final

CHANGES: Final = {
    "newly_refused": "newly refused",
    "freed": "freed",
    "newly_slowed": "newly slowed or degraded",
    "no_longer_slowed": "no longer slowed or degraded",
}
MEASURES: Final = {
    "harvest_enforced": "harvesting accounts with an enforced action",
    "benign_refused": "benign accounts refused",
    "benign_enforced": "benign accounts refused, slowed or degraded",
}
UNTOLD: Final = ("none labelled so", "-", "cannot be told")
"""In the place of a measure, where there is nobody to take it of."""


def untold(measures: dict[str, Any]) -> list[str]:
    """What labels of one class alone do not tell."""
    notes = []
    if not measures["harvest_enforced"]["of"]:
        notes.append(
            "no account is labelled `harvest`: how much of a harvest the policy finds cannot be told"
        )
    if not measures["benign_refused"]["of"]:
        notes.append("no account is labelled `benign`: whom the policy hits wrongly cannot be told")
    return notes


def why(example: dict[str, Any]) -> str:
    """What refused, slowed or degraded one request, and by which numbers."""
    numbers = ", ".join(f"{name}={value}" for name, value in example["evidence"].items())
    why = f"{example['decision']} by {example['rule'] or 'a limit'}: {example['reason']}"
    return f"{why} ({numbers})" if numbers else why


def percent(part: float | None) -> str:
    """A share for people."""
    if part is None:
        return "-"
    return f"{part:.1%}" if part >= 0.001 or part == 0 else f"{part:.2g}"


def lasting(seconds: float | None) -> str:
    """So long, for people."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.3g} s"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
