"""`when` on rules and exemptions, judged as requests are: what applies, what is counted, what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.decision import Verb
from proxy.policy.load import parse
from proxy.policy.model import Policy
from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying
from tests.test_judgement import Bench

WHEN = """
version: 1
rules:
  - name: r
    kind: rate_limit
    per: account
    match: {tier: trial}
    when: client.asn != 64496
    limit: 1/hour
    burst: 1
    action: throttle
"""


def policy(text: str = WHEN) -> Policy:
    return parse(text, "p.yaml")


async def test_when_is_joined_to_match_and_decides_what_is_counted() -> None:
    bench, of = Bench(), policy()
    for client in ({"tier": "trial", "asn": 64496}, {"tier": "pro", "asn": 1}) * 3:
        assert (await bench(of, **client)).decision.verb is Verb.ALLOW
    one = {"tier": "trial", "asn": 1}
    assert (await bench(of, **one)).decision.verb is Verb.ALLOW
    assert (await bench(of, **one)).decision.verb is Verb.THROTTLE


async def test_an_absent_fact_lets_the_rule_not_apply_and_is_told() -> None:
    bench, of = Bench(), policy()
    for _ in range(3):
        judged = await bench(of, tier="trial")
        assert judged.decision.verb is Verb.ALLOW
        assert judged.store == "unused"
        assert judged.expression_errors == {"r": "absent asn"}
    # Where `match` fails, nothing is evaluated and nothing is to be told.
    assert (await bench(of, tier="pro")).expression_errors == {}


async def test_an_exemption_that_cannot_be_told_lifts_nothing() -> None:
    lifting = policy(
        WHEN + "exemptions: [{name: e, when: client.country == 'NO', rules: [r], "
        "until: 2099-01-01, because: tests}]\n"
    )
    bench, one = Bench(), {"tier": "trial", "asn": 1}
    for _ in range(3):
        judged = await bench(lifting, **one, country="NO")
        assert judged.exempted_by == ("e",)
        assert judged.decision.verb is Verb.ALLOW
    verbs = [(await bench(lifting, **one)).decision.verb for _ in range(2)]
    assert verbs == [Verb.ALLOW, Verb.THROTTLE]
    assert (await bench(lifting, **one)).expression_errors == {"e": "absent country"}


def test_when_is_part_of_what_is_counted_and_waits_for_what_it_names() -> None:
    (rule,) = policy().rules
    (spaced,) = policy(WHEN.replace("asn != 64496", "asn  !=  64496")).rules
    (other,) = policy(WHEN.replace("64496", "64497")).rules
    (without,) = policy(WHEN.replace("    when: client.asn != 64496\n", "")).rules
    assert rule.key == spaced.key
    assert len({rule.key, other.key, without.key}) == 3
    assert not rule.needs_body
    (late,) = policy(WHEN.replace("client.asn != 64496", "signals.language != 'en'")).rules
    assert late.needs_body
    assert late.wants == {"language"}


@pytest.mark.parametrize(("when", "early"), [("client.asn == 1", True), ("ask.turns > 3", False)])
def test_an_exemption_by_the_body_makes_its_rule_wait(when: str, early: bool) -> None:
    of = policy(
        WHEN + f"exemptions: [{{name: e, when: {when}, rules: [r], "
        "until: 2099-01-01, because: tests}]\n"
    )
    assert bool(of.rules_of("identity")) is early


async def test_a_policy_without_expressions_or_lists_costs_nothing() -> None:
    plainly = policy(WHEN.replace("    when: client.asn != 64496\n", ""))
    assert plainly.sight is None
    assert plainly.lists == ()


@pytest.mark.parametrize(
    ("when", "told", "cause"),
    [
        ("client.asn != 64496", "absent asn", "absent"),
        ("1 / (ask.turns - ask.turns) < 9", "failed", "failed"),
    ],
)
async def test_errors_stand_in_the_event_and_in_the_metrics(
    tmp_path: Path, when: str, told: str, cause: str
) -> None:
    text = WHEN.replace("    match: {tier: trial}\n", "").replace("account", "address")
    text = text.replace("client.asn != 64496", when)
    text += "keys: {missing: allow, unknown: allow}\n"
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, text, mode="enforce") as excise,
    ):
        for _ in range(3):
            assert (await excise.exchange(post(CHAT)))[0] == 200
            event = await excise.log.wait_for()
            assert event["expression_errors"] == {"r": told}
            assert event["decision"] == "allow", "what cannot be evaluated never matches"
        counted = f'excise_expression_errors_total{{cause="{cause}",rule="r"}} 3.0'
        assert counted.encode() in await excise.metrics()
