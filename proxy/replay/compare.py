"""
Two policies on one record: who would be newly refused or freed, by account, and by which evidence.

Sums are exact. Of accounts so many are told apart in each change; of each the first request is kept as its
example, with what refused it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from proxy.replay.result import Result

Change = Literal["newly_refused", "freed", "newly_slowed", "no_longer_slowed"]
CHANGES: Final[tuple[Change, ...]] = ("newly_refused", "freed", "newly_slowed", "no_longer_slowed")
MAX_ACCOUNTS: Final = 50_000

_REFUSED, _SLOWED, _FREE = 2, 1, 0


@dataclass(slots=True)
class Changed:
    """One account to whom one change happens."""

    account: str
    population: str
    label: str
    example: dict[str, Any]
    requests: int = 0
    tokens: int = 0
    """Output tokens by which more or fewer come through."""


@dataclass(slots=True)
class ChangeTally:
    """One change."""

    requests: int = 0
    tokens: int = 0
    populations: dict[str, int] = field(default_factory=dict)
    """Requests, by population."""
    accounts: dict[tuple[str, str], Changed] = field(default_factory=dict)
    beyond: int = 0
    """Requests of accounts that were not told apart."""


class Comparison:
    """What the policy would change, against another one."""

    def __init__(self) -> None:
        self.changes: dict[Change, ChangeTally] = {name: ChangeTally() for name in CHANGES}
        self.requests = 0
        self.unlike = 0
        """Lines that happen under one policy only, for they answer a refusal."""

    def add(self, result: Result, against: Result) -> None:
        """The results of one line under both policies."""
        self.requests += 1
        if result.skipped or against.skipped:
            self.unlike += result.skipped is not against.skipped
            return
        change = _change(_height(result), _height(against))
        if change is not None:
            cause = result if change in {"newly_refused", "newly_slowed"} else against
            tokens = result.output_tokens - against.output_tokens
            self._note(self.changes[change], cause, tokens)

    def _note(self, change: ChangeTally, cause: Result, tokens: int) -> None:
        record = cause.record
        change.requests += 1
        change.tokens += tokens
        name = record.population
        change.populations[name] = change.populations.get(name, 0) + 1
        account = change.accounts.get((name, record.account))
        if account is None:
            if len(change.accounts) >= MAX_ACCOUNTS:
                change.beyond += 1
                return
            account = Changed(record.account, name, record.label, _example(cause))
            change.accounts[name, record.account] = account
        account.requests += 1
        account.tokens += tokens

    def told(self, top: int) -> dict[str, Any]:
        """As the JSON summary has it; `top` accounts of each change, those with most requests first."""
        return {
            "lines": self.requests,
            "lines_under_one_policy_only": self.unlike,
            **{name: _told(self.changes[name], top) for name in CHANGES},
        }


def _height(result: Result) -> int:
    return _REFUSED if result.refused else _SLOWED if result.enforced else _FREE


def _change(now: int, before: int) -> Change | None:
    if now == before:
        return None
    if now == _REFUSED:
        return "newly_refused"
    if before == _REFUSED:
        return "freed"
    return "newly_slowed" if now > before else "no_longer_slowed"


def _example(result: Result) -> dict[str, Any]:
    """One request, and what was said of it by the policy that acts on it."""
    decision = result.decision
    return {
        "i": result.record.number,
        "t": result.record.t,
        "decision": result.word,
        "rule": decision.rule,
        "kind": decision.kind,
        "reason": decision.reason,
        "evidence": dict(decision.evidence or {}),
    }


def _told(change: ChangeTally, top: int) -> dict[str, Any]:
    ordered = sorted(
        change.accounts.values(), key=lambda one: (-one.requests, one.population, one.account)
    )
    return {
        "requests": change.requests,
        "tokens": change.tokens,
        "accounts": len(ordered),
        "requests_of_accounts_not_told_apart": change.beyond,
        "populations": dict(sorted(change.populations.items())),
        "by_account": [
            {
                "account": one.account,
                "population": one.population,
                "label": one.label,
                "requests": one.requests,
                "tokens": one.tokens,
                "example": one.example,
            }
            for one in ordered[:top]
        ],
    }
