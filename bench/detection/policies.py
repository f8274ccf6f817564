"""The policies that judge: the shipped one, baselines, and the shipped one less a family of evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from proxy.policy.load import load

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
        """Names of its rules that are plain limits: nobody knows which campaign he is told to be of."""
        return frozenset(
            one.name
            for one in load(self.file).rules
            if one.kind in PLAIN_KINDS and "campaign" not in one.per
        )


def baselines() -> list[Judge]:
    """Plain limits, and no datacenters."""
    return [Judge(file.stem, file) for file in sorted((HERE / "baselines").glob("*.yaml"))]


def families(file: Path) -> dict[str, set[str]]:
    """The rules of a policy, included ones too, by their family of evidence."""
    found: dict[str, set[str]] = {}
    for one in load(file).rules:
        found.setdefault(one.family, set()).add(one.name)
    return found


def ablations(file: Path, folder: Path) -> list[Judge]:
    """
    The policy less each family in turn, written into a folder. Rules of an included file cannot be left
    out: they watch, and what only watches ties nobody.
    """
    found = []
    text = file.read_text(encoding="utf-8")
    own = {one["name"] for one in yaml.safe_load(text).get("rules") or []}
    for family, names in sorted(families(file).items()):
        made = folder / f"{file.stem}-less-{family}.yaml"
        watching = {name: {"mode": "shadow"} for name in sorted(names - own)}
        more = f"\n{yaml.safe_dump({'override': watching})}" if watching else ""
        made.write_text(without(text, names & own) + more, encoding="utf-8")
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
            # What is written in braces ends on a line of its own, the rest where the next thing begins.
            cut.update(range(rule.start_mark.line, rule.end_mark.line + rule.flow_style))
        else:
            kept.append(name)
    lines = [line for at, line in enumerate(text.splitlines(keepends=True)) if at not in cut]
    found = "".join(lines)
    return found if kept else found.replace("\nrules:\n", "\nrules: []\n", 1)
