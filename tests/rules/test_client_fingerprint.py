"""client_fingerprint: pretended programs and known relays are found, a balancer's customers are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.facts import Facts, Signals
from proxy.policy.load import PolicyError, parse
from proxy.policy.yamltree import read_tree
from proxy.rules.client_fingerprint import ClientFingerprint
from tests.policy.facts import facts
from tests.rules.judged import judged

RELAYS = Path(__file__).parents[2] / "policies/library/marks/relays.yaml"


def rule(**fields: Any) -> ClientFingerprint:
    made = ClientFingerprint.model_validate(
        {"name": "pretended", "per": "account", "score": 25, **fields}
    )
    for _, path in made.data_files():
        data = read_tree(RELAYS.read_text(encoding="utf-8"), path).data
        made = made.with_data(path, data, lambda *mistake, **_: pytest.fail(str(mistake)))
    return made


MARKED = {"marks": "library/marks/relays.yaml", "max_marked": 3}


def shown(contradictions: tuple[str, ...] = (), *marks: str) -> Facts:
    found = (("relays", marks),) if marks else ()
    return replace(facts(), signals=Signals(contradictions=contradictions, marks=found))


def mixed(share: float, count: int = 200) -> Iterator[tuple[float, Facts]]:
    """So many of a caller's requests with a contradiction, evenly."""
    for number in range(count):
        contradicted = int((number + 1) * share) > int(number * share)
        yield number * 10.0, shown(("headers",) if contradicted else ())


async def test_who_contradicts_himself_most_of_the_time_is_found() -> None:
    found = await judged(rule(), mixed(0.8))
    assert not any(found[:49]), "fifty requests are looked at before anything is said"
    last = [one for one in found if one is not None][-1]
    assert last.reason == "client_contradicts_itself"
    assert last.evidence["contradictions"] == "headers"
    assert last.evidence["contradicted"] > 0.7 * last.evidence["requests"]  # type: ignore[operator]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.45])
async def test_who_does_so_now_and_then_is_not(share: float) -> None:
    assert not any(await judged(rule(), mixed(share)))


async def test_the_marks_of_a_relay_are_counted_and_named() -> None:
    marked = [(float(at), shown((), "one-api-probe", "one-api")) for at in range(6)]
    found = await judged(rule(**MARKED), marked)
    assert [one is not None for one in found] == [False] * 3 + [True] * 3
    last = found[-1]
    assert last is not None
    assert (last.reason, last.evidence["marks"]) == ("relay_marked", "one-api-probe,one-api")


async def test_a_request_that_shows_nothing_is_never_found() -> None:
    traffic = [(float(at), shown((), "one-api")) for at in range(10)] + [(11.0, shown())]
    assert (await judged(rule(**MARKED), traffic))[-1] is None


def test_what_goes_together_is_asked_for_together() -> None:
    for fields in ({"marks": "library/marks/relays.yaml"}, {"max_marked": 3}):
        with pytest.raises(ValidationError, match="go together"):
            ClientFingerprint.model_validate({"name": "a", "per": "account", "score": 1, **fields})
    with pytest.raises(ValidationError, match="needs `max_contradicted`"):
        rule(max_contradicted=None)


POLICY = """version: 1
rules:
  - name: relays
    kind: client_fingerprint
    per: account
    marks: {file}
    max_marked: 3
    score: 10
"""


def test_a_policy_reads_its_table_and_tells_where_a_mistake_stands() -> None:
    bad = "version: 1\nmarks:\n  - name: a\n    source: here\n    user_agnt: [x]\n"

    def read(name: str) -> tuple[str, str]:
        return f"folder/{name}", RELAYS.read_text(encoding="utf-8") if name == "good" else bad

    policy = parse(POLICY.format(file="good"), "p.yaml", read)
    assert [table.name for table in policy.wants.requests] == ["good"]
    assert policy.files == ("folder/good",), "a change of it reloads the policy"
    with pytest.raises(PolicyError) as caught:
        parse(POLICY.format(file="marks.yaml"), "p.yaml", read)
    assert "folder/marks.yaml:5:5: `user_agnt` is no condition" in str(caught.value)


@pytest.mark.parametrize("file", ["../outside.yaml", "/etc/marks.yaml"])
def test_a_table_stands_under_the_policys_folder(file: str) -> None:
    with pytest.raises(PolicyError, match=r"p\.yaml:6:12: .*stands under the policy's own folder"):
        parse(POLICY.format(file=file), "p.yaml", lambda _: ("", ""))


def test_a_table_that_is_not_there_is_told_at_its_place() -> None:
    with pytest.raises(PolicyError, match=r"p\.yaml:6:12: `gone\.yaml` cannot be read"):
        parse(POLICY.format(file="gone.yaml"), "p.yaml")
