"""The policies that judge can be loaded, and a family that is left out is left out whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.detection.policies import SHIPPED, Judge, ablations, baselines, families, without
from proxy.policy.load import load


@pytest.mark.parametrize("judge", baselines(), ids=lambda one: one.name)
def test_each_baseline_loads(judge: object) -> None:
    assert load(judge.file).rules  # type: ignore[attr-defined]


def test_plain_limits_are_known_by_their_kind() -> None:
    by_name = {one.name: one.plain for one in baselines()}
    assert by_name == {"plain-limits": {"a-minute", "a-day"}, "no-datacenters": set()}


def test_each_family_is_left_out_in_turn_and_the_rest_stays(tmp_path: Path) -> None:
    every = {one.name for one in load(SHIPPED).rules}
    found = families(SHIPPED)
    assert set.union(*found.values()) == every
    made = ablations(SHIPPED, tmp_path)
    assert [one.name for one in made] == [f"less {family}" for family in sorted(found)]
    for one, family in zip(made, sorted(found), strict=True):
        assert {rule.name for rule in load(one.file).rules if rule.mode != "shadow"} == {
            rule.name
            for rule in load(SHIPPED).rules
            if rule.name not in found[family] and rule.mode != "shadow"
        }


def test_rules_of_a_pack_only_watch_where_their_family_is_left_out(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "version: 1\ninclude: [library/campaigns.yaml]\n"
        "rules:\n  - {name: one, kind: rate_limit, per: api_key, limit: 1/minute, action: throttle}\n"
    )
    assert "campaigns.same-frame" in families(policy)["content"]
    by_name = {one.name: load(one.file).rules for one in ablations(policy, tmp_path)}
    watching = {rule.name for rule in by_name["less content"] if rule.mode == "shadow"}
    assert watching == families(policy)["content"]
    assert {rule.name for rule in by_name["less volume"]} == {
        rule.name for rule in load(policy).rules if rule.name != "one"
    }


def test_a_limit_of_a_campaign_is_none_that_a_caller_can_know(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("version: 1\ninclude: [library/campaigns.yaml]\nrules: []\n")
    assert Judge("p", policy).plain == set()


def test_a_policy_less_all_its_rules_has_none() -> None:
    rule = "  - name: one\n    kind: rate_limit\n    per: api_key\n    limit: 1/minute\n"
    text = f"version: 1\nrules:\n{rule}"
    assert without(text, {"one"}) == "version: 1\nrules: []\n"
