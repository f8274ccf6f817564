"""Suspicion, bans and allowances over requests that follow each other."""

from __future__ import annotations

import pytest

from proxy.decision import Verb
from proxy.judgement import Judgement
from proxy.policy.load import parse
from proxy.policy.model import Policy
from tests.policy.facts import facts
from tests.test_judgement import Bench, Gone, Stopped


class Moved(Stopped):
    """A clock that is moved by hand."""

    at = 1_700_000_000.0

    def now(self) -> float:
        return self.at


LOUD = "  - {name: loud, kind: rate_limit, per: account, limit: 60/hour, burst: 1, score: 40}\n"
SLOW = "    - {at: 30, action: throttle}\n"


def policy(rules: str = LOUD, thresholds: str = SLOW, head: str = "", more: str = "") -> Policy:
    thresholds = f"  thresholds:\n{thresholds}" if thresholds else ""
    suspicion = f"suspicion:\n  half_life: 1h\n{more}{thresholds}"
    return parse(f"version: 1\n{head}rules:\n{rules}{suspicion}", "policy.yaml")


class Time(Bench):
    """A bench whose settlements are carried out after each request, at a time set by hand."""

    def __init__(self, *, gone: bool = False) -> None:
        self.moved = Moved()
        super().__init__(Gone(clock=self.moved) if gone else None, clock=self.moved)

    async def after(self, seconds: float, rules: Policy, **client: object) -> Judgement:
        """One request, so long after the last."""
        self.moved.at += seconds
        judged = await self(rules, **client)
        if self.settled:
            await self.store.apply(self.settled, self.moved.at)
        if self.settled_locally:
            await self.local.apply(self.settled_locally, self.moved.at)
        self.settled.clear()
        self.settled_locally.clear()
        return judged


async def test_a_score_acts_from_the_next_request_on() -> None:
    bench, rules = Time(), policy()
    first, second, third = [await bench.after(1, rules) for _ in range(3)]
    assert (first.standings, first.decision.findings) == ((), ())
    assert [found.rule for found in second.decision.findings] == ["loud"]
    assert (second.decision.verb, second.standings) == (Verb.LOG, ())
    assert (third.decision.verb, third.decision.rule) == (Verb.THROTTLE, "suspicion")
    assert third.decision.reason == "suspicion_reached"


async def test_finding_the_same_again_never_adds_up() -> None:
    bench, rules = Time(), policy(thresholds="")
    judged = [await bench.after(1, rules) for _ in range(20)][-1]
    assert judged.standings[0].level == pytest.approx(40, abs=0.1)


async def test_suspicion_fades() -> None:
    bench, rules = Time(), policy()
    for _ in range(3):
        judged = await bench.after(1, rules)
    assert judged.decision.rule == "suspicion"
    assert (await bench.after(3600, rules)).standings[0].level == pytest.approx(20, abs=0.1)
    assert (await bench.after(1, rules, account="other")).standings == ()


@pytest.mark.parametrize("how", ["rule", "policy"])
async def test_shadow_sets_levels_that_never_act(how: str) -> None:
    bench = Time()
    shadowed = LOUD.replace("score", "mode: shadow, score") if how == "rule" else LOUD
    rules = policy(shadowed, head="mode: shadow\n" if how == "policy" else "")
    for _ in range(3):
        judged = await bench.after(1, rules)
    assert judged.decision.verb is Verb.ALLOW
    assert set(judged.decision.shadow) == {"suspicion", "loud"}
    (stood,) = judged.standings
    assert (stood.level, round(stood.level_with_shadow)) == (0, 40)
    # And what shadow has set stays without force when the policy is enforced.
    enforced = await bench.after(1, policy(LOUD.replace("60/hour, burst: 1", "900/hour")))
    assert enforced.decision.verb is Verb.ALLOW
    assert enforced.decision.shadow == ("suspicion",)


async def test_each_subject_stands_for_itself() -> None:
    bench, rules = Time(), policy(more="  subjects: [account, address]\n")
    for _ in range(2):
        await bench.after(1, rules)
    elsewhere = await bench.after(1, rules, account="other")
    assert [stood.name for stood in elsewhere.standings] == ["address"]
    assert elsewhere.decision.rule == "suspicion"


async def test_two_subjects_that_are_suspected_are_told_apart() -> None:
    bench, rules = Time(), policy(more="  subjects: [account, address]\n")
    for _ in range(3):
        judged = await bench.after(1, rules)
    told = [found.told for found in judged.decision.findings]
    assert told == ["suspicion:account", "suspicion:address", "loud"]


