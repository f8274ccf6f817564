"""
Two policies that ship nowhere, for measuring: one is `default.yaml` and a rule of each kind that it lacks,
out of the library and `strict.yaml`; the other has all packs of the library besides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.policy.load import load
from proxy.policy.model import Policy
from proxy.policy.shipped import shipped
from proxy.policy.yamltree import read_tree
from proxy.rules import RULE_KINDS

LIST = "listed.json"
OWN: tuple[dict[str, Any], ...] = (
    {
        "name": "on-a-list",
        "kind": "listed",
        "file": LIST,
        "action": "block",
    },
    {
        "name": "probing",
        "kind": "expression",
        "per": "account",
        "readings": {
            "all": {"window": "1h"},
            "probing": {"window": "1h", "when": "ask.logprobs"},
        },
        "expr": "readings.all >= 50 && double(readings.probing) / double(readings.all) > 0.5",
        "score": 20,
    },
)
"""Of the kinds that no shipped policy has: those of their pages."""


def everything(folder: Path) -> Policy:
    """Every kind of rule is on."""
    rules = list(_rules(shipped("default.yaml")))
    known = {rule["kind"] for rule in rules}
    for path in (*_packs(), shipped("strict.yaml")):
        for rule in _rules(path):
            if rule["kind"] not in known:
                known.add(rule["kind"])
                rules.append(rule)
    return _made(folder / "everything.json", {"rules": [*rules, *OWN]})


def every_pack(folder: Path) -> Policy:
    """Every kind, and every pack of the library besides."""
    rules = list(_rules(shipped("default.yaml")))
    known = {rule["kind"] for path in _packs() for rule in _rules(path)}
    known |= {rule["kind"] for rule in rules}
    rules += [rule for rule in _rules(shipped("strict.yaml")) if rule["kind"] not in known]
    packs = [f"library/{path.name}" for path in _packs()]
    return _made(folder / "every-pack.json", {"include": packs, "rules": [*rules, *OWN]})


def _packs() -> list[Path]:
    return sorted(shipped("library").glob("*.yaml"))


def _tree(path: Path) -> dict[str, Any]:
    data = read_tree(path.read_text(encoding="utf-8"), str(path)).data
    assert isinstance(data, dict)
    return data


def _rules(path: Path) -> Iterator[dict[str, Any]]:
    yield from _tree(path)["rules"]


def _made(path: Path, added: dict[str, Any]) -> Policy:
    """`default.yaml` with other rules, read as any policy is; it has every kind, or this fails."""
    listed = {"version": 1, "listed": [{"account": ["nobody"], "because": "it is measured"}]}
    (path.parent / LIST).write_text(json.dumps(listed), encoding="utf-8")
    path.write_text(json.dumps(_tree(shipped("default.yaml")) | added), encoding="utf-8")
    policy = load(path)
    missing = {kind.kind for kind in RULE_KINDS} - {rule.kind for rule in policy.rules}
    assert not missing, missing
    return policy
