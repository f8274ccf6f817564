"""Results as JUnit's XML, which continuous integration shows as tests. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final
from xml.etree import ElementTree as Xml

from proxy.scenarios.coverage import Coverage
from proxy.scenarios.load import LoadedSuite
from proxy.scenarios.run import Failure, Outcome

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def junit(
    run: Sequence[tuple[LoadedSuite, Sequence[Outcome]]],
    covered: Sequence[Coverage],
    tell: Callable[[Failure], str],
) -> bytes:
    """The file; `tell` makes the text of a failure."""
    root = Xml.Element("testsuites", name="excise test")
    _count(root, [one for _, outcomes in run for one in outcomes])
    for loaded, outcomes in run:
        suite = Xml.SubElement(root, "testsuite", name=str(loaded.path))
        _count(suite, outcomes)
        properties = Xml.SubElement(suite, "properties")
        _property(properties, "policy", str(loaded.policy_path))
        for one in covered:
            if one.policy.resolve() == loaded.policy_path.resolve():
                _property(properties, "rules covered", f"{len(one.covered)} of {len(one.asked)}")
        for outcome in outcomes:
            _case(suite, loaded, outcome, tell)
    Xml.indent(root)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _count(element: Xml.Element, outcomes: Sequence[Outcome]) -> None:
    failed = sum(not one.passed for one in outcomes)
    element.set("tests", str(len(outcomes)))
    element.set("failures", str(failed))
    element.set("errors", "0")
    element.set("skipped", "0")
    element.set("time", f"{sum(one.seconds for one in outcomes):.3f}")


def _property(properties: Xml.Element, name: str, value: str) -> None:
    Xml.SubElement(properties, "property", name=name, value=_clean(value))


def _case(
    suite: Xml.Element, loaded: LoadedSuite, outcome: Outcome, tell: Callable[[Failure], str]
) -> None:
    case = Xml.SubElement(
        suite,
        "testcase",
        name=_clean(outcome.test.name),
        classname=loaded.path.stem,
        file=str(loaded.path),
        line=str(outcome.line),
        time=f"{outcome.seconds:.3f}",
    )
    if outcome.failures:
        first, more = outcome.failures[0], len(outcome.failures) - 1
        message = f"{first.where}: {first.expected}" + (f" (and {more} more)" if more else "")
        failure = Xml.SubElement(case, "failure", type="expectation", message=_clean(message))
        failure.text = _clean("\n\n".join(map(tell, outcome.failures)))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