async def test_each_ask_of_a_request_leaves_all_thresholds_that_were_reached() -> None:
    slow = "    - {at: 20, action: {delay: {at_most: 2s}}}\n"
    less = "    - {at: 30, action: {degrade: strip_logprobs}}\n"
    bench, rules = Time(), policy(thresholds=slow + less)
    for _ in range(2):
        await bench.after(1, rules)
    first, second = [await bench.after(1, rules) for _ in range(2)]
    verbs = [found.verb for found in first.decision.findings]
    assert verbs == [Verb.DEGRADE, Verb.DELAY, Verb.LOG]
    first.absorb(second)
    assert [found.verb for found in first.decision.findings] == verbs
    assert first.decision.delay_s > 0
    assert first.decision.degradation is not None


async def test_delays_rise_with_the_score_and_differ_from_request_to_request() -> None:
    def suspected(score: int) -> Policy:
        loud = LOUD.replace("score: 40", f"score: {score}")
        return policy(loud, "    - {at: 20, action: {delay: {at_most: 6s}}}\n")

    async def delays(score: int) -> list[float]:
        bench, rules = Time(), suspected(score)
        for _ in range(2):
            await bench.after(0, rules)
        found = []
        for number in range(200):
            judgement = Judgement(rules, shadow=False, id=f"request-{number}")
            await bench.judge.judge(judgement, facts(), "all")
            found.append(judgement.decision.delay_s)
        return found

    # `at_most` stands for a fifth more than the middle, so that no delay passes it.
    middles = {20: 1.25, 25: 3.125, 30: 5.0, 90: 5.0}
    for score, middle in middles.items():
        drawn = await delays(score)
        assert 0.8 * middle <= min(drawn) < 0.82 * middle
        assert 1.18 * middle < max(drawn) <= 1.2 * middle + 1e-9


BAN = LOUD.replace("loud", "gate").replace("score: 40", "action: {block: {for: 1h}}")


async def test_a_rule_that_bans_keeps_its_subject_out_until_the_ban_ends() -> None:
    bench, rules = Time(), policy(BAN, "")
    assert (await bench.after(0, rules)).decision.verb is Verb.ALLOW
    banning = await bench.after(0, rules)
    assert (banning.decision.verb, banning.decision.kind) == (Verb.BLOCK, "rate_limit")
    # The rule alone would let it pass again after a minute.
    kept_out = await bench.after(3500, rules)
    assert (kept_out.decision.verb, kept_out.decision.kind) == (Verb.BLOCK, "ban")
    assert kept_out.decision.evidence == {
        "subject": "account",
        "banned_by": "gate",
        "until": "2023-11-14T23:13:20Z",
    }
    assert kept_out.store == "unused"  # no trip for those who are out
    assert (await bench.after(0, rules, account="other")).decision.verb is Verb.ALLOW
    assert (await bench.after(101, rules)).decision.verb is Verb.ALLOW


async def test_shadow_bans_nobody() -> None:
    bench, rules = Time(), policy(BAN.replace("action", "mode: shadow, action"), "")
    for _ in range(2):
        judged = await bench.after(0, rules)
    assert (judged.decision.verb, judged.decision.shadow) == (Verb.ALLOW, ("gate",))
    assert bench.bans.all() == []


@pytest.mark.parametrize("provisional", [True, False])
async def test_an_operators_ban_names_a_key_that_nobody_has_proven(provisional: bool) -> None:
    bench, rules = Time(), policy()
    bench.bans.put("api_key:key_a", 60.0, "operator", "stolen")
    judged = await bench.after(0, rules, unproven=provisional, provisional=provisional)
    assert (judged.decision.verb, judged.decision.rule) == (Verb.BLOCK, "operator")


async def test_an_allowance_lets_everything_pass_and_says_what_would_have_been() -> None:
    bench, rules = Time(), policy(BAN)
    await bench.after(0, rules)
    await bench.after(0, rules)
    bench.allowances.put("account:acme", 60.0, "operator", "incident 42")
    judged = await bench.after(0, rules)
    assert (judged.decision.verb, judged.decision.shadow) == (Verb.ALLOW, ("gate", "gate"))
    assert judged.allowance is not None
    assert judged.allowance.because == "incident 42"
    assert (await bench.after(61, rules)).decision.verb is Verb.BLOCK


async def test_suspicion_goes_on_in_memory_while_the_store_is_gone() -> None:
    bench, rules = Time(gone=True), policy()
    judged = [await bench.after(1, rules) for _ in range(3)][-1]
    assert (judged.store, judged.decision.rule) == ("local", "suspicion")
