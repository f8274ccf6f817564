"""Mistakes in the files that a policy names stand where they are: in those files, by line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.policy.load import PolicyError, load

POLICY = """
version: 1
include: parts/limits.yaml
rules:
  - {name: thought, kind: reasoning_elicitation, per: account, score: 3, lexicon: words.yaml}
  - {name: relays, kind: client_fingerprint, per: account, score: 3, max_marked: 3, marks: marks.yaml}
  - {name: known, kind: listed, score: 3, file: lists/known.yaml}
"""
FILES = {
    "parts/limits.yaml": """
version: 1
rules:
  - {name: few, kind: rate_limit, per: acount, limit: 1/hour, action: throttle}
""",
    "words.yaml": """
version: 1
wrods: {}
categories:
  hidden:
    terms:
      - {weight: 3, langauge: en, language: en, any: [scratchpad]}
      - {weight: 3, language: en, any: [scratchpad, $thinkin]}
words: {thinking: [reasoning]}
""",
    "marks.yaml": """
version: 1
marks:
  - {name: a, source: b, paramters: [logprobs]}
""",
    "lists/known.yaml": """
version: 1
listed:
  - {acount: acme, because: they resell}
""",
}
EXPECTED = [
    "lists/known.yaml:4:5: an entry names one of",
    "lists/known.yaml:4:6: `acount` is not known here (did you mean `account`?)",
    "marks.yaml:4:26: `paramters` is no condition: there are",
    "parts/limits.yaml:4:40: `per` must be one of",
    "words.yaml:3:1: `wrods` is not known here (did you mean `words`?)",
    "words.yaml:7:21: `langauge` is not known here (did you mean `language`?)",
    "words.yaml:8:53: no list of `words` is called `thinkin` (did you mean `$thinking`?)",
]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    for name, text in {"policy.yaml": POLICY, **FILES}.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path / "policy.yaml"


def test_each_file_that_a_policy_names_tells_its_own_mistakes(policy: Path) -> None:
    with pytest.raises(PolicyError) as raised:
        load(policy)
    said = [str(one).removeprefix(f"{policy.parent}/") for one in raised.value.mistakes]
    assert len(said) == len(EXPECTED)
    assert [
        one for one, wanted in zip(said, EXPECTED, strict=True) if not one.startswith(wanted)
    ] == []


def test_check_shows_the_lines_and_counts_by_file(policy: Path) -> None:
    output = CliRunner().invoke(main, ["check", str(policy)]).output
    shown = "      - {weight: 3, langauge: en, language: en, any: [scratchpad]}"
    assert f"    {shown}\n    {' ' * 20}^\n" in output
    folder = policy.parent
    assert output.splitlines()[-1] == (
        f"{policy}: 7 mistakes, of them 2 in {folder}/lists/known.yaml, 1 in {folder}/marks.yaml, "
        f"1 in {folder}/parts/limits.yaml, 3 in {folder}/words.yaml"
    )


@pytest.mark.parametrize(
    "named", ["categories: [nuclear, biolgy]", "categories: biolgy", "max_share_of: {biolgy: 0.2}"]
)
def test_a_topic_that_no_lexicon_holds_is_a_mistake_of_who_names_it(
    tmp_path: Path, named: str
) -> None:
    file = tmp_path / "policy.yaml"
    rule = f"{{name: topics, kind: sensitive_topics, per: account, score: 3, {named}}}"
    file.write_text(f"version: 1\n\nrules:\n  - {rule}\n")
    with pytest.raises(PolicyError) as raised:
        load(file)
    (mistake,) = raised.value.mistakes
    assert mistake.file == str(file)
    line = file.read_text().splitlines()[mistake.line - 1]
    assert line[mistake.column - 1 :].startswith("biolgy")
    assert mistake.message == "`biolgy` is no category of `library/lexicons/topics.yaml`"
    assert mistake.suggestion == "`biology`"
