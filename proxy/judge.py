"""
select → count → decide: what a policy makes of one request's facts, in one store trip.

Bans come first and cost no trip. How a subject stands by earlier findings is read in the same trip as the
rules' counters; what this request adds to it is written after it, and acts from the next one on.

Where the store does not answer, each rule's `on_store_failure` decides: `local` counts in this replica's
own memory with limits divided by the number of replicas, `allow` lets the rule stay silent, `block`
refuses. Every such decision is marked in the event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from proxy.background import Background
from proxy.campaigns.members import Campaigns, staggered
from proxy.campaigns.report import TieReports
from proxy.clock import Clock, utc
from proxy.counters.bounds import SubjectBounds
from proxy.counters.protocol import (
    Distinct,
    Op,
    Raise,
    Reading,
    ReadScore,
    Scores,
    Seen,
    undo,
)
from proxy.counters.recent import RECALLED, Recent
from proxy.counters.repeats import Repeats
from proxy.counters.resilient import ResilientStore
from proxy.decision import Evidence, Finding, RuleFinding, Verb
from proxy.errors import Refusal, StoreError
from proxy.expressions.program import Evaluation
from proxy.facts import Client, Facts, Outcome
from proxy.judgement import (
    Counted,
    Judgement,
    Known,
    admitted,
    assigned,
    settling,
    undoing,
    whose,
)
from proxy.leases import HeldLeases
from proxy.lists import Tables
from proxy.notices import Notice, Notices
from proxy.policy import suspicion
from proxy.policy.decide import decide, jittered, weigh
from proxy.policy.model import Policy
from proxy.policy.select import Selected, Stage, select
from proxy.rules.base import RuleKind
from proxy.rules.subjects import BANNABLE, FROM_BODY, SUBJECTS, banned_as

_VOUCHED = ("api_key:", "account:", "campaign:")
"""Subjects that nobody invents where a file, a gateway or the upstream vouches for the key."""

_OF_BODY = tuple(name for name in BANNABLE if name in FROM_BODY)

PER_ACCOUNT = 16_384
"""Subjects of one kind that one such account may bring into being within an hour: its end users."""

STORE_GONE = Refusal(
    503,
    "temporarily_unavailable",
    "The service cannot check this request now. Try again shortly.",
    retry_after_s=1.0,
)


class Judge:
    """Judges facts by a policy, with the counters that its rules want."""

    def __init__(
        self,
        store: ResilientStore,
        bounds: SubjectBounds,
        clock: Clock,
        settle: Callable[[Sequence[Op]], None],
        settle_locally: Callable[[Sequence[Op]], None],
        bans: Notices,
        allowances: Notices,
        background: Background,
        lists: Callable[[], Tables] = dict,
        *,
        campaigns: Campaigns,
        reports: TieReports,
    ) -> None:
        self._store = store
        self._bounds = bounds
        self._clock = clock
        self._settle = settle
        self._settle_locally = settle_locally
        self._bans = bans
        self._allowances = allowances
        self._background = background
        self._lists = lists
        self._campaigns = campaigns
        self._reports = reports
        self._recent = Recent()
        self._repeats = Repeats()
        self._leases = HeldLeases()

    async def judge(self, judgement: Judgement, facts: Facts, stage: Stage) -> None:
        """Run the rules of one stage and decide anew over all that has been found."""
        policy = judgement.policy
        now = self._clock.now()
        if self._allowances and judgement.allowance is None:
            for subject in banned_as(facts, ("account",)):
                judgement.allowance = judgement.allowance or self._allowances.of(subject)
        if self._bans and (ban := self._banned(facts, stage)) is not None:
            judgement.found.append(_ban_finding(ban, watching=judgement.watches))
            judgement.decision = decide(judgement.found)
            judgement.campaign = self._campaign(facts)
            if not judgement.watches:
                return
        facts = self._equipped(policy, facts)
        judgement.campaign = facts.campaign
        try:
            await self._selected(judgement, facts, stage, now)
        finally:
            if facts.evaluation is not None:
                judgement.expression_errors |= facts.evaluation.failures

    def _equipped(self, policy: Policy, facts: Facts) -> Facts:
        """The facts with what the policy's expressions and lists need besides, and its campaign."""
        campaign = self._campaign(facts)
        if policy.sight is None and not policy.lists and campaign is None:
            return facts
        evaluation = Evaluation(policy.sight, facts) if policy.sight is not None else None
        return facts.judged_with(evaluation, self._lists(), campaign)

    def _campaign(self, facts: Facts) -> str | None:
        if not self._campaigns.board:
            return None
        return self._campaigns.of(SUBJECTS["account"](facts))

    async def _selected(self, judgement: Judgement, facts: Facts, stage: Stage, now: float) -> None:
        """Run the rules of one stage that apply."""
        policy = judgement.policy
        selection = select(policy, facts, now, stage)
        judgement.stages += (stage,)
        judgement.no_subject += selection.no_subject
        judgement.exempted_by += selection.exempted_by
        suspects = self._suspects(policy, facts, stage, now)
        if not selection.selected and not suspects:
            return
        wanted = self._bounded(selection.selected, facts.client, now)
        counted, scores = await self._count(judgement, facts, wanted, _score_ops(policy, suspects))
        new = self._judged(judgement, facts, counted)
        self._stand(judgement, suspects, scores)
        if judgement.found:
            judgement.decision = decide(judgement.found)
        self._remember(judgement, facts, new, now)

    def _judged(
        self, judgement: Judgement, facts: Facts, counted: Counted
    ) -> list[tuple[RuleKind, Finding]]:
        """What the rules say of their readings."""
        new: list[tuple[RuleKind, Finding]] = []
        links, learns = judgement.policy.links, judgement.policy.learns
        for rule, _, ops, readings in counted:
            if links and rule.links and (ties := rule.ties(facts, ops, readings)):
                judgement.ties += (rule.name,)
                if rule.mode == "enforce" or judgement.watches:
                    self._reports.report(ties)
            if learns and rule.learns and (learnt := rule.learnt(facts, readings)) is not None:
                self._background.learn(learnt, rule.name)
            finding = rule.judge(facts, readings)
            if finding is None:
                continue
            finding = whose(rule, ops, finding)
            new.append((rule, finding))
            shadow = judgement.watches or rule.mode == "shadow"
            judgement.found.append(
                weigh(rule, finding, rule.subject(facts), shadow=shadow, jitter=judgement.jitter)
            )
        return new

    def _stand(
        self, judgement: Judgement, suspects: list[tuple[str, str]], scores: Sequence[Reading]
    ) -> None:
        """How the suspects stand, and which thresholds they have reached."""
        policy = judgement.policy
        for (name, subject), read in zip(suspects, scores, strict=False):
            assert isinstance(read, Scores)
            if not read.levels:
                continue
            stood = suspicion.standing(name, subject, read.levels, policy.scoring)
            if stood.level_with_shadow:
                judgement.standings += (stood,)
                judgement.found += suspicion.found(
                    policy.suspicion,
                    stood,
                    watching=judgement.watches,
                    jitter=jittered(1.0, judgement.jitter),
                )

    def _remember(
        self,
        judgement: Judgement,
        facts: Facts,
        new: list[tuple[RuleKind, Finding]],
        now: float,
    ) -> None:
        """What later requests are to know: the scores of what was found, and bans."""
        policy = judgement.policy
        scored = [rule for rule, _ in new if rule.score is not None]
        if scored:
            watches, half_life = judgement.watches, policy.suspicion.half_life
            raised = [
                Raise(subject, "score", _level_name(rule, watches), rule.score or 0.0, half_life)
                for rule in scored
                for name, subject in self._suspects(policy, facts, "all", now)
                # One member's doing is not the group's.
                if name != "campaign" or "campaign" in rule.per
            ]
            settle = self._settle_locally if judgement.store == "local" else self._settle
            settle(raised)
        for found in judgement.found:
            banned = found.ban_s > 0 and found.verb is Verb.BLOCK and not found.shadow
            if banned and found.subject is not None and self._bans.of(found.subject) is None:
                self._bans.put(found.subject, found.ban_s, found.rule, found.finding.reason)

    def _banned(self, facts: Facts, stage: Stage) -> Notice | None:
        for subject in banned_as(facts, _OF_BODY if stage == "body" else BANNABLE):
            ban = self._bans.of(subject)
            if ban is not None:
                return ban
        campaign = self._campaign(facts)
        if campaign is None or (ban := self._bans.of(f"campaign:{campaign}")) is None:
            return None
        due = ban.since + staggered(str(facts.client.account))
        return ban if self._clock.now() >= due else None

    def _suspects(
        self, policy: Policy, facts: Facts, stage: Stage, now: float
    ) -> list[tuple[str, str]]:
        """(name, subject) of whom the policy suspects, in the stage that knows them first."""
        if not policy.scoring:
            return []
        suspects: list[tuple[str, str]] = []
        for name in policy.suspicion.subjects:
            from_body = name in FROM_BODY
            if stage == "all" or (stage == "body") == from_body:
                subject = SUBJECTS[name](facts)
                if subject is not None:
                    suspects.append((name, self._bound(subject, facts.client, now)))
        return suspects

    def take_back(self, judgement: Judgement) -> None:
        """Undo what a request has counted that was refused after all."""
        for _, _, ops, _ in judgement.counted:
            for op in ops:
                if isinstance(op, Distinct):
                    self._recent.drop(op)
        self._settle(undoing(judgement.counted))
        self._settle_locally(undoing(judgement.counted_locally))

    def settle(self, judgement: Judgement, outcome: Outcome) -> None:
        """Count how a request has ended, where rules want to know."""
        if judgement.policy.settles:
            if judgement.policy.leases:
                for counted in (judgement.counted, judgement.counted_locally):
                    for _, _, ops, _ in counted:
                        self._leases.drop(ops)
            self._settle(settling(judgement.counted, outcome))
            self._settle_locally(settling(judgement.counted_locally, outcome))

    @property
    def holds_leases(self) -> bool:
        """Whether requests hold slots that are to be renewed."""
        return len(self._leases) > 0

    def renew_leases(self) -> None:
        """Renew the slots of requests that last; to be called about once a second."""
        # While the store is down renewals would only be lost: those that come later take slots anew.
        shared = self._settle if self._store.state != "down" else _nowhere
        self._leases.renew(self._clock.monotonic(), shared, self._settle_locally)

    async def _count(
        self, judgement: Judgement, facts: Facts, wanted: list[Selected], more: list[Op]
    ) -> tuple[Counted, Sequence[Reading]]:
        """What the rules counted, and what `more` read."""
        if judgement.policy.lists:
            _miss_lists(judgement, facts, wanted)
        now = self._clock.now()
        ops, known = self._recall(wanted, now)
        if not ops and not more:
            counted = assigned(facts, wanted, (), known)
            judgement.counted += counted
            return counted, ()
        started = self._clock.monotonic()
        try:
            readings = await self._store.apply(
                ops + more, abandoned=self._abandon(facts, wanted, known)
            )
        except StoreError:
            return await self._count_without_store(judgement, facts, wanted, more)
        finally:
            judgement.store_s += self._clock.monotonic() - started
        if judgement.store == "unused":
            judgement.store = "ok"
        for op, reading in zip(ops, readings, strict=False):
            if op.__class__ in RECALLED:
                self._recent.remember(op, reading, now)
        counted = assigned(facts, wanted, readings, known)
        judgement.counted += counted
        if judgement.policy.settles:
            self._hold(counted, self._settle, local=False)
        return counted, readings[len(ops) :]

    def _recall(self, wanted: list[Selected], now: float) -> tuple[list[Op], Known]:
        """What is to be asked, and what need not be asked again."""
        ops: list[Op] = []
        known: Known = {}
        for selected in wanted:
            for op in selected.ops:
                if op.__class__ in RECALLED and (read := self._recent.recall(op, now)) is not None:
                    known[id(op)] = read
                else:
                    ops.append(op)
        return ops, known

    async def _count_without_store(
        self, judgement: Judgement, facts: Facts, wanted: list[Selected], more: list[Op]
    ) -> tuple[Counted, Sequence[Reading]]:
        local: list[Selected] = []
        for selected in wanted:
            rule = selected.rule
            if not selected.ops:
                local.append(selected)  # it needs no counter, so it judges as ever
                continue
            match rule.on_store_failure or judgement.policy.defaults.on_store_failure:
                case "local":
                    local.append(selected)
                case "block" if not (judgement.watches or rule.mode == "shadow"):
                    judgement.blocked_by = rule.name
        ops = [op for selected in local for op in selected.ops]
        readings = await self._store.apply_local(ops + more, self._clock.now())
        if judgement.blocked_by:
            judgement.store = "blocked"
        elif ops or judgement.store != "local":  # what an earlier stage has counted stays said
            judgement.store = "local" if ops or more else "skipped"
        counted = assigned(facts, local, readings, {})
        judgement.counted_locally += counted
        if judgement.policy.settles:
            self._hold(counted, self._settle_locally, local=True)
        return counted, readings[len(ops) :]

    def _hold(
        self, counted: Counted, settle: Callable[[Sequence[Op]], None], *, local: bool
    ) -> None:
        """Note the slots that were granted, and give back at once what was taken by halves."""
        for rule, _, ops, readings in counted:
            if rule.leases:
                self._leases.note(ops, readings, self._clock.monotonic(), local=local)
            elif rule.all_or_none and len(ops) > 1 and not all(map(admitted, readings)):
                undone = map(undo, ops, readings)
                settle([op for op in undone if op is not None])

    def _abandon(
        self, facts: Facts, wanted: list[Selected], known: Known
    ) -> Callable[[Sequence[Reading]], None]:
        """What to do with readings whose request has gone: nobody was served, so take them back."""
        return lambda readings: self._settle(undoing(assigned(facts, wanted, readings, known)))

    def _bounded(
        self, selected: tuple[Selected, ...], client: Client, now: float
    ) -> list[Selected]:
        """Where a caller could invent subjects without end, the surplus shares one: that of its
        account where somebody vouches for it, else that of its subnet."""
        bounded: list[Selected] = []
        known: dict[str, str] = {}
        for one in selected:
            ops = one.ops
            first = ops[0].__class__ if ops else None
            if first is Seen and not self._repeats.again(f"{ops[0].subject} {ops[0].key}"):
                ops = ()  # what comes once is worth no entry
            elif ops and first is not ReadScore:  # to read makes nothing that is to be bounded
                subject = ops[0].subject  # as a rule all of a rule's counters are of one subject
                allowed = known.get(subject)
                if allowed is None:
                    allowed = known[subject] = self._bound(subject, client, now)
                for op in ops:
                    if op.subject != subject or allowed != subject:
                        ops = tuple(
                            replace(op, subject=self._bound(op.subject, client, now)) for op in ops
                        )
                        break
            bounded.append(one if ops is one.ops else Selected(one.rule, ops))
        return bounded

    def _bound(self, subject: str, client: Client, now: float) -> str:
        if client.unproven or not subject.startswith(_VOUCHED):
            return self._bounds.admit(subject, client.subnet, now)
        if "|" in subject:
            return self._bounds.admit(subject, f"account:{client.account}", now, PER_ACCOUNT)
        return subject


