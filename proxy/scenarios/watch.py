"""
An expectation watched while its requests pass: whether it holds, and the request that shows it best. Pure
but for growing; of the requests only counts and one result are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from proxy.decision import Decision
from proxy.explain.trace import trace_of
from proxy.policy.model import Policy
from proxy.policy.suspicion import NAME as SUSPICION
from proxy.replay.result import Result
from proxy.scenarios.expect import ALL_RULES, Expectation
from proxy.visit import Visit


class Watched:
    """One expectation, and what has been seen so far."""

    def __init__(self, expectation: Expectation, policy: Policy, size: int) -> None:
        """`size` is how many requests it is about, before `after` and `up_to`."""
        self.expectation = expectation
        self._policy = policy
        first = expectation.after or 0
        last = min(expectation.up_to or expectation.within or size, size)
        which = expectation.which
        if which == "first":
            last = min(last, first + 1)
        elif which == "last":
            first = max(first, last - 1)
        elif isinstance(which, int):
            first, last = first + which - 1, min(last, first + which)
        self._first, self._last = first, last
        self._passed = 0
        self.looked_at = 0
        """Requests that it is about."""
        self.true_of = 0
        """Of how many what it says is true."""
        self.decisions: Counter[str] = Counter()
        """What became of them, in words."""
        self.met: set[str] = set()
        """Silent rules that were about one of the requests."""
        self._hit: tuple[int, Result] | None = None
        self._miss: tuple[int, Result] | None = None
        self._silent = _silent(expectation, policy)

    def see(self, result: Result) -> None:
        """One more request."""
        self._passed += 1
        number = self._passed
        if not self._first < number <= self._last:
            return
        self.looked_at += 1
        decision = result.decision
        by = f" by {decision.rule}" if decision.rule is not None else ""
        self.decisions[f"{result.word}{by}"] += 1
        if self._silent:
            self._meet(result)
        if self._true(result):
            self.true_of += 1
            if self._hit is None:
                self._hit = number, result
        elif self._miss is None or self._rather_late:
            self._miss = number, result

    @property
    def holds(self) -> bool:
        """Whether it holds, now that all have passed."""
        expected = self.expectation
        if expected.count is not None:
            return expected.count.holds(self.true_of)
        if not self.looked_at:
            return False
        if expected.share is not None:
            return expected.share.holds(self.true_of / self.looked_at)
        if expected.within is not None or expected.which == "any":
            return self.true_of > 0
        if expected.which == "none":
            return self.true_of == 0
        return self.true_of == self.looked_at

    @property
    def shows(self) -> tuple[int, Result] | None:
        """(number in its burst, result) of the request that tells most of why it does not hold."""
        expected = self.expectation
        too_many = expected.which == "none" or (
            expected.count is not None and not expected.count.allows_none and self.true_of > 0
        )
        too_many |= expected.count is not None and expected.count.allows_none
        return (self._hit or self._miss) if too_many else (self._miss or self._hit)

    @property
    def covers_silence(self) -> Collection[str]:
        """Rules that are shown not to fire on requests that they are about."""
        expected = self.expectation
        loose = expected.which in {"any", "none"} or expected.within is not None
        loose |= expected.count is not None or expected.share is not None
        nothing_found = expected.which == "none" and len(expected.model_fields_set - {"which"}) == 1
        if nothing_found and (expected.findings or expected.shadow or expected.ties):
            return self.met
        return () if loose else self.met

    @property
    def _rather_late(self) -> bool:
        """Whether the last request that misses it tells more than the first."""
        expected = self.expectation
        some = expected.which == "any" or expected.within is not None
        return some or expected.count is not None or expected.share is not None

    def _meet(self, result: Result) -> None:
        """Note which silent rules were about the request."""
        for rule in self._silent - self.met:
            if result.visit is not None and _about(
                rule, result.visit, result.decision, self._policy
            ):
                self.met.add(rule)

    def _true(self, result: Result) -> bool:
        """Whether all that the expectation says is true of one request."""
        expected, decision = self.expectation, result.decision
        if (words := expected.decisions) is not None and result.word not in words:
            return False
        if expected.rule is not None and decision.rule not in expected.rule:
            return False
        if expected.kind is not None and decision.kind not in expected.kind:
            return False
        if expected.reason is not None and not {decision.reason, result.reason} & {
            *expected.reason
        }:
            return False
        return self._linked(result) and self._found(result) and self._measured(result)

    def _linked(self, result: Result) -> bool:
        expected = self.expectation
        if expected.ties is not None and not {*expected.ties} <= {*_tied(result)}:
            return False
        member = result.campaign is not None
        return expected.campaign is None or expected.campaign is member

    def _found(self, result: Result) -> bool:
        expected, decision = self.expectation, result.decision
        if expected.findings is not None and not {*expected.findings} <= {*result.rules}:
            return False
        if expected.shadow is not None and not {*expected.shadow} <= {*result.shadow}:
            return False
        if expected.silent is not None:
            loud = {*(one.rule for one in decision.findings), *_tied(result)}
            if loud & {*expected.silent} or (ALL_RULES in expected.silent and loud):
                return False
        if expected.degrade is not None:
            taken = decision.degradation.actions if decision.degradation is not None else {}
            if not {*expected.degrade} <= {*taken, *taken.values()}:
                return False
        if expected.exempted_by is not None:
            judgement = result.visit.judgement if result.visit is not None else None
            spoke = judgement.exempted_by if judgement is not None else ()
            if not {*expected.exempted_by} <= {*spoke}:
                return False
        return expected.ban is None or expected.ban is result.ban

    def _measured(self, result: Result) -> bool:
        expected = self.expectation
        level = max((one.level for one in result.standings), default=0.0)
        if (bound := expected.suspicion) is not None and not bound.holds(level):
            return False
        level = max((one.level_with_shadow for one in result.standings), default=0.0)
        if (bound := expected.suspicion_with_shadow) is not None and not bound.holds(level):
            return False
        if (bound := expected.delay) is not None and not bound.holds(result.delay_s):
            return False
        if (bound := expected.output_tokens) is not None and not bound.holds(result.output_tokens):
            return False
        if (bound := expected.retry_after) is not None:
            told = _retry_after(result)
            if told is None or not bound.holds(told):
                return False
        status = result.progress.status if result.progress is not None else None
        bound = expected.status
        return bound is None or (status is not None and bound.holds(status))


def _tied(result: Result) -> tuple[str, ...]:
    """Rules that have tied its account."""
    judgement = result.visit.judgement if result.visit is not None else None
    return judgement.ties if judgement is not None else ()


def _retry_after(result: Result) -> float | None:
    """When the caller was told to come back, in seconds."""
    if (visit := result.visit) is not None and visit.refusal is not None:
        return visit.refusal.retry_after_s
    return None


def _silent(expected: Expectation, policy: Policy) -> set[str]:
    """Rules of the policy that are expected not to fire."""
    named = {*(expected.silent or ())}
    if expected.which == "none":
        named |= {*(expected.findings or ()), *(expected.shadow or ()), *(expected.ties or ())}
    rules = {rule.name for rule in policy.rules}
    return rules if ALL_RULES in named else named & rules


def _about(name: str, visit: Visit, decision: Decision, policy: Policy) -> bool:
    """Whether a rule was about a request: it counted it, found something, or needs no counter."""
    judgement = visit.judgement
    if judgement is None or name == SUSPICION:
        return False
    if any(one[0].name == name and (one[2] or not one[0].links) for one in judgement.counted):
        return True
    if any(one.rule == name for one in decision.findings):
        return True
    rule = next(one for one in policy.rules if one.name == name)
    if rule.links:
        return False  # what shows it nothing that accounts could share is none of its business
    facts = next((one[1] for one in judgement.counted), None)
    if facts is None:
        facts = trace_of(visit, {}).facts
    if (
        facts is None
        or rule.when is not None
        or (rule.applies is not None and not rule.applies(facts))
    ):
        return False
    subject = rule.subject(facts)
    return subject is not None and not rule.counters(facts, subject)
