"""Where the policies that ship with Excise stand."""

from __future__ import annotations

from pathlib import Path

LIBRARY = "library/"
"""What policies may include without having it beside them."""


def shipped(name: str) -> Path:
    """A shipped policy: beside the package in a checkout, inside it in a wheel."""
    inside = Path(__file__).parents[1] / "_policies" / name
    return inside if inside.exists() else Path(__file__).parents[2] / "policies" / name
