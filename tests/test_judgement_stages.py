"""Two stages of one request before its rules: exemptions, what is given back, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from proxy.background import Background
from proxy.counters.bounds import SubjectBounds
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Op
from proxy.counters.resilient import ResilientStore
from proxy.counters.settle import Settler
from proxy.decision import Verb
from proxy.errors import StoreError
from proxy.judge import Judge
from proxy.judgement import Judgement
from proxy.notices import Notices
from proxy.policy.load import parse
from proxy.policy.model import Policy
from proxy.policy.select import Stage
from tests.counters.stores import StillClock
from tests.policy.facts import facts
from tests.support.campaigns import no_campaigns


class Failing(MemoryStore):
    """Fails the applications whose numbers are given, counting from one."""

    def __init__(self, clock: StillClock, *fails: int) -> None:
        super().__init__(clock=clock)
        self.trips = 0
        self.fails = fails

    async def apply(self, ops: Sequence[Op], *args: Any, **kwargs: Any) -> Any:
        self.trips += 1
        if self.trips in self.fails:
            raise StoreError("gone")
        return await super().apply(ops, *args, **kwargs)


class Bench:
    """A judge whose settlements are carried out by real settlers on `settled`."""

    def __init__(self, *fails: int) -> None:
        self.clock = StillClock()
        self.primary = Failing(self.clock, *fails)
        self.local = MemoryStore(clock=self.clock)
        self.store = ResilientStore(self.primary, self.local, self.clock)
        self.lost: list[int] = []
        self.central = Settler(self.store, on_lost=self.lost.append)
        self.own = Settler(self.local, on_lost=self.lost.append)
        boards = (
            Notices("bans", self.clock, self.central.put),
            Notices("allowances", self.clock, list),
            Background(Notices("background", self.clock, list)),
        )
        self.judge = Judge(
            self.store,
            SubjectBounds(),
            self.clock,
            self.central.put,
            self.own.put,
            *boards,
            **no_campaigns(self.clock),
        )

    async def __call__(
        self, policy: Policy, *stages: Stage, model: str = "large", **client: Any
    ) -> Judgement:
        """Judge one request as the pipeline does: no stage after one that has refused."""
        judgement = Judgement(policy, shadow=False)
        for stage in stages or ("all",):
            known = None if stage == "identity" else model
            await self.judge.judge(judgement, facts(known, **client), stage)
            if judgement.decision.verb.refuses or judgement.blocked_by is not None:
                self.judge.take_back(judgement)
                break
        return judgement

    async def settled(self) -> None:
        """Until what was put has been carried out."""
        for settler in (self.central, self.own):
            settler.start()
            await settler.close(5)
        assert self.lost == []


def policy(*rules: str, head: str = "") -> Policy:
    text = "version: 1\n" + head + "rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)
    return parse(text, "policy.yaml")


def limit(name: str, per: str, burst: int, more: str = "action: throttle") -> str:
    return f"name: {name}, kind: rate_limit, per: {per}, limit: 60/hour, burst: {burst}, {more}"


KEY = limit("key", "api_key", 2)
MODEL = limit("model", "[account, model]", 1)


async def test_what_the_first_stage_counted_is_given_back_when_the_second_refuses() -> None:
    bench, both = Bench(), policy(KEY, MODEL)
    assert (await bench(both, "identity", "body")).decision.verb is Verb.ALLOW
    assert (await bench(both, "identity", "body")).decision.rule == "model"
    await bench.settled()
    # Only what was served has been counted: the key may ask another model once more, and not twice.
    assert (await bench(both, "identity", "body", model="small")).decision.verb is Verb.ALLOW
    assert (await bench(both, "identity", "body", model="tiny")).decision.rule == "key"


async def test_what_counts_attempts_is_not_given_back() -> None:
    attempts = limit("key", "api_key", 2, "action: throttle, counts: attempts")
    bench, both = Bench(), policy(attempts, MODEL)
    await bench(both)
    assert (await bench(both)).decision.rule == "model"
    await bench.settled()
    assert (await bench(both, model="small")).decision.rule == "key"


async def test_a_request_that_was_served_gives_nothing_back() -> None:
    bench, one = Bench(), policy(limit("key", "api_key", 1))
    await bench(one)
    await bench.settled()
    assert (await bench(one)).decision.verb is Verb.THROTTLE


async def test_one_stage_is_one_trip_however_many_rules() -> None:
    bench = Bench()
    await bench(policy(KEY, MODEL, limit("address", "address", 5)))
    assert bench.primary.trips == 1
    await bench(policy(KEY, MODEL), "identity", "body")
    assert bench.primary.trips == 3


async def test_no_rule_no_trip() -> None:
    bench = Bench()
    judged = await bench(policy(limit("key", "api_key", 1, "action: log, match: {tier: pro}")))
    assert (bench.primary.trips, judged.store) == (0, "unused")


async def test_the_strongest_finding_of_both_stages_decides() -> None:
    bench = Bench()
    rules = policy(
        limit("early", "api_key", 1, "action: log"), limit("late", "[account, model]", 1)
    )
    await bench(rules, "identity", "body")
    decision = (await bench(rules, "identity", "body")).decision
    assert (decision.verb, decision.rule) == (Verb.THROTTLE, "late")
    assert [found.rule for found in decision.findings] == ["late", "early"]


async def test_an_early_delay_is_still_there_after_a_body_that_finds_nothing() -> None:
    bench = Bench()
    shaped = limit("early", "api_key", 1, "action: {delay: {at_most: 60s, then: throttle}}")
    rules = policy(shaped, limit("late", "[account, model]", 9))
    await bench(rules, "identity", "body")
    decision = (await bench(rules, "identity", "body")).decision
    assert (decision.verb, decision.delay_s) == (Verb.DELAY, 60.0)


EXEMPT = (
    "exemptions:\n  - {name: evals, match: {%s}, rules: [key], until: 2099-01-01, because: t}\n"
)


@pytest.mark.parametrize("match", ["account: acme", "model: large"])
async def test_who_is_exempt_is_neither_counted_nor_found(match: str) -> None:
    bench = Bench()
    rules = policy(limit("key", "api_key", 1), head=EXEMPT % match)
    for _ in range(3):
        judged = await bench(rules, "identity", "body")
        assert judged.decision.verb is Verb.ALLOW
        assert (judged.exempted_by, judged.store) == (("evals",), "unused")
    # The others find the counter as if nobody had been there.
    others = {"account": "umbrella", "model": "small"}
    assert (await bench(rules, "identity", "body", **others)).decision.verb is Verb.ALLOW
    assert (await bench(rules, "identity", "body", **others)).decision.verb is Verb.THROTTLE


async def test_a_rule_without_its_subject_is_told_and_stays_silent() -> None:
    judged = await Bench()(policy(limit("user", "end_user", 1), KEY))
    assert (judged.no_subject, judged.store) == (("user",), "ok")
    assert [rule.name for rule, _, _, _ in judged.counted] == ["key"]


@pytest.mark.parametrize(
    ("fails", "told"), [((), "ok"), ((1,), "local"), ((2,), "local"), ((1, 2), "local")]
)
async def test_a_store_lost_in_one_stage_is_told_of_the_whole(
    fails: tuple[int, ...], told: str
) -> None:
    judged = await Bench(*fails)(policy(KEY, MODEL), "identity", "body")
    assert judged.store == told
    assert len(judged.counted) + len(judged.counted_locally) == 2
    assert len(judged.counted_locally) == len(fails)


async def test_each_is_given_back_where_it_was_counted() -> None:
    bench = Bench(2, 4)  # the store answers for each identity, and for no body
    both = policy(KEY, MODEL)
    assert (await bench(both, "identity", "body")).decision.verb is Verb.ALLOW
    assert (await bench(both, "identity", "body")).decision.rule == "model"
    assert (len(bench.central), len(bench.own)) == (1, 0)
    await bench.settled()
    assert (await bench(both, "identity")).decision.verb is Verb.ALLOW
    assert (await bench(both, "identity")).decision.rule == "key"


@pytest.mark.parametrize(
    ("on_failure", "verb", "blocked_by"),
    [("local", Verb.ALLOW, None), ("allow", Verb.ALLOW, None), ("block", Verb.ALLOW, "key")],
)
async def test_the_policys_default_speaks_for_rules_that_say_nothing(
    on_failure: str, verb: Verb, blocked_by: str | None
) -> None:
    head = f"defaults: {{on_store_failure: {on_failure}}}\n"
    judged = await Bench(1)(policy(KEY, head=head))
    assert (judged.decision.verb, judged.blocked_by) == (verb, blocked_by)


async def test_one_rule_that_blocks_is_enough_and_the_others_are_given_back() -> None:
    bench = Bench(1)
    rules = policy(KEY, limit("strict", "address", 9, "action: throttle, on_store_failure: block"))
    judged = await bench(rules)
    assert (judged.store, judged.blocked_by) == ("blocked", "strict")
    assert len(bench.own) == 1
    assert len(bench.central) == 0


async def test_a_shadow_rule_never_blocks_for_a_lost_store() -> None:
    strict = "action: throttle, on_store_failure: block, mode: shadow"
    judged = await Bench(1)(policy(limit("strict", "address", 9, strict)))
    assert (judged.store, judged.blocked_by) == ("skipped", None)


async def test_a_caller_who_leaves_between_the_stages_stays_counted() -> None:
    bench, rules = Bench(), policy(limit("key", "api_key", 1), MODEL)
    await bench(rules, "identity")  # and its body never comes: hanging up dodges no accounting
    await bench.settled()
    assert (await bench(rules, "identity")).decision.rule == "key"
