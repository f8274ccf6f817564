"""`excise test`: exit codes, what is printed, -k, coverage's threshold and JUnit."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from proxy.cli import main
from tests.scenarios.suites import written

GOOD = """
tests:
  - name: three pass
    steps: [{send: {key: sk-a}, times: 3, every: 0, expect: {silent: all}}]
  - name: the fourth waits
    steps: [{send: {key: sk-a}, times: 4, every: 0, expect: {which: last, rule: pace}}]
"""
BAD = (
    GOOD
    + """
  - name: "the fifth passes, \\x07 it is said"
    steps: [{send: {key: sk-a}, times: 5, every: 0, expect: {which: last, decision: allow}}]
"""
)


def excise(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["test", *map(str, arguments)])
    return result.exit_code, result.output


def test_all_pass(tmp_path: Path) -> None:
    code, said = excise(written(tmp_path, GOOD))
    assert code == 0
    assert said.splitlines() == [
        f"{tmp_path}/suite.yaml: 2 passed",
        "2 passed, 0 failed, 7 requests; 1 of 3 rules covered",
    ]


def test_one_fails_with_its_place_and_trace(tmp_path: Path) -> None:
    code, said = excise(written(tmp_path, BAD))
    assert code == 1
    assert f"FAILED  {tmp_path}/suite.yaml:9: the fifth passes" in said
    assert "expected of the last request: decision allow" in said
    assert "found true of 0 of 1 requests: 1 throttle by pace" in said
    assert "by pace (rate_limit): rate_exceeded" in said
    assert "\x07" not in said


def test_a_suite_that_cannot_be_read_is_no_failure_and_nothing_runs(tmp_path: Path) -> None:
    good = written(tmp_path, GOOD)
    bad = tmp_path / "wrong.yaml"
    bad.write_text("policy: policy.yaml\ntets: []\n", encoding="utf-8")
    code, said = excise(tmp_path / "suite.yaml", bad)
    assert code == 2
    assert f"{bad}:2:1: `tets` is not known here (did you mean `tests`?)" in said
    assert "passed" not in said
    assert excise(good.parent / "nowhere")[0] == 2


def test_words_choose_tests_by_name_or_file(tmp_path: Path) -> None:
    path = written(tmp_path, BAD)
    assert excise(path, "-k", "Fourth")[1].endswith(
        "1 passed, 0 failed, 4 requests; 0 of 3 rules covered\n"
    )
    assert excise(path, "-k", "suite.yaml", "-v")[0] == 1
    code, said = excise(path, "-k", "nobody")
    assert code == 2
    assert "no test holds the words `nobody`" in said


@pytest.mark.parametrize(("percent", "code"), [("33", 0), ("34", 1), ("0", 0)])
def test_coverage_has_a_threshold_and_says_what_is_missing(
    percent: str, code: int, tmp_path: Path
) -> None:
    found, said = excise(written(tmp_path, GOOD), "--fail-under", percent)
    assert found == code
    if code:
        assert "  - cloud: no test needs it to fire" in said
        assert f"coverage below 34 %: {tmp_path}/policy.yaml" in said


def test_a_threshold_that_nothing_is_below_is_refused(tmp_path: Path) -> None:
    code, said = excise(written(tmp_path, BAD), "--fail-under", "nan")
    assert code == 2
    assert "'nan' is not a number" in said


def test_verbose_names_each_test_and_each_rule(tmp_path: Path) -> None:
    lines = excise(written(tmp_path, GOOD), "-v")[1].splitlines()
    assert "  passed  three pass" in lines
    assert "  + pace" in lines


def test_junit_holds_what_continuous_integration_shows(tmp_path: Path) -> None:
    file = tmp_path / "results.xml"
    excise(written(tmp_path, BAD), "--junit", file)
    root = ElementTree.parse(file).getroot()
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "0")
    (suite,) = root
    assert suite.get("name") == str(tmp_path / "suite.yaml")
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties == {"policy": str(tmp_path / "policy.yaml"), "rules covered": "1 of 3"}
    first, _, third = suite.iter("testcase")
    assert (first.get("name"), first.get("classname"), first.get("line")) == (
        "three pass",
        "suite",
        "4",
    )
    assert list(first) == []
    (failure,) = third
    assert third.get("name") == "the fifth passes, \ufffd it is said"
    assert failure.get("message") == "step 1: the last request: decision allow"
    assert "by pace (rate_limit): rate_exceeded" in (failure.text or "")
    assert excise(written(tmp_path, GOOD), "--junit", tmp_path / "no" / "folder.xml")[0] == 1


def test_check_knows_a_suite_from_a_policy(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert f"{path}: OK, 2 tests" in result.output
    path.write_text("policy: policy.yaml\ntests: [{name: a, stps: []}]\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 1
    assert "`stps` is not known here (did you mean `steps`?)" in result.output
