"""`excise accounts`: tables become accounts files, never with a plain key; mistakes have their places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.client.accounts import load_accounts

SECRET = "s" * 32
CSV = (
    "account,tier,profile,since,networks,keys\r\n"
    'acme,pro,rag,2025-06-01,"203.0.113.0/24, 2001:db8::/32",key_pj4e2mqx7k3t5w6a\r\n'
    "\r\n"
    "acme,pro,,,,key_aaaaaaaaaaaaaaaa key_bbbbbbbbbbbbbbbb\r\n"
    "yes,free\r\n"
    '"12",\r\n'
)
JSON = """[
\t{"account": "acme", "tier": "pro", "profile": "rag", "since": "2025-06-01",
\t "networks": ["203.0.113.0/24", "2001:db8::/32"], "keys": ["key_pj4e2mqx7k3t5w6a"]},
\t{"account": "acme", "keys": ["key_aaaaaaaaaaaaaaaa", "key_bbbbbbbbbbbbbbbb"], "tier": null},
\t{"account": "yes", "tier": "free"},
\t{"account": "12"}
]"""
YAML = """version: 1
accounts:
  - account: acme
    tier: pro
    profile: rag
    since: 2025-06-01
    networks: ["203.0.113.0/24", "2001:db8::/32"]
    keys: [key_pj4e2mqx7k3t5w6a, key_aaaaaaaaaaaaaaaa, key_bbbbbbbbbbbbbbbb]
  - account: "yes"
    tier: free
  - account: "12"
"""


def run(*arguments: object, given: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["accounts", *map(str, arguments)], input=given)


@pytest.mark.parametrize(
    "text", [CSV, "\ufeff" + CSV, JSON, f'{{"version": 1, "accounts": {JSON}}}', CSV[:-2]]
)
def test_tables_become_accounts_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "table").write_text(text, encoding="utf-8", newline="")
    file = tmp_path / "accounts.yaml"
    result = run("import", tmp_path / "table", "-o", file)
    assert (result.exit_code, result.output) == (0, "")
    assert file.read_text() == YAML
    assert load_accounts(file).count == 3
    again = run("import", tmp_path / "table", "-o", file)
    assert again.exit_code == 2
    assert "nothing is overwritten" in again.output


@pytest.mark.parametrize(
    "text",
    [
        "account,key\nacme,sk-first\nbeta,sk-third\nacme,sk-second\n",
        '[{"account": "acme", "key": ["sk-first", "sk-second"]}, {"account": "beta", "key": "sk-third"}]',
    ],
)
def test_plain_keys_come_from_standard_input_and_go_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXCISE_SECRET", SECRET)
    result = run("import", "-", given=text)
    assert result.exit_code == 0
    hashed = CliRunner().invoke(main, ["key-id"], input="sk-first\nsk-second\nsk-third\n")
    first, second, third = hashed.output.split()
    assert result.output == (
        f"version: 1\naccounts:\n  - account: acme\n    keys: [{first}, {second}]\n"
        f"  - account: beta\n    keys: [{third}]\n"
    )
    (tmp_path / "table").write_text(text)
    of_file = run("import", "table")
    assert of_file.exit_code == 1
    assert "plain keys are read from standard input alone" in of_file.output
    monkeypatch.delenv("EXCISE_SECRET")
    without = run("import", "-", given=text)
    assert without.exit_code == 1
    assert "set EXCISE_SECRET" in without.output
    assert "sk-" not in of_file.output + without.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acount,tier\nacme,pro\n", "1:1: `acount` is no column that is known here (did you mean"),
        ("account,tier,tier\nacme,pro,pro\n", "1:14: `tier` stands here twice"),
        ("account,tier\nacme,pro,more\n", "2:10: there are more cells here than columns"),
        ("account,tier\n,pro\n", "2:1: `account` is required"),
        ("account,tier\nacme,pro\nacme,free\n", "3:6: `tier` is another one than in line 2"),
        ('account,tier\n"a\nb",pro\n', "2:1: `account` must be a word of printable ASCII"),
        ('account,tier\n"a"b,pro\n', "2:4: a quote encloses a whole cell, or none"),
        ('account,tier\n"a,pro\n', "2:1: a quote encloses a whole cell, or none"),
        ("account,profile\nacme,ragg\n", "2:6: `profile` must be one of agent, batch"),
        ("account,since\nacme,June\n", "2:6: `since` must be a day such as `2025-06-01`"),
        ("account,networks\nacme,10.0.0.1/8\n", "2:6: must be a network such as `10.0.0.0/8`"),
        ("account,keys\nacme,sk-live-1\n", "2:6: must be a key id (`key_…`), never the key itself"),
        (
            "account,keys\na,key_aaaaaaaaaaaaaaaa\nb,key_aaaaaaaaaaaaaaaa\n",
            "3:3: this key belongs to `a` already",
        ),
        ("", "1:1: the first line names columns: account, tier"),
        ('[{"account": "a", "teir": "b"}]', "1:19: `teir` is not known here (did you mean `tier`?)"),
        ('[{"account": "a", "tier": 5}]', "1:27: `tier` must be a word of printable ASCII"),
        ('[{"tier": "b"}]', "1:2: `account` is required"),
        ("[5]", "1:2: an account holds named fields"),
        ('{"accounts": 5}', "1:1: a list of accounts, or `accounts` with one, is expected"),
        ("[", "1:2: not YAML"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "table").write_text(text)
    result = run("import", tmp_path / "table")
    assert result.exit_code == 1
    assert f"{tmp_path}/table:{said}" in result.output
    assert "sk-" not in result.output
    assert "Traceback" not in result.output


def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    assert run("import", tmp_path / "absent").exit_code == 2
    (tmp_path / "latin").write_bytes(b"account\n\xe4\n")
    assert run("import", tmp_path / "latin").exit_code == 2


def test_more_than_a_file_may_hold_is_not_written(tmp_path: Path) -> None:
    rows = "".join(f"a{number},pro\n" for number in range(20_000))
    (tmp_path / "table").write_text(f"account,tier\n{rows}")
    result = run("import", tmp_path / "table")
    assert result.exit_code == 1
    assert "larger than 50000 values" in result.output


def test_accounts_are_listed_for_people_and_programs(tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text(YAML)
    lines = run("list", file).output.splitlines()
    assert lines[0].split() == ["account", "tier", "profile", "since", "networks", "keys"]
    assert lines[-1].split() == ["12", "-", "-", "-", "-", "0"]
    told = [json.loads(line) for line in run("list", "--json", file).output.splitlines()]
    assert told[0] == {
        "account": "acme",
        "tier": "pro",
        "profile": "rag",
        "since": "2025-06-01",
        "networks": ["203.0.113.0/24", "2001:db8::/32"],
        "keys": ["key_pj4e2mqx7k3t5w6a", "key_aaaaaaaaaaaaaaaa", "key_bbbbbbbbbbbbbbbb"],
    }
    file.write_text(YAML.replace("tier: pro", "teir: pro"))
    result = run("list", file)
    assert result.exit_code == 1
    assert f"{file}:4:5: `teir` is not known here (did you mean `tier`?)" in result.output
