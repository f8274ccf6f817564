"""Every shipped policy does what its suite says, and every rule of it is shown both ways."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from proxy.cli.drawn import drawn
from proxy.policy.yamltree import read_tree
from proxy.scenarios.coverage import coverage_of
from proxy.scenarios.load import load_suite
from proxy.scenarios.run import run
from proxy.scenarios.schema import suite_schema

POLICIES = Path(__file__).parents[2] / "policies"
SUITES = sorted((POLICIES / "tests").rglob("*.yaml"))
SHIPPED = [*sorted(POLICIES.glob("*.yaml")), *sorted((POLICIES / "library").glob("*.yaml"))]


def name(path: Path) -> str:
    return str(path.relative_to(POLICIES))


@pytest.mark.parametrize("path", SUITES, ids=name)
def test_the_suite_passes_and_covers_every_rule(path: Path) -> None:
    suite = load_suite(path)
    outcomes = list(run(suite))
    for outcome in outcomes:
        for failure in outcome.failures:
            tree = "\n".join(drawn(failure.told)) if failure.told is not None else ""
            pytest.fail(f"{outcome.test.name}: {failure.expected}\n{failure.found}\n{tree}")
    (covered,) = coverage_of([(suite, outcomes)])
    missing = {rule: covered.lacks(rule) for rule in covered.asked if rule not in covered.covered}
    assert missing == {}


def test_every_shipped_policy_has_its_suite_beside_it() -> None:
    judged = {load_suite(path).policy_path.resolve() for path in SUITES}
    assert judged == set(SHIPPED)
    assert {POLICIES / "tests" / path.relative_to(POLICIES) for path in SHIPPED} == set(SUITES)


def test_rules_that_no_test_covers_are_few() -> None:
    left_out = [rule for path in SUITES for rule in load_suite(path).suite.uncovered]
    assert left_out == ["around-the-clock", "around-the-clock"]


@pytest.mark.parametrize("path", SUITES, ids=name)
def test_what_loads_is_sound_by_the_schema(path: Path) -> None:
    jsonschema.validate(read_tree(path.read_text(encoding="utf-8"), path.name).data, suite_schema())


@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        ("limit: 600/minute\n    burst: 60", "limit: 6000/minute\n    burst: 600"),
        ("excuse: [gateway]", "excuse: [batch]"),
        ("max_distinct_ratio: 0.9", "max_distinct_ratio: 0.01"),
        ("min_requests: 50\n", "min_requests: 5000\n"),
        ("max_bias_maps: 60", "max_bias_maps: 6"),
        ("{at: 65, action: {degrade", "{at: 650, action: {degrade"),
        ("kinds: [hosting, tor, vpn]", "kinds: [hosting, tor]"),
    ],
)
def test_a_change_of_the_default_policy_does_not_go_unnoticed(
    change: str, becomes: str, tmp_path: Path
) -> None:
    text = (POLICIES / "default.yaml").read_text(encoding="utf-8")
    assert change in text
    (tmp_path / "default.yaml").write_text(text.replace(change, becomes), encoding="utf-8")
    (tmp_path / "tests").mkdir()
    suite = tmp_path / "tests" / "default.yaml"
    suite.write_text(
        (POLICIES / "tests/default.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    assert not all(outcome.passed for outcome in run(load_suite(suite)))
