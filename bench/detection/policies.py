"""The policies that judge: the shipped one, baselines, and the shipped one less a family of evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from proxy.rules import RULE_KINDS

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "policies" / "default.yaml"
PLAIN_KINDS = frozenset({"rate_limit", "token_budget", "concurrency"})
"""Limits that a caller can know and keep."""


@dataclass(frozen=True)
class Judge:
    """A policy by a name."""

    name: str
    file: Path

    @property
    def plain(self) -> frozenset[str]:
        """Names of its rules that are plain limits."""
        return frozenset(one["name"] for one in rules(self.file) if one["kind"] in PLAIN_KINDS)


def rules(file: Path) -> list[dict[str, Any]]:
    """The rules of a policy file, as YAML has them."""
    return list(yaml.safe_load(file.read_text(encoding="utf-8")).get("rules") or [])


def baselines() -> list[Judge]:
    """Plain limits, and no datacenters."""
    return [Judge(file.stem, file) for file in sorted((HERE / "baselines").glob("*.yaml"))]


def families(file: Path) -> dict[str, set[str]]:
    """The rules of a policy by their family of evidence."""
    kinds = {
        one.kind: one.family for one in RULE_KINDS if isinstance(getattr(one, "family", 0), str)
    }
    found: dict[str, set[str]] = {}
    for one in rules(file):
        family = one.get("family") or kinds[one["kind"]]
        found.setdefault(family, set()).add(one["name"])
    return found


def ablations(file: Path, folder: Path) -> list[Judge]:
    """The policy less each family in turn, written into a folder."""
    found = []
    for family, names in sorted(families(file).items()):
        made = folder / f"{file.stem}-less-{family}.yaml"
        made.write_text(without(file.read_text(encoding="utf-8"), names), encoding="utf-8")
        found.append(Judge(f"less {family}", made))
    return found


def without(text: str, names: Iterable[str]) -> str:
    """The policy's text without these rules; the rest of it stays as it stands, line by line."""
    root, left_out = yaml.compose(text), frozenset(names)
    listed = next(value for key, value in root.value if key.value == "rules")
    kept, cut = [], set[int]()
    for rule in listed.value:
        name = next(value.value for key, value in rule.value if key.value == "name")
        if name in left_out:
            cut.update(range(rule.start_mark.line, rule.end_mark.line))
        else:
            kept.append(name)
    lines = [line for at, line in enumerate(text.splitlines(keepends=True)) if at not in cut]
    found = "".join(lines)
    return found if kept else found.replace("\nrules:\n", "\nrules: []\n", 1)
