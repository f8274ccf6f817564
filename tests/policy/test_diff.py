"""What changed in meaning: each change with its effect, and none where only the text is another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.policy.diff import diff
from proxy.policy.load import load_source

POLICIES = Path(__file__).parents[2] / "policies"
RULE = "name: a, kind: rate_limit, per: account"


def told(folder: Path, old: str, new: str) -> list[str]:
    """Each change as `effect where what: before -> after`."""
    sources = []
    for name, text in (("old", old), ("new", new)):
        (folder / name).mkdir(exist_ok=True)
        file = folder / name / "p.yaml"
        file.write_text(text if text.startswith("version") else f"version: 1\n{text}\n")
        sources.append(load_source(file))
    changes = diff(*sources)
    return [f"{c.effect} {c.where} {c.what}: {c.before} -> {c.after}" for c in changes]


def rule(fields: str) -> str:
    return f"rules:\n  - {{{fields}}}"


OLD = """version: 1
mode: enforce
rules:
  - name: a
    kind: rate_limit
    per: account
    match: {tier: [free, trial], model: large}
    limit: 60/minute
    when: client.asn != 64496
    action: {delay: {at_most: 2s}}
  - {name: b, kind: concurrency, per: account, slots: 8, excuse: [eval, batch], action: throttle}
exemptions:
  - {name: one, match: {account: acme}, rules: [a, b], until: 2099-01-01, because: a reason}
suspicion:
  thresholds: [{at: 40, action: log}, {at: 60, action: throttle}]
"""
SAME = """version: 1  # another text
suspicion:
  half_life: 360m
  thresholds:
    - {action: throttle, at: 60, acknowledge_single_family: said otherwise}
    - {action: log, at: 40.0}
exemptions:
  - {because: another one, rules: [b, a], name: one, match: {account: [acme]}, until: 2099-01-01}
rules:
  - {name: b, kind: concurrency, per: [account], slots: 8, excuse: [batch, eval], action: throttle}
  - name: a
    kind: rate_limit
    per: account
    when: "client.asn   !=   64496"
    match: {model: [large], tier: [trial, free]}
    limit: 60/60s
    burst: 6
    counts: admitted
    on_store_failure: local
    action: {delay: {at_most: 2000ms, then: allow}}
