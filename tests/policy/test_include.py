"""include and override: rules out of other files keep their file's name, and can be patched here."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.decision import Verb
from proxy.policy.load import PolicyError, load, parse

GOOD = Path(__file__).parent / "good" / "include.yaml"


def test_included_rules_are_named_after_their_files_and_patched() -> None:
    rules = {rule.name: rule for rule in load(GOOD).rules}
    assert list(rules) == ["relays.marks", "limits.inner.deep", "limits.plain", "own"]
    assert (rules["relays.marks"].mode, rules["limits.plain"].mode) == ("shadow", "enforce")
    assert rules["limits.inner.deep"].does.verb is Verb.LOG
    assert [Path(file).name for file in load(GOOD).files] == [
        "relays.yaml",
        "limits.yaml",
        "inner.yaml",
    ]


def test_the_digest_follows_what_is_included(tmp_path: Path) -> None:
    main, part = tmp_path / "main.yaml", tmp_path / "part.yaml"
    main.write_text("version: 1\ninclude: part.yaml\n")
    part.write_text("version: 1\n")
    before = load(main).digest
    part.write_text("version: 1\nrules: []\n")
    assert load(main).digest != before


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text("version: 1\n")
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "main.yaml").write_text("version: 1\ninclude: link.yaml\n")
    with pytest.raises(PolicyError, match="it leads out of the policy's folder"):
        load(folder / "main.yaml")


def test_a_folder_that_is_itself_a_link_works(tmp_path: Path) -> None:
    real = tmp_path / "..data"
    real.mkdir()
    (real / "part.yaml").write_text(
        "version: 1\nrules: [{name: a, kind: rate_limit, per: account, limit: 1/hour, action: log}]\n"
    )
    (real / "main.yaml").write_text("version: 1\ninclude: part.yaml\n")
    linked = tmp_path / "mounted"
    linked.symlink_to(real)
    assert [rule.name for rule in load(linked / "main.yaml").rules] == ["part.a"]


def test_the_library_is_at_hand_wherever_a_policy_stands(tmp_path: Path) -> None:
    main = tmp_path / "main.yaml"
    main.write_text("version: 1\ninclude: library/anonymous-networks.yaml\n")
    names = [rule.name for rule in load(main).rules]
    assert "anonymous-networks.tor" in names
    # One's own file of that name goes first.
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "anonymous-networks.yaml").write_text("version: 1\n")
    assert load(main).rules == ()


def test_a_policy_without_a_folder_includes_nothing() -> None:
    with pytest.raises(PolicyError, match="includes nothing"):
        parse("version: 1\ninclude: a.yaml\n", "text")


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text("version: 1\nrules: [{name: a}]\n")
    (tmp_path / "main.yaml").write_text("version: 1\ninclude: part.yaml\nmoed: shadow\n")
    with pytest.raises(PolicyError) as raised:
        load(tmp_path / "main.yaml")
    assert {Path(mistake.file).name for mistake in raised.value.mistakes} == {
        "main.yaml",
        "part.yaml",
    }