def _score_ops(policy: Policy, suspects: list[tuple[str, str]]) -> list[Op]:
    half_life = policy.suspicion.half_life
    return [ReadScore(subject, "score", half_life) for _, subject in suspects]


def _level_name(rule: RuleKind, watches: bool) -> str:
    shadow = watches or rule.mode == "shadow"
    return suspicion.SHADOW + rule.name if shadow else rule.name


def _ban_finding(ban: Notice, *, watching: bool) -> RuleFinding:
    kind = ban.subject.rpartition("|")[2].partition(":")[0]
    evidence: Evidence = {"subject": kind, "banned_by": ban.by, "until": utc(ban.ends)}
    finding = Finding("banned", evidence)
    return RuleFinding(ban.by, "ban", None, watching, Verb.BLOCK, finding)


def _nowhere(_ops: Sequence[Op]) -> None:
    """Where settlements go while there is nobody to carry them out."""


def _miss_lists(judgement: Judgement, facts: Facts, wanted: list[Selected]) -> None:
    """Refuse where a list of the store was never read, and its rule is to block without the store."""
    held = facts.lists or {}
    for rule in (selected.rule for selected in wanted):
        if all(name in held for name in rule.reads_lists) or rule.mode == "shadow":
            continue
        said = rule.on_store_failure or judgement.policy.defaults.on_store_failure
        if said == "block" and not judgement.watches:
            judgement.blocked_by = rule.name
            judgement.store = "blocked"
