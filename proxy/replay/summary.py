"""
The summary of a replay as plain data: what `--json` writes, and what tables and pages are drawn from.

Shares are of the requests that happened; a line that was skipped is told apart. Times are seconds since the
record's start, `first_enforced_*` since the account's own first request. None is what nothing was seen of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from proxy.replay.statistics import measured, quantile, share
from proxy.replay.tally import WORDS, AccountTally, Counts, Population, RuleTally, Tally

Told = dict[str, Any]
SERVED: Final = ("allow", "log", "delay", "degrade")


def populations(tally: Tally) -> list[Told]:
    """One row a population, by name."""
    members: dict[str, list[AccountTally]] = defaultdict(list)
    for account in tally.accounts.values():
        members[account.population].append(account)
    ordered = sorted(tally.populations.values(), key=lambda one: one.name)
    return [_population(one, members[one.name]) for one in ordered]


def rules(tally: Tally) -> list[Told]:
    """One row a rule, gate or ban that fired, the most enforced first."""
    found = sorted(tally.rules.values(), key=lambda rule: (-rule.enforced, -rule.shadow, rule.name))
    accounts = list(tally.accounts.values())
    return [_rule(rule, accounts) for rule in found]


def accounts(tally: Tally, top: int) -> list[Told]:
    """The accounts of which most was refused, then slowed, then served; so many."""
    ordered = sorted(
        tally.accounts.values(),
        key=lambda one: (
            -one.counts.of("throttle", "block"),
            -one.counts.of("delay", "degrade"),
            -one.counts.passed,
            one.population,
            one.name,
        ),
    )
    return [_account(tally, one) for one in ordered[:top]]


def detection(tally: Tally) -> Told | None:
    """How many harvesting accounts were found, and benign ones hit; None where nothing is labelled."""
    labelled: dict[str, list[AccountTally]] = defaultdict(list)
    for account in tally.accounts.values():
        labelled[account.label].append(account)
    harvest, benign = labelled["harvest"], labelled["benign"]
    if not harvest and not benign:
        return None
    found = sum(one.enforced_at is not None for one in harvest)
    refused = sum(one.wrongly_refused for one in benign)
    touched = sum(one.enforced_at is not None for one in benign)
    return {
        "harvest_enforced": measured(found, len(harvest)),
        "benign_refused": measured(refused, len(benign)),
        "benign_enforced": measured(touched, len(benign)),
    }


def timeline(tally: Tally) -> Told:
    """Decisions and tokens over time, by population: lists of one length, the first at the start."""
    length = int(tally.last / tally.bucket_s) + 1 if tally.requests else 0
    nothing = Counts()
    told: Told = {"seconds": tally.bucket_s, "pieces": length, "populations": {}}
    for name, population in sorted(tally.populations.items()):
        pieces = [population.timeline.get(at, nothing) for at in range(length)]
        series: Told = {
            word: [piece.words[at] for piece in pieces] for at, word in enumerate(WORDS)
        }
        series["tokens_asked"] = [piece.asked for piece in pieces]
        series["tokens_passed"] = [piece.passed for piece in pieces]
        told["populations"][name] = series
    return told


def _population(one: Population, members: list[AccountTally]) -> Told:
    counts, happened = one.counts, one.counts.happened
    passed_before = sum(account.passed_before for account in members)
    known_asked = sum(account.counts.asked for account in members)
    firsts = [
        account.enforced_at - account.first
        for account in members
        if account.enforced_at is not None
    ]
    return {
        "population": one.name,
        "labels": sorted({account.label for account in members}),
        "accounts": len(members),
        "accounts_enforced": len(firsts),
        "requests": happened,
        "skipped": counts.words[-1],
        **{f"share_{word}": share(counts.of(word), happened) for word in WORDS[:-1]},
        **{word: counts.of(word) for word in WORDS[:-1]},
        "tokens_asked": counts.asked,
        "tokens_passed_before": passed_before,
        "share_passed_before": share(passed_before, known_asked),
        "tokens_passed": counts.passed,
        "share_passed": share(counts.passed, counts.asked),
        "first_enforced_p50_s": quantile(firsts, 0.5),
        "first_enforced_p90_s": quantile(firsts, 0.9),
        "accounts_wrongly_refused": sum(account.wrongly_refused for account in members),
        "delay_p50_s": one.delays.quantile(0.5),
        "delay_p99_s": one.delays.quantile(0.99),
        "requests_of_accounts_not_told_apart": one.beyond,
    }


def _rule(rule: RuleTally, accounts: Iterable[AccountTally]) -> Told:
    bit = 1 << rule.number
    acted_on = would = 0
    for account in accounts:
        acted_on += bool(account.enforced & bit)
        would += bool(account.shadow & bit)
    return {
        "rule": rule.name,
        "kind": rule.kind,
        "enforced": rule.enforced,
        "accounts_enforced": acted_on,
        "first_enforced_s": rule.first_enforced,
        "shadow": rule.shadow,
        "accounts_shadow": would,
        "first_shadow_s": rule.first_shadow,
    }


def _account(tally: Tally, one: AccountTally) -> Told:
    counts = one.counts
    return {
        "account": one.name,
        "population": one.population,
        "label": one.label,
        "requests": counts.happened,
        "skipped": counts.words[-1],
        **{word: counts.of(word) for word in WORDS[:-1]},
        "tokens_asked": counts.asked,
        "tokens_passed_before": one.passed_before,
        "tokens_passed": counts.passed,
        "first_s": one.first,
        "first_enforced_s": one.enforced_at,
        "first_refused_s": one.refused_at,
        "rules": _named(tally, one.enforced),
        "shadow": _named(tally, one.shadow),
    }


def _named(tally: Tally, bits: int) -> list[str]:
    return [rule.name for rule in tally.rules.values() if bits >> rule.number & 1]
