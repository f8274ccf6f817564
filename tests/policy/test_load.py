"""Good policies load; bad ones name every mistake, its place, and what was perhaps meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.policy.load import PolicyError, load, parse

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
SHIPPED = [
    file
    for file in sorted((HERE.parent.parent / "policies").rglob("*.yaml"))
    if "\nrules:" in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("file", GOOD + SHIPPED, ids=lambda file: file.stem)
def test_a_good_policy_loads(file: Path) -> None:
    policy = load(file)
    assert policy.digest.startswith("sha256:")
    assert len(policy.digest) == 71


def expected(file: Path) -> list[str]:
    """What the loader should say: `12:5 message` in the file itself, `other.yaml:12:5: message` elsewhere.

    `[...]` stands for a long list of words that grows.
    """
    lines = file.read_text(encoding="utf-8").splitlines()
    says = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    return [f"{file}:{one.replace(' ', ': ', 1)}" if one[0].isdigit() else one for one in says]


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_policy_says_exactly_what_is_wrong_and_where(file: Path) -> None:
    with pytest.raises(PolicyError) as raised:
        load(file)
    said = [str(mistake) for mistake in raised.value.mistakes]
    wanted = expected(file)
    assert len(said) == len(wanted) > 0, said
    for line, want in zip(said, wanted, strict=True):
        pattern = re.escape(want).replace(re.escape("[...]"), r"[\w., ]+")
        assert re.fullmatch(rf"(?:{re.escape(str(HERE))}/bad/)?{pattern}", line), said


def test_the_corpus_is_large_enough() -> None:
    assert len(BAD) >= 60
    assert len(GOOD) >= 8


@pytest.mark.parametrize(
    "text",
    ["- x\n" * 50_001, "[" + "x," * 50_000 + "]", "".join(f"k{n}: 1\n" for n in range(50_001))],
    ids=["a list", "a line", "a mapping"],
)
def test_a_large_file_is_put_down_at_the_bound_and_not_read_to_its_end(text: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse(text + "]" * 1000, "p.yaml")  # what stands behind the bound is no YAML
    (mistake,) = raised.value.mistakes
    assert mistake.message == "larger than 50000 values"


def test_deep_nesting_is_put_down_at_the_bound_and_not_read_to_its_end() -> None:
    with pytest.raises(PolicyError) as raised:
        parse("a: " + "[" * 500_000, "p.yaml")
    (mistake,) = raised.value.mistakes
    assert (mistake.line, mistake.column) == (1, 36)
    assert mistake.message == "nested deeper than 32 levels"


def test_twenty_mistakes_are_told_at_once() -> None:
    rules = "".join(
        f"  - {{name: r{number}, kind: rate_limit, per: nobody, limit: xx, action: zz}}\n"
        for number in range(10)
    )
    with pytest.raises(PolicyError) as raised:
        parse(f"version: 1\nmoed: x\nrules:\n{rules}", "p.yaml")
    mistakes = raised.value.mistakes
    assert len(mistakes) == 31
    assert list(mistakes) == sorted(mistakes)


def test_an_unreadable_file_is_a_mistake_too(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"version: 1 # \xe4")
    with pytest.raises(PolicyError, match="not UTF-8"):
        load(tmp_path / "latin.yaml")


def test_the_digest_follows_the_content() -> None:
    first, second = parse("version: 1\n", "a"), parse("version: 1\nmode: shadow\n", "a")
    assert first.digest != second.digest
    assert first.digest == parse("version: 1\n", "b").digest