"""


def test_other_text_of_the_same_meaning_is_no_change(tmp_path: Path) -> None:
    assert told(tmp_path, OLD, SAME) == []
    for file in sorted(POLICIES.glob("*.yaml")):
        assert diff(load_source(file), load_source(file)) == []


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("limit: 60/minute", "limit: 30/minute", "stricter a limit: 60/minute -> 30/minute"),
        ("limit: 60/minute", "limit: 60/hour", "stricter a limit: 60/minute -> 60/hour"),
        (
            "limit: 60/minute",
            "limit: 60/minute, burst: 30",
            "looser a limit: 60/minute -> 60/minute, burst 30",
        ),
        (
            "limit: 60/minute",
            "limit: 90/minute, burst: 1",
            "otherwise a limit: 60/minute -> 90/minute, burst 1",
        ),
        ("limit: 60/minute", "limit: 60/minute, mode: shadow", "looser a mode: enforce -> shadow"),
        ("limit: 1/hour, mode: shadow", "limit: 1/hour", "stricter a mode: shadow -> enforce"),
        ("limit: 1/hour", "limit: 1/hour, excuse: eval", "looser a excuse: None -> eval"),
        (
            "limit: 1/hour, excuse: [eval, rag]",
            "limit: 1/hour, excuse: rag",
            "stricter a excuse: [eval, rag] -> rag",
        ),
        (
            "limit: 1/hour",
            "limit: 1/hour, counts: attempts",
            "stricter a counts: admitted -> attempts",
        ),
        (
            "limit: 1/hour",
            "limit: 1/hour, on_store_failure: block",
            "stricter a on_store_failure: local -> block",
        ),
        ("limit: 1/hour", "limit: 1/hour, score: 5", "stricter a score: None -> 5"),
    ],
)
def test_a_field_becomes_stricter_or_looser(
    tmp_path: Path, old: str, new: str, change: str
) -> None:
    texts = [rule(f"{RULE}, {fields}, action: throttle") for fields in (old, new)]
    assert told(tmp_path, *texts) == [change]


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("log", "throttle", "stricter"),
        ("block", "throttle", "looser"),
        ("{block: {for: 1h}}", "{block: {for: 2h}}", "stricter"),
        ("{delay: {at_most: 2s}}", "{delay: {at_most: 5s}}", "stricter"),
        ("{delay: {at_most: 2s, then: throttle}}", "{delay: {at_most: 5s, then: throttle}}", "looser"),
        ("{delay: {at_most: 2s}}", "{delay: {at_most: 2s, then: block}}", "stricter"),
        ("{degrade: {pace: 20/second}}", "{degrade: [{pace: 10/second}, hide_reasoning]}", "stricter"),
        ("{degrade: [hide_reasoning]}", "{degrade: [strip_logprobs]}", "otherwise"),
    ],
)  # fmt: skip
def test_actions_are_ordered_by_what_they_do(
    tmp_path: Path, old: str, new: str, effect: str
) -> None:
    texts = [rule(f"{RULE}, limit: 1/hour, action: {action}") for action in (old, new)]
    (change,) = told(tmp_path, *texts)
    assert change.startswith(f"{effect} a action: ")


def test_detectors_are_stricter_with_lower_bounds(tmp_path: Path) -> None:
    base = "name: a, kind: machine_pace, per: account, score: 5"
    old = rule(f"{base}, max_busy_hours: 20, min_requests: 200, min_variation: 0.2")
    new = rule(f"{base}, max_busy_hours: 18, min_requests: 400, min_variation: 0.3")
    assert told(tmp_path, old, new) == [
        "stricter a min_variation: 0.2 -> 0.3",
        "stricter a max_busy_hours: 20 -> 18",
        "looser a min_requests: 200 -> 400",
    ]


def test_a_wider_match_is_stricter_and_counts_anew(tmp_path: Path) -> None:
    old = rule(f"{RULE}, match: {{tier: free}}, limit: 1/hour, action: throttle")
    new = rule(f"{RULE}, match: {{tier: [free, trial]}}, limit: 1/hour, action: throttle")
    wider, anew = told(tmp_path, old, new)
    files = [tmp_path / name / "p.yaml" for name in ("old", "new")]
    keys = [load_source(file).policy.rules[0].key for file in files]
    assert wider == "stricter a match: {tier: free} -> {tier: [free, trial]}"
    assert anew == f"anew a counters: {keys[0]} -> {keys[1]}"
    assert told(tmp_path, new, old)[0].startswith("looser a match: ")
    gone = told(tmp_path, old, rule(f"{RULE}, limit: 1/hour, action: throttle"))
    assert gone[0] == "stricter a match: {tier: free} -> None"


@pytest.mark.parametrize(
    ("old", "new", "whose"),
    [
        ("limit: 60/minute", "limit: {by: tier, pro: 90/minute, else: 60/minute}", "tier pro"),
        (
            "limit: {by: tier, pro: 90/minute, else: 60/minute}",
            "limit: {by: account, acme: 90/minute, else: 60/minute}",
            "tier pro, account acme",
        ),
        ("limit: {by: model, m: 1/hour, else: 2/hour}", "limit: 2/hour", "model m"),
        ("limit: 60/minute", "limit: 90/minute, burst: 3", None),
    ],
)
def test_tiers_that_come_or_go_start_anew_and_nobody_else(
    tmp_path: Path, old: str, new: str, whose: str | None
) -> None:
    files = []
    for name, fields in (("old", old), ("new", new)):
        file = tmp_path / f"{name}.yaml"
        file.write_text(f"version: 1\n{rule(f'{RULE}, {fields}, action: throttle')}\n")
        files.append(load_source(file))
    anew = [one.because for one in diff(*files) if one.effect == "anew"]
    assert anew == ([f"what it has counted of {whose}"] if whose else [])


def test_a_budget_starts_anew_with_another_period_and_with_other_tokens(tmp_path: Path) -> None:
    base = "name: a, kind: token_budget, per: account, action: throttle"
    old = rule(f"{base}, tokens: output, limits: 1000/minute")
    for new, anew in (
        (rule(f"{base}, tokens: output, limits: 2000/minute"), False),
        (rule(f"{base}, tokens: output, limits: 1000/hour"), True),
        (rule(f"{base}, tokens: input, limits: 1000/minute"), True),
    ):
        effects = [line.partition(" ")[0] for line in told(tmp_path, old, new)]
        assert ("anew" in effects) == anew


def test_a_bound_more_is_counted_from_now_on_and_loses_nothing(tmp_path: Path) -> None:
    base = "name: a, kind: reseller_key, score: 5, max_subnets: 5"
    assert told(tmp_path, rule(base), rule(f"{base}, max_asns: 5")) == [
        "otherwise a max_asns: None -> 5"
    ]


def test_rules_come_go_and_are_renamed(tmp_path: Path) -> None:
    other = "name: b, kind: datacenter_ip, score: 5"
    old = rule(f"{RULE}, limit: 1/hour, action: throttle")
    assert told(tmp_path, old, rule(other)) == [
        "stricter b rule: None -> datacenter_ip per address: score 5",
        "looser a rule: rate_limit per account: throttle -> None",
    ]
    renamed = rule(f"{RULE.replace('name: a', 'name: z')}, limit: 1/hour, action: throttle")
    assert told(tmp_path, old, renamed) == ["anew z name: a -> z"]


def test_out_of_shadow_a_score_begins_at_nothing(tmp_path: Path) -> None:
    fields = "name: a, kind: datacenter_ip, score: 5"
    old, new = rule(f"{fields}, mode: shadow"), rule(fields)
    assert told(tmp_path, old, new) == [
        "stricter a mode: shadow -> enforce",
        "anew a suspicion: shadow -> enforce",
    ]
    whole = told(tmp_path, f"mode: shadow\n{new}", new)
    assert whole == [
        "stricter policy mode: shadow -> enforce",
        "anew a suspicion: shadow -> enforce",
    ]


def test_gates_suspicion_and_exemptions(tmp_path: Path) -> None:
    new = OLD.replace("mode: enforce", "mode: enforce\nunknown_routes: allow\nalso_serve: audio")
    new = new.replace("rules: [a, b], until: 2099-01-01", "rules: a, until: 2098-01-01")
    new = new.replace("{at: 60, action: throttle}", "{at: 50, action: throttle}")
    new = new.replace("suspicion:", "keys: {unknown: block}\nsuspicion:\n  half_life: 12h")
    assert told(tmp_path, OLD, new) == [
        "stricter policy keys.unknown: provisional -> block",
        "stricter suspicion half_life: 6h -> 12h",
        "stricter suspicion threshold throttle: at 60 -> at 50",
        "stricter exemption one rules: [a, b] -> a",
        "stricter exemption one until: 2099-01-01 -> 2098-01-01",
        "looser policy unknown_routes: block -> allow",
        "looser policy also_serve: [] -> audio",
    ]
    without = "".join(line for line in OLD.splitlines(keepends=True) if "name: one" not in line)
    without = without.replace("exemptions:\n", "")
    assert told(tmp_path, OLD, without)[0].startswith("stricter exemption one exemption: {account")
    assert told(tmp_path, without, OLD)[0].startswith("looser exemption one exemption: None -> ")
    wider = OLD.replace("{account: acme}", "{account: [acme, beta]}")
    assert told(tmp_path, OLD, wider) == [
        "looser exemption one match: {account: acme} -> {account: [acme, beta]}"
    ]


def test_a_pack_and_the_same_rules_overridden_are_resolved_first(tmp_path: Path) -> None:
    old = "include: library/anonymous-networks.yaml"
    new = f"{old}\noverride: {{anonymous-networks.vpn: {{score: 5}}}}"
    assert told(tmp_path, old, new) == ["looser anonymous-networks.vpn score: 15 -> 5"]


def test_a_file_that_says_something_else_is_a_change(tmp_path: Path) -> None:
    policy = rule("name: a, kind: listed, file: l.yaml, score: 5")
    for name, entries in (
        ("old", "{account: one, because: test}"),
        ("new", "{account: two, because: test}"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "l.yaml").write_text(f"version: 1\nlisted:\n  - {entries}\n")
    assert told(tmp_path, policy, policy) == ["otherwise a file: l.yaml -> l.yaml"]
    (tmp_path / "new" / "l.yaml").write_text(
        "# said\nversion: 1\nlisted: [{because: test, account: one}]\n"
    )
    assert told(tmp_path, policy, policy) == []
