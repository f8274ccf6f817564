"""Every population that docs/detection.md names is in both halves, and the halves share nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.detection.scenario import Population, ScenarioError, load_scenario
from tests.detection.conftest import HALVES, SCENARIOS, scenario

WANTED = {
    "one loud key": ("loud_key", {}),
    "50 accounts round-robin": ("round_robin", {"accounts": 50}),
    "a hydra behind homes": ("hydra", {"network": "isp"}),
    "a hydra behind datacenters": ("hydra", {"network": "hosting"}),
    **{
        f"a {program} relay, {share:.0%} harvest": ("relay", {"program": program, "harvest": share})
        for program in ("one-api", "new-api", "sub2api", "openai-python")
        for share in (0.1, 0.25, 0.5)
    },
    **{
        f"reasoning, {one}": ("reasoning", {"language": one})
        for one in ("en", "zh", "ru", "es", "fr")
    },
    **{
        f"a list: {style}": ("list_crawl", {"style": style})
        for style in ("evolve", "selfinstruct", "math", "code", "chinese")
    },
    "logit probing": ("logit_probing", {}),
    "the batch API": ("batch_api", {}),
    "embeddings": ("embeddings", {}),
    **{
        f"one that evades: {one}": ("evasive", {"evade": [one]})
        for one in ("backoff", "resend", "jitter", "fake_turns", "paraphrase")
    },
    "one that does all of it": ("evasive", {"mimicry": True, "timing": "people"}),
    "consumer chat": ("consumer_chat", {}),
    "support bots": ("support_bots", {}),
    "retrieval": ("rag", {}),
    "coding agents": ("coding_agents", {}),
    "multi-tenant, declared": ("multi_tenant", {"declared": True}),
    "multi-tenant, not declared": ("multi_tenant", {"declared": None}),
    "a declared gateway": ("gateway", {"declared": True}),
    "an evaluation, declared": ("eval_harness", {"declared": True}),
    "an evaluation, not declared": ("eval_harness", {"declared": None}),
    "classification": ("batch_classification", {}),
    "a class behind one address": ("classroom", {}),
    "a popular application": ("popular_app", {"remembers": None}),
    "one that sends each question alone": ("popular_app", {"remembers": False}),
    "keen users at a release": ("keen_users", {}),
    "a retry storm": ("retry_storm", {}),
}


def populations(half: str) -> list[Population]:
    return [
        one for name in SCENARIOS if name.startswith(half) for one in scenario(name).populations
    ]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("wanted", WANTED)
def test_every_population_is_in_each_half(half: str, wanted: str) -> None:
    kind, parameters = WANTED[wanted]
    assert any(
        all(
            getattr(one, name, one.options.get(name)) == given for name, given in parameters.items()
        )
        for one in populations(half)
        if one.kind == kind
    )


def test_hydras_of_the_published_size_are_in_the_testing_half() -> None:
    sizes = {
        (one.accounts, one.per_day, one.options["network"])
        for one in populations("testing")
        if one.kind == "hydra"
    }
    assert sizes == {
        (accounts, 26.0, network) for accounts in (2000, 20000) for network in ("isp", "hosting")
    }


def test_three_thousand_honest_accounts_are_in_the_testing_half() -> None:
    assert sum(one.accounts for one in scenario("testing/benign").populations) >= 3000


def test_the_halves_share_no_seed_and_no_half_of_a_file() -> None:
    seeds = {half: set[int]() for half in HALVES}
    rows = {half: set[int]() for half in HALVES}
    for name in SCENARIOS:
        half = name.partition("/")[0]
        seeds[half] |= set(scenario(name).seeds)
        rows[half].add(scenario(name).half)
    assert not seeds["tuning"] & seeds["testing"]
    assert rows == {"tuning": {0}, "testing": {1}}


def test_populations_of_one_kind_differ_between_the_halves() -> None:
    for kind in {one.kind for one in populations("testing")}:
        of = {
            half: {
                (one.accounts, one.per_day, str(one.options))
                for one in populations(half)
                if one.kind == kind
            }
            for half in HALVES
        }
        if kind != "reasoning":  # there the accounts and the rate differ, and the language does not
            assert of["tuning"] != of["testing"], kind


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "must be a mapping"),
        ("name: a\nseed: 1\n", "unknown fields: seed"),
        ("name: a\npopulations: [{name: b, kind: c}]\n", "b lacks accounts, per_day"),
        (
            "name: a\npopulations: [{name: b, kind: c, accounts: 1, per_day: 1}]\n",
            "no such kind: c",
        ),
        (
            "name: a\npopulations:\n" + "  - {name: b, kind: rag, accounts: 1, per_day: 1}\n" * 2,
            "named twice: b",
        ),
    ],
)
def test_a_mistaken_scenario_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=told):
        load_scenario(file)
