"""
select → count → decide: what a policy makes of one request's facts, in one store trip.

Where the store does not answer, each rule's `on_store_failure` decides: `local` counts in this replica's
own memory with limits divided by the number of replicas, `allow` lets the rule stay silent, `block`
refuses. Every such decision is marked in the event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from proxy.clock import Clock
from proxy.counters.bounds import SubjectBounds
from proxy.counters.protocol import Op, Reading, undo
from proxy.counters.resilient import ResilientStore
from proxy.decision import ALLOWED, Decision, Finding
from proxy.errors import Refusal, StoreError
from proxy.facts import Client, Facts
from proxy.policy.decide import decide
from proxy.policy.model import Policy
from proxy.policy.select import Selected, Stage, select
from proxy.rules.base import Mode, RuleKind

Counted = list[tuple[RuleKind, tuple[Op, ...], Sequence[Reading]]]

_VOUCHED = ("api_key:", "account:")
"""Subjects that nobody invents where a file, a gateway or the upstream vouches for the key."""

PER_ACCOUNT = 16_384
"""Subjects of one kind that one such account may bring into being within an hour: its end users."""

STORE_GONE = Refusal(
    503,
    "temporarily_unavailable",
    "The service cannot check this request now. Try again shortly.",
    retry_after_s=1.0,
)


@dataclass(slots=True)
class Judgement:
    """What has been found about one request so far; it grows over at most two stages."""

    policy: Policy
    shadow: bool
    """Whether this process only watches, whatever the policy says."""
    decision: Decision = ALLOWED
    store: str = "unused"
    """How it was counted: ok, local, skipped, blocked; unused where no rule wanted a counter."""
    blocked_by: str | None = None
    """The rule whose `on_store_failure: block` refuses the request."""
    store_s: float = 0.0
    found: list[tuple[RuleKind, Finding]] = field(default_factory=list)
    no_subject: tuple[str, ...] = ()
    exempted_by: tuple[str, ...] = ()
    counted: Counted = field(default_factory=list)
    counted_locally: Counted = field(default_factory=list)

    @property
    def watches(self) -> bool:
        """Whether nothing may be refused: shadow mode of the process or of the policy."""
        return self.shadow or self.policy.mode == "shadow"


class Judge:
    """Judges facts by a policy, with the counters that its rules want."""

    def __init__(
        self,
        store: ResilientStore,
        bounds: SubjectBounds,
        clock: Clock,
        settle: Callable[[Sequence[Op]], None],
        settle_locally: Callable[[Sequence[Op]], None],
    ) -> None:
        self._store = store
        self._bounds = bounds
        self._clock = clock
        self._settle = settle
        self._settle_locally = settle_locally

    async def judge(self, judgement: Judgement, facts: Facts, stage: Stage) -> None:
        """Run the rules of one stage and decide anew over all that has been found."""
        policy = judgement.policy
        now = self._clock.now()
        selection = select(policy, facts, now, stage)
        judgement.no_subject += selection.no_subject
        judgement.exempted_by += selection.exempted_by
        if not selection.selected:
            return
        wanted = self._bounded(selection.selected, facts.client, now)
        for rule, _, readings in await self._count(judgement, wanted):
            finding = rule.judge(facts, readings)
            if finding is not None:
                judgement.found.append((rule, finding))
        if judgement.found:
            mode: Mode = "shadow" if judgement.watches else "enforce"
            judgement.decision = decide(judgement.found, policy, mode)

    def take_back(self, judgement: Judgement) -> None:
        """Undo what a request has counted that was refused after all."""
        self._settle(_undoing(judgement.counted))
        self._settle_locally(_undoing(judgement.counted_locally))

    async def _count(self, judgement: Judgement, wanted: list[Selected]) -> Counted:
        ops = [op for selected in wanted for op in selected.ops]
        if not ops:
            return [(selected.rule, (), ()) for selected in wanted]
        started = self._clock.monotonic()
        try:
            readings = await self._store.apply(ops, abandoned=self._abandon(wanted))
        except StoreError:
            return await self._count_without_store(judgement, wanted)
        finally:
            judgement.store_s += self._clock.monotonic() - started
        if judgement.store == "unused":
            judgement.store = "ok"
        counted = _assigned(wanted, readings)
        judgement.counted += counted
        return counted

    async def _count_without_store(self, judgement: Judgement, wanted: list[Selected]) -> Counted:
        local: list[Selected] = []
        for selected in wanted:
            rule = selected.rule
            match rule.on_store_failure or judgement.policy.defaults.on_store_failure:
                case "local":
                    local.append(selected)
                case "block" if not (judgement.watches or rule.mode == "shadow"):
                    judgement.blocked_by = rule.name
        ops = [op for selected in local for op in selected.ops]
        readings = await self._store.apply_local(ops, self._clock.now())
        if judgement.blocked_by:
            judgement.store = "blocked"
        elif local or judgement.store != "local":  # what an earlier stage has counted stays said
            judgement.store = "local" if local else "skipped"
        counted = _assigned(local, readings)
        judgement.counted_locally += counted
        return counted

    def _abandon(self, wanted: list[Selected]) -> Callable[[Sequence[Reading]], None]:
        """What to do with readings whose request has gone: nobody was served, so take them back."""
        return lambda readings: self._settle(_undoing(_assigned(wanted, readings)))

    def _bounded(
        self, selected: tuple[Selected, ...], client: Client, now: float
    ) -> list[Selected]:
        """Where a caller could invent subjects without end, the surplus shares one: that of its
        account where somebody vouches for it, else that of its subnet."""
        vouched = not client.unproven
        bounded: list[Selected] = []
        for one in selected:
            ops = one.ops
            for at, op in enumerate(ops):
                subject = op.subject
                if not (vouched and subject.startswith(_VOUCHED)):
                    allowed = self._bounds.admit(subject, client.subnet, now)
                elif "|" in subject:
                    owner = f"account:{client.account}"
                    allowed = self._bounds.admit(subject, owner, now, PER_ACCOUNT)
                else:
                    continue
                if allowed != subject:
                    ops = (*ops[:at], replace(op, subject=allowed), *ops[at + 1 :])
            bounded.append(one if ops is one.ops else Selected(one.rule, ops))
        return bounded


def _assigned(wanted: Sequence[Selected], readings: Sequence[Reading]) -> Counted:
    counted: Counted = []
    start = 0
    for selected in wanted:
        end = start + len(selected.ops)
        counted.append((selected.rule, selected.ops, readings[start:end]))
        start = end
    return counted


def _undoing(counted: Counted) -> list[Op]:
    undone = [
        undo(op, reading)
        for rule, ops, readings in counted
        if rule.counts == "admitted"
        for op, reading in zip(ops, readings, strict=True)
    ]
    return [op for op in undone if op is not None]
