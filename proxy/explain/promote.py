"""Whether a shadow rule has been watched for long enough to be put in force, and what speaks against it."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from proxy.explain.watched import UNKNOWN, ShadowLog, Watched
from proxy.policy import suspicion
from proxy.value import value

NAMED: Final = 5
"""Declared accounts that a warning names."""


@value
class Enough:
    """From how much evidence on a rule may be suggested; told beside each suggestion."""

    hits: int = 100
    accounts: int = 3
    days: float = 7.0
    declared: float = 0.05
    """The share of hits on accounts that have declared what they are, beyond which nothing is suggested."""


@value
class Advice:
    """What to do about a rule."""

    verdict: str
    """promote, not enough yet, likely wrong, adds nothing, or see by --policy."""
    because: str

    @property
    def promotes(self) -> bool:
        """Whether it is suggested to put the rule in force."""
        return self.verdict == "promote"


def advice(log: ShadowLog, watched: Watched, enough: Enough) -> Advice:
    """The first of what speaks against it, else to promote it."""
    if watched.share_declared > enough.declared:
        named = ", ".join(name for name, _ in watched.declared.most_common(NAMED))
        more = len(watched.declared) - NAMED
        others = f" and {more} more" if more > 0 else ""
        return Advice(
            "likely wrong",
            f"{watched.share_declared:.1%} of its hits (at most {enough.declared:.1%}) fall on accounts "
            f"that have declared what they are: {named}{others}; `excuse` or exempt them first",
        )
    missing = _missing(log, watched, enough)
    if missing:
        return Advice("not enough yet", ", ".join(missing))
    if watched.verbs[UNKNOWN] == watched.hits:
        return Advice("not enough yet", "these events do not say what it would have done")
    if not watched.adds:
        return Advice("adds nothing", "what was enforced did as much on every one of its hits")
    return Advice(
        "promote",
        f"{watched.hits:,} hits on {_accounts(watched)} accounts in {log.days_since(watched):.1f} days; "
        f"{_how(watched)}",
    )


def _missing(log: ShadowLog, watched: Watched, enough: Enough) -> list[str]:
    days = log.days_since(watched)
    missing: list[str] = []
    if days < enough.days:
        missing.append(f"{days:.1f} of {enough.days:g} days")
    if watched.hits < enough.hits:
        missing.append(f"{watched.hits:,} of {enough.hits:,} hits")
    if len(watched.accounts) < enough.accounts:
        missing.append(f"{len(watched.accounts)} of {enough.accounts} accounts")
    elif watched.hits >= enough.hits and not watched.accounts.lossy:
        # One loud account shows nothing of the others: each counts for its share of what is asked for.
        share = ceil(enough.hits / max(1, enough.accounts))
        spread = sum(min(count, share) for count in watched.accounts.values())
        if spread < enough.hits:
            loudest = watched.accounts.most_common(1)[0][1]
            missing.append(
                f"{spread:,} of {enough.hits:,} hits where no account counts for more than {share:,}: "
                f"{loudest:,} are of one"
            )
    return missing


def _accounts(watched: Watched) -> str:
    return f"{'at least ' if watched.accounts.lossy else ''}{len(watched.accounts):,}"


def _how(watched: Watched) -> str:
    if watched.kind == suspicion.KIND:
        return "it is reached by rules in shadow: put those in force that made it up"
    if watched.whole == watched.hits:
        return "nothing was enforced at all: end the process's or the policy's shadow mode"
    return "take `mode: shadow` from it"


def told(log: ShadowLog, enough: Enough, top: int) -> dict[str, Any]:
    """The report as plain data; the rule with most hits first."""
    rules = sorted(log.rules.values(), key=lambda one: (-one.hits, one.rule))
    return {
        "requests": log.requests,
        "days": round(log.days, 2),
        "enough": {
            "hits": enough.hits,
            "accounts": enough.accounts,
            "days": enough.days,
            "max_declared": enough.declared,
        },
        "rules": [_told(log, one, enough, top) for one in rules],
        "ties": {
            name: {
                "requests": tied.total(),
                "accounts": len(tied),
                "accounts_at_least": tied.lossy,
                "most_tied": dict(tied.most_common(top)),
            }
            for name, tied in sorted(log.ties.items())
        },
    }


def _told(log: ShadowLog, watched: Watched, enough: Enough, top: int) -> dict[str, Any]:
    said = advice(log, watched, enough)
    return {
        "rule": watched.rule,
        "kind": watched.kind,
        "hits": watched.hits,
        "share": round(watched.hits / log.requests, 6) if log.requests else 0.0,
        "would": dict(watched.verbs.most_common()),
        "reasons": dict(watched.reasons.most_common(top)),
        "accounts": len(watched.accounts),
        "accounts_at_least": watched.accounts.lossy,
        "most_hit": dict(watched.accounts.most_common(top)),
        "tiers": dict(watched.tiers.most_common(top)),
        "profiles": dict(watched.profiles.most_common(top)),
        "declared_share": round(watched.share_declared, 4),
        "declared_hit": dict(watched.declared.most_common(top)),
        "decided": dict(watched.as_it_was.most_common()),
        "excused": watched.excused,
        "adds": watched.adds,
        "would_newly_refuse": watched.refuses,
        "watched_days": round(log.days_since(watched), 2),
        "advice": said.verdict,
        "because": said.because,
    }
