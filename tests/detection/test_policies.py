"""The policies that judge can be loaded, and a family that is left out is left out whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.detection.policies import SHIPPED, ablations, baselines, families, rules, without
from proxy.policy.load import load


@pytest.mark.parametrize("judge", baselines(), ids=lambda one: one.name)
def test_each_baseline_loads(judge: object) -> None:
    assert load(judge.file).rules  # type: ignore[attr-defined]


def test_plain_limits_are_known_by_their_kind() -> None:
    by_name = {one.name: one.plain for one in baselines()}
    assert by_name == {"plain-limits": {"a-minute", "a-day"}, "no-datacenters": set()}


def test_each_family_is_left_out_in_turn_and_the_rest_stays(tmp_path: Path) -> None:
    every = {one["name"] for one in rules(SHIPPED)}
    found = families(SHIPPED)
    assert set.union(*found.values()) == every
    made = ablations(SHIPPED, tmp_path)
    assert [one.name for one in made] == [f"less {family}" for family in sorted(found)]
    for one, family in zip(made, sorted(found), strict=True):
        assert {rule["name"] for rule in rules(one.file)} == every - found[family]
        assert {rule.name for rule in load(one.file).rules} == every - found[family]


def test_a_policy_less_all_its_rules_has_none() -> None:
    rule = "  - name: one\n    kind: rate_limit\n    per: api_key\n    limit: 1/minute\n"
    text = f"version: 1\nrules:\n{rule}"
    assert without(text, {"one"}) == "version: 1\nrules: []\n"
