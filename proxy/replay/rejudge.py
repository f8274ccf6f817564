"""
A world in which Excise's own event log is judged again: the real judge, on facts that hold no text.

How callers would have reacted to other answers is not modelled: who was refused did not try again, who is
newly refused does not either. Rules that the events do not hold enough for are left out, and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from proxy.decision import ALLOWED, Decision, Degradation, Finding, RuleFinding, Verb
from proxy.degrade.readers import changes_replies, degraded_reader
from proxy.dialects.base import ReplyReader
from proxy.dialects.routes import dialect
from proxy.estimates import Estimates
from proxy.facts import NO_USAGE, Facts, Outcome, Usage
from proxy.judgement import Judgement
from proxy.outcome import THROTTLED, enter
from proxy.policy.decide import without_room
from proxy.policy.load import load
from proxy.policy.model import Policy
from proxy.policy.shipped import shipped
from proxy.replay.able import Shown, obstacles, shown_addresses, without
from proxy.replay.answer import degraded_answer
from proxy.replay.clock import Until
from proxy.replay.gates import gates, refusal, served, unread
from proxy.replay.logged import (
    LoggedRecord,
    client_of,
    facts_of,
    judged_by_rules,
    refused,
    route_of,
    usage_of,
)
from proxy.replay.records import Record
from proxy.replay.result import Result
from proxy.replay.world import World
from proxy.signals.wants import Wants

SHIPPED: Final = ("default.yaml", "observe.yaml", "strict.yaml", "demo.yaml")
UNMODELLED: Final = (
    "an event log holds no reactions: nobody who is newly refused tries again, or stays away",
    "what was refused when it was recorded has no answer to take tokens from: they count as none",
)


class EventWorld(World):
    """See `World`; its records are those of `logged.read_events`."""

    def __init__(self, policy: Policy, *, recorded: Sequence[Policy] = (), **given: Any) -> None:
        """`recorded` are the policies that were in force when the log was written, as far as they are
        known; those that ship with Excise are."""
        super().__init__(policy, **given)
        known = [*map(load, map(shipped, SHIPPED)), policy, *recorded]
        self._recorded: dict[str, Wants] = {one.digest: one.wants for one in known}
        self._judged_by: dict[tuple[Any, Shown], Policy] = {}
        self._left_out: dict[tuple[Any, Shown], dict[str, str]] = {}
        self._estimates = Estimates()
        self._requests = 0
        self._unjudged: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[str] = Counter()

    def notes(self) -> list[str]:
        """See `World.notes`."""
        notes = [*UNMODELLED, *super().notes()]
        for (rule, why), count in sorted(self._unjudged.items()):
            notes.append(f"`{rule}` was not judged on {count} of {self._requests} requests: {why}")
        return notes + [f"{count} requests {what}" for what, count in sorted(self._counts.items())]

    @property
    def _watching(self) -> bool:
        return self._line.pipeline.mode != "enforce" or self.policy.mode == "shadow"

    def _begin(self, record: Record) -> None:
        assert isinstance(record, LoggedRecord)
        if not self._requests:
            self.clock.start = record.start
        self._requests += 1
        if record.late:
            self._counts["came too late in the log, and were judged later than they came"] += 1
        if not judged_by_rules(record.event):
            why = (
                "were refused before any rule"
                if refused(record.event)
                else "have no route in the log"
            )
            self._counts[f"{why}, and are told as they were"] += 1
            self._order.put(Result(record, _as_recorded(record)))
            return
        if refused(record.event):
            self._counts["were refused when they were recorded"] += 1
        if record.event.get("request.asks", 1) != 1:
            self._counts["asked several things at once, of which the first was judged"] += 1
        self._scheduler.start(self._judged(record), _nothing)

    async def _judged(self, record: LoggedRecord) -> None:
        event, judge = record.event, self._line.judge
        client = client_of(event, self.policy.keys, self._accounts)
        route = served(route_of(event), self.policy)
        stopped = gates(event, client, route, self.policy, watching=self._watching)
        if stopped and not self._watching:
            self._order.put(Result(record, refusal(stopped[0])))
            return
        if self.policy.uninspectable == "block" and unread(event, route):
            self._counts["have no body that was read, which `uninspectable` may refuse"] += 1
        policy = self._policy_for(record)
        common = self._line.background.common(event.get("request.template"))
        facts = facts_of(event, client, route, self.clock.now(), common=common)
        if policy.estimates:
            estimate = self._estimates.of(facts.client, facts.ask, facts.route.operation)
            facts = replace(facts, estimate=estimate)
        judgement = Judgement(policy, self._line.pipeline.mode == "shadow", self._id(record.number))
        read = facts.ask is not None or facts.route.kind != "inspected"
        await judge.judge(judgement, facts, "all" if read else "identity")
        decision = judgement.decision
        held = 0.0
        if decision.delay_s > 0 and not decision.verb.refuses:
            subject = client.address if client.unproven else client.account or client.address
            if self._venue.lanes.enter(subject):
                held = decision.delay_s
                await Until(self.clock.at + held)
                self._venue.lanes.leave(subject)
            else:
                decision = judgement.decision = without_room(decision)
        if stopped:
            decision = replace(decision, findings=stopped + decision.findings)
        result = Result(record, decision, delay_s=held, standings=judgement.standings)
        if decision.verb.refuses:
            judge.take_back(judgement)
            outcome = Outcome(True, False, retry_after_s=decision.retry_after_s)
            self._settled(judgement, facts, outcome)
            self._order.put(result)
            return
        usage, lasts = self._answered(result, facts)
        self._order.put(result)
        await Until(self.clock.at + lasts)
        status = record.response.status
        outcome = Outcome(False, True, status >= 400, status == THROTTLED, usage=usage)
        self._settled(judgement, facts, outcome)
        if policy.estimates and facts.ask is not None and not refused(event):
            self._estimates.learn(facts.client, (facts.ask,), usage)

    def _settled(self, judgement: Judgement, facts: Facts, outcome: Outcome) -> None:
        self._line.judge.settle(judgement, outcome)
        if judgement.policy.links:
            enter(self._line.ledger, facts.client, facts.ask, facts.signals.template, outcome)

    def _answered(self, result: Result, facts: Facts) -> tuple[Usage, float]:
        """Tokens and seconds of the answer, by what the policy takes from it; the result is told both."""
        record = result.record
        assert isinstance(record, LoggedRecord)
        if refused(record.event):
            return NO_USAGE, 0.0
        response, degradation = record.response, result.decision.degradation
        result.output_tokens = response.output_tokens
        if degradation is None or facts.ask is None or response.status >= 300:
            return usage_of(record.event), response.duration
        observer = _observer(facts, degradation)
        answer = degraded_answer(response, degradation, facts.route, (facts.ask,), observer)
        result.output_tokens = answer.tokens
        result.delay_s += answer.paced_s
        return answer.usage, answer.duration

    def _policy_for(self, record: LoggedRecord) -> Policy:
        """The policy less what this event does not hold enough for."""
        event = record.event
        addresses = shown_addresses(str(event.get("client.address", "")))
        digest = event.get("policy")
        if event.get("truncated"):
            digest = None  # it has lost its lists: nobody knows what stood there
        name = digest, addresses
        if name not in self._judged_by:
            recorded = self._recorded.get(str(digest))
            self._left_out[name] = obstacles(self.policy, recorded, addresses)
            self._judged_by[name] = without(self.policy, frozenset(self._left_out[name]))
        for left_out in self._left_out[name].items():
            self._unjudged[left_out] += 1
        return self._judged_by[name]


def _observer(facts: Facts, degradation: Degradation) -> ReplyReader | None:
    """Who would change the reply."""
    assert facts.ask is not None
    if not changes_replies(facts.route, degradation):
        return None
    streamed = facts.ask.stream
    reader = dialect(facts.route.dialect).reply_reader(streamed=streamed)
    return degraded_reader(reader, facts.route, degradation, (facts.ask,), streamed=streamed)


def _as_recorded(record: LoggedRecord) -> Decision:
    """What was decided before any rule had its say."""
    event = record.event
    if not refused(event):
        return ALLOWED
    verb = Verb.THROTTLE if event["decision"] == Verb.THROTTLE.word else Verb.BLOCK
    rule, kind, reason = event.get("rule"), event.get("kind"), str(event.get("reason"))
    evidence = event.get("evidence") or {}
    findings: tuple[RuleFinding, ...] = ()
    if kind == "gate":
        found = Finding(reason, evidence)
        findings = (RuleFinding(str(rule), "gate", "listed", False, verb, found),)
    return Decision(verb, rule, kind, reason, evidence, findings=findings)


def _nothing() -> None:
    pass
