"""One request before several rules: what is counted, what is given back, what is bounded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from proxy.background import Background
from proxy.clock import SystemClock
from proxy.counters.bounds import SubjectBounds
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Abandoned, Op, Reading, Take
from proxy.counters.resilient import ResilientStore
from proxy.decision import Verb
from proxy.errors import StoreError
from proxy.facts import Usage
from proxy.judge import PER_ACCOUNT, Judge
from proxy.judgement import Judgement
from proxy.notices import Notices
from proxy.policy.load import parse
from proxy.policy.model import Policy
from tests.policy.facts import facts
from tests.support.campaigns import no_campaigns

NOW = 1_700_000_000.0


class Stopped(SystemClock):
    """A clock that stands still."""

    def now(self) -> float:
        return NOW


class Gone(MemoryStore):
    """A store that cannot be reached."""

    async def apply(self, *_: Any, **__: Any) -> list[Reading]:
        raise StoreError("refused")


class Bench:
    """A judge, its counters, and what it has given back."""

    def __init__(
        self,
        store: MemoryStore | None = None,
        bounds: SubjectBounds | None = None,
        clock: Stopped | None = None,
    ) -> None:
        self.clock = clock or Stopped()
        self.local = MemoryStore(clock=self.clock)
        self.store = ResilientStore(
            MemoryStore(clock=self.clock) if store is None else store,
            self.local,
            self.clock,
            replicas=1,
        )
        self.settled: list[Op] = []
        self.settled_locally: list[Op] = []
        self.bans = Notices("bans", self.clock, self.settled.extend)
        self.allowances = Notices("allowances", self.clock, self.settled.extend)
        self.background = Background(Notices("background", self.clock, self.settled.extend))
        self.judge = Judge(
            self.store,
            SubjectBounds() if bounds is None else bounds,
            self.clock,
            self.settled.extend,
            self.settled_locally.extend,
            self.bans,
            self.allowances,
            self.background,
            **no_campaigns(self.clock),
        )

    async def __call__(self, policy: Policy, *, shadow: bool = False, **client: Any) -> Judgement:
        judgement = Judgement(policy, shadow)
        await self.judge.judge(judgement, facts(**client), "all")
        return judgement


def policy(*rules: str, head: str = "") -> Policy:
    text = "version: 1\n" + head + "rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)
    return parse(text, "policy.yaml")


def limit(name: str, per: str, burst: int, more: str = "action: throttle") -> str:
    return f"name: {name}, kind: rate_limit, per: {per}, limit: 60/hour, burst: {burst}, {more}"


async def test_what_a_refused_request_took_elsewhere_is_given_back() -> None:
    bench = Bench()
    both = policy(limit("key", "api_key", 2), limit("address", "address", 1))
    assert (await bench(both)).decision.verb is Verb.ALLOW
    refused = await bench(both)
    assert (refused.decision.verb, refused.decision.rule) == (Verb.THROTTLE, "address")
    bench.judge.take_back(refused)
    assert [op.subject for op in bench.settled] == ["api_key:key_a"]
    await bench.store.apply(bench.settled, NOW)
    # From another address the key still has the one that the refused request had taken.
    assert (await bench(both, address="203.0.113.8")).decision.verb is Verb.ALLOW
    assert (await bench(both, address="203.0.113.9")).decision.rule == "key"


async def test_all_rules_are_counted_whatever_their_order() -> None:
    one = policy(limit("a", "api_key", 1), limit("b", "address", 1, "action: block"))
    other = policy(limit("b", "address", 1, "action: block"), limit("a", "api_key", 1))
    for rules in (one, other):
        bench = Bench()
        await bench(rules)
        decision = (await bench(rules)).decision
        assert (decision.verb, decision.rule) == (Verb.BLOCK, "b")
        assert {found.rule for found in decision.findings} == {"a", "b"}


@pytest.mark.parametrize("how", ["rule", "policy", "process"])
async def test_shadow_counts_finds_and_never_acts(how: str) -> None:
    bench = Bench()
    shadowed = "action: throttle, mode: shadow" if how == "rule" else "action: throttle"
    head = "mode: shadow\n" if how == "policy" else ""
    rules = policy(limit("few", "api_key", 1, shadowed), head=head)
    await bench(rules, shadow=how == "process")
    second = await bench(rules, shadow=how == "process")
    assert second.decision.verb is Verb.ALLOW
    assert second.decision.shadow == ("few",)


@pytest.mark.parametrize(
    ("on_failure", "verbs", "store", "blocked_by"),
    [
        ("local", [Verb.ALLOW, Verb.THROTTLE], "local", None),
        ("allow", [Verb.ALLOW, Verb.ALLOW], "skipped", None),
        ("block", [Verb.ALLOW, Verb.ALLOW], "blocked", "few"),
    ],
)
async def test_without_a_store_the_rule_says_what_to_do(
    on_failure: str, verbs: list[Verb], store: str, blocked_by: str | None
) -> None:
    bench = Bench(Gone(clock=Stopped()))
    rules = policy(limit("few", "api_key", 1, f"action: throttle, on_store_failure: {on_failure}"))
    judged = [await bench(rules) for _ in verbs]
    assert [one.decision.verb for one in judged] == verbs
    assert {(one.store, one.blocked_by) for one in judged} == {(store, blocked_by)}


async def test_a_process_that_only_watches_never_blocks_for_a_lost_store() -> None:
    bench = Bench(Gone(clock=Stopped()))
    rules = policy(limit("few", "api_key", 1, "action: throttle, on_store_failure: block"))
    judged = await bench(rules, shadow=True)
    assert (judged.blocked_by, judged.store) == (None, "skipped")


async def test_what_was_counted_locally_is_given_back_locally() -> None:
    bench = Bench(Gone(clock=Stopped()))
    both = policy(limit("key", "api_key", 2), limit("address", "address", 1))
    await bench(both)
    bench.judge.take_back(await bench(both))
    assert bench.settled == []
    assert [op.subject for op in bench.settled_locally] == ["api_key:key_a"]


async def test_readings_that_nobody_waits_for_are_taken_back() -> None:
    class Slow(MemoryStore):
        """Answers after its caller has left."""

        async def apply(
            self, ops: Any, now: float | None = None, *, abandoned: Abandoned | None = None
        ) -> Any:
            readings = await super().apply(ops, now)
            assert abandoned is not None
            abandoned(readings)
            raise asyncio.CancelledError

    bench = Bench(Slow(clock=Stopped()))
    with pytest.raises(asyncio.CancelledError):
        await bench(policy(limit("key", "api_key", 1)))
    assert [op.subject for op in bench.settled] == ["api_key:key_a"]


@pytest.mark.parametrize(
    ("client", "bounded"),
    [
        ({"account_source": "key", "unproven": True}, True),
        ({"account_source": "key", "unproven": False}, False),
        ({"account_source": "file"}, False),
    ],
)
async def test_invented_keys_share_counters_beyond_a_bound(
    client: dict[str, Any], bounded: bool
) -> None:
    bench = Bench(bounds=SubjectBounds(per_subnet=2))
    rules = policy(limit("few", "api_key", 1))
    for key in range(4):
        judged = await bench(rules, key_id=f"key_{key}", **client)
        ((_, _, ops, _),) = judged.counted
        assert isinstance(ops[0], Take)
        shares = ops[0].subject.startswith("overflow:")
        assert shares == (bounded and key >= 2)


@pytest.mark.parametrize(
    "kind",
    [
        "rate_limit, limit: 1/hour, burst: 1",
        "token_budget, tokens: input, limits: 1/hour",
        "concurrency, slots: 1",
    ],
)
@pytest.mark.parametrize(
    ("per", "client", "subject"),
    [
        ("account", {}, "account"),
        ("subnet", {}, "subnet"),
        ("[account, model]", {}, "account,model"),
        ("api_key", {"provisional": True, "unproven": True}, "unproven"),
    ],
)
async def test_a_limit_says_what_kind_of_subject_has_come_to_it(
    kind: str, per: str, client: dict[str, Any], subject: str
) -> None:
    bench = Bench()
    rules = policy(f"name: few, kind: {kind}, per: {per}, action: throttle")
    for number in range(2):
        judgement = Judgement(rules, shadow=False)
        asked = replace(facts(**client), id=f"r{number}", estimate=Usage(input_tokens=1))
        await bench.judge.judge(judgement, asked, "all")
    evidence = judgement.decision.evidence
    assert evidence is not None
    assert next(iter(evidence.items())) == ("subject", subject)


async def test_who_shares_a_counter_for_want_of_room_is_told_so() -> None:
    bench = Bench(bounds=SubjectBounds(per_subnet=2))
    rules = policy(limit("few", "api_key", 1))
    for key in range(4):
        judged = await bench(rules, key_id=f"key_{key}", account_source="key", unproven=True)
    assert judged.decision.evidence is not None
    assert judged.decision.evidence["subject"] == "overflow"


async def test_one_vouched_account_invents_no_end_of_end_users() -> None:
    bench = Bench(bounds=SubjectBounds(per_subnet=2))
    rules = policy(limit("few", "[account, model]", 1))
    subjects = set()
    for number in range(PER_ACCOUNT + 5):
        judgement = Judgement(rules, shadow=False)
        await bench.judge.judge(judgement, facts(f"m{number}"), "all")
        ((_, _, (op,), _),) = judgement.counted
        subjects.add(op.subject)
    assert len(subjects) == PER_ACCOUNT + 1
    assert "overflow:account|model:account:acme" in subjects
