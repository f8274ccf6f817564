"""A suite loads, or names every mistake with its place and what was perhaps meant."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from proxy.policy.yamltree import read_tree
from proxy.scenarios.load import SuiteError
from proxy.scenarios.schema import suite_schema
from tests.scenarios.suites import loaded, written

SEND = "- send: {key: sk-a, prompt: hi}"


def one(step: str, more: str = "") -> str:
    """A suite of one step."""
    return f"policy: policy.yaml\n{more}tests:\n- name: a test\n  steps:\n  {step}\n"


def expecting(expect: str) -> str:
    return one(f"{SEND}\n    expect: {expect}")


BAD = {
    "empty": ("[]", "1:1: a suite holds named fields: `policy`, `tests`, …"),
    "no policy": ("tests: []\npolcy: x", "2:1: `polcy` is not known here (did you mean `policy`?)"),
    "no such policy": (
        one(f"{SEND}\n    expect: {{status: 200}}").replace("policy.yaml", "absent.yaml"),
        "1:9: `FOLDER/absent.yaml` cannot be read: No such file or directory",
    ),
    "no tests": ("policy: policy.yaml\ntests: []", "2:1: `tests` must hold a test at least"),
    "twice": ("policy: a\npolicy: b", "2:1: `policy` stands here twice; first in line 1"),
    "no value": (
        one("- send:\n    expect: {status: 200}"),
        "5:5: `send` has no value: give it one or leave it out",
    ),
    "nothing expected": (
        one(SEND),
        "3:3: a test expects something: give a step, or the test, an `expect`",
    ),
    "two in one": (
        one("- {wait: 1s, send: {prompt: hi}}"),
        "5:5: a step is one of `send`, `together` or `wait`",
    ),
    "lone expectation": (
        one(f"{SEND}\n  - expect: {{status: 200}}"),
        "6:5: `expect` stands in the step whose requests it is about",
    ),
    "waits only": (one("- wait: 1s"), "4:3: `steps` must send something"),
    "times with wait": (one("- {wait: 1s, times: 3}"), "5:16: `times` goes with `send`"),
    "one together": (
        one("- together: [{send: {prompt: hi}, expect: {status: 200}}]"),
        "5:5: `together` needs two bursts or more",
    ),
    "field of a request": (
        one("- send: {keys: sk-a}\n    expect: {status: 200}"),
        "5:12: `keys` is not known here (did you mean `key`?)",
    ),
    "placeholder": (
        one('- send: {prompt: "a {wrods:3}"}\n    expect: {status: 200}'),
        (
            "5:23: `wrods` is no placeholder; double the braces where it is meant as a text "
            "(did you mean `words`?)"
        ),
    ),
    "words without a count": (
        one('- send: {prompt: "{words}"}\n    expect: {status: 200}'),
        "5:21: a placeholder is `n`, `n%50`, `word`, `words:12` or `words:12%20`, in braces",
    ),
    "number as prompt": (
        one("- send: {prompt: 7}\n    expect: {status: 200}"),
        "5:20: `prompt` must be text; quote it if it looks like something else",
    ),
    "program": (
        one("- send: {client: crul}\n    expect: {status: 200}"),
        "5:20: `client` must be one of curl, go, node, openai-python, requests (did you mean `curl`?)",
    ),
    "account and key": (
        one("- send: {account: acme, key: sk-a}\n    expect: {status: 200}"),
        "5:27: `key` says who asks where no `account` does: name one of the two",
    ),
    "no such account": (
        one(
            "- send: {account: acmee}\n    expect: {status: 200}",
            "accounts: [{account: acme}]\n",
        ),
        "6:21: no account is called `acmee` in this suite (did you mean `acme`?)",
    ),
    "profile": (
        one(f"{SEND}\n    expect: {{status: 200}}", "accounts: [{account: a, profile: evil}]\n"),
        (
            "2:34: `profile` must be one of agent, batch, eval, gateway, multi_tenant, rag "
            "(did you mean `eval`?)"
        ),
    ),
    "network": (
        one(f"{SEND}\n    expect: {{status: 200}}", "networks: [{network: 10.0.0.1/8}]\n"),
        "2:22: `network` must be a network such as `10.0.0.0/8`",
    ),
    "no field for it": (
        one("- send: {to: /v1/embeddings, system: hi, prompt: hi}\n    expect: {status: 200}"),
        "5:32: `system` has no field in what is sent to `/v1/embeddings`: write it into `body`",
    ),
    "prompt in a raw body": (
        one('- send: {prompt: hi, body: "{}"}\n    expect: {status: 200}'),
        "5:12: `prompt` has no place in a body that is given as a text",
    ),
    "gap": (
        one(f"{SEND}\n    every: [3s, 2s]\n    expect: {{status: 200}}"),
        "6:17: `every` must name the shortest first, then the longest",
    ),
    "decision": (
        expecting("{decision: trottle}"),
        (
            "6:24: `decision` must be one of allow, log, delay, degrade, throttle, block, refused, passed "
            "(did you mean `throttle`?)"
        ),
    ),
    "which": (
        expecting("{which: lst, status: 200}"),
        (
            "6:21: `which` must be one of all, any, none, first, last, or a request's number from 1 "
            "(did you mean `last`?)"
        ),
    ),
    "two quantifiers": (
        expecting("{within: 3, which: any, status: 200}"),
        "6:14: `within` says anew what `which` has said",
    ),
    "says nothing": (
        expecting("{which: last}"),
        "6:13: `expect` says nothing of any request: name a `decision`, `findings`, `silent`, …",
    ),
    "bound": (
        expecting('{suspicion: "under 40"}'),
        (
            "6:25: `suspicion` must be a number or a bound such as "
            '`"< 40"`, `"<= 2s"`, `">= 90%"` or `"2 to 5"`'
        ),
    ),
    "degradation": (
        expecting("{degrade: hide_resoning}"),
        (
            "6:23: `degrade` must be one of strip_logprobs, drop_logit_bias, single_choice, "
            "hide_reasoning, cap_output_tokens, lower_reasoning_effort, pace, cut_after, with its number "
            "or without "
            "(did you mean `hide_reasoning`?)"
        ),
    ),
    "rule": (
        expecting("{rule: pase}"),
        "6:20: no rule of the policy is called `pase` (did you mean `pace`?)",
    ),
    "exemption": (
        expecting("[{exempted_by: freinds}]"),
        "6:28: no exemption of the policy is called `freinds` (did you mean `friends`?)",
    ),
    "uncovered": (
        one(f"{SEND}\n    expect: {{status: 200}}", "uncovered: {clod: because}\n"),
        "2:13: no rule of the policy is called `clod` (did you mean `cloud`?)",
    ),
    "name twice": (
        one(f"{SEND}\n    expect: {{status: 200}}")
        + "- name: a test\n  steps: [{send: {prompt: hi}, expect: {status: 200}}]\n",
        "7:9: test 1 has this name already",
    ),
    "start": (
        one(f"{SEND}\n    expect: {{status: 200}}") + "  start: soon\n",
        "7:10: `start` must be a day such as `2026-01-05`",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    text, expected = BAD[name]
    if name == "no policy" or "policy:" not in text:
        text = f"{text}\n# policy:"
    path = written(tmp_path, text)
    with pytest.raises(SuiteError) as found:
        loaded(tmp_path, text)
    told = [str(one).replace(str(path), "").removeprefix(":") for one in found.value.mistakes]
    assert expected.replace("FOLDER", str(tmp_path)) in told


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as found:
        loaded(tmp_path, one("- send: {keys: sk-a}\n    times: 0\n    expect: {decision: alow}"))
    assert len(found.value.mistakes) == 3


def test_mistakes_of_the_policy_are_told_at_the_policy(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as found:
        loaded(tmp_path, expecting("{status: 200}"), "version: 1\nrulez: []\n")
    assert str(found.value).startswith(f"{tmp_path / 'policy.yaml'}:2:1: `rulez` is not known here")


def test_one_expectation_needs_no_dash_and_keeps_its_place(tmp_path: Path) -> None:
    for expect in ("{decision: alow}", "[{decision: alow}]"):
        with pytest.raises(SuiteError) as found:
            loaded(tmp_path, expecting(expect))
        assert found.value.mistakes[0].column == 13 + expect.index("alow")


def test_accounts_may_stand_in_an_accounts_file(tmp_path: Path) -> None:
    file = "version: 1\naccounts: [{account: friend, tier: pro, keys: []}]\n"
    (tmp_path / "accounts.yaml").write_text(file, encoding="utf-8")
    text = one(
        "- send: {account: friend}\n    expect: {exempted_by: friends}",
        "accounts_file: accounts.yaml\naccounts: [{account: pool, many: 2}]\n",
    )
    accounts = loaded(tmp_path, text).accounts
    assert list(accounts) == ["friend", "pool", "pool-0", "pool-1"]
    assert accounts["friend"].tier == "pro"
    with pytest.raises(SuiteError) as found:
        loaded(tmp_path, text.replace("accounts.yaml", "nobody.yaml"))
    assert found.value.mistakes[0].line == 2


@pytest.mark.parametrize("name", BAD)
def test_the_schema_passes_over_no_mistake_of_shape(name: str, tmp_path: Path) -> None:
    """What only the loader tells names another file, or fields that do not go together."""
    text, expected = BAD[name]
    tree = read_tree(text, "suite.yaml")
    seen = (
        "is not known here",
        "must be one of",
        "must be text",
        "must be a number",
        "has no value",
    )
    if tree.mistakes or not any(words in expected for words in seen):
        pytest.skip("only the loader can tell")
    assert not jsonschema.Draft202012Validator(suite_schema()).is_valid(tree.data)


def test_the_shipped_schema_is_the_printed_one() -> None:
    shipped = Path(__file__).parents[2] / "policies" / "tests.schema.json"
    assert json.loads(shipped.read_text(encoding="utf-8")) == suite_schema()
    jsonschema.Draft202012Validator.check_schema(suite_schema())
