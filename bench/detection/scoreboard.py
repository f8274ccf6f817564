"""
What a replay has done to labelled traffic: the traffic's lines beside the decisions' lines, and
nothing else.

It reads the two files of `docs/detection.md` and shares no code with the product: whoever doubts a
report can compute this one. Tokens that were asked for are those of lines that are no retries.
"""

from __future__ import annotations

import gzip
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DAY = 86_400.0
ENFORCED = frozenset({"delay", "degrade", "throttle", "block"})
HARVEST = "harvest"
"""The label."""
REFUSED = frozenset({"throttle", "block"})
_COLUMNS = {
    "allow": ("allow", "log"),
    "delay": ("delay",),
    "degrade": ("degrade",),
    "throttle": ("throttle",),
    "block": ("block",),
}
SLICES = 56
"""Points of a population's curve of tokens over time."""


@dataclass(slots=True)
class Account:
    """One account's way through a record."""

    first: float
    declared: bool = False
    requests: int = 0
    asked: int = 0
    through: int = 0
    sent: int = 0
    """Input tokens of what was let through."""
    before: int = 0
    """Output tokens let through before the first enforced action."""
    acted_at: float | None = None
    requests_before: int = 0
    stopped_after: int | None = None
    """Requests before the first that was refused."""
    refused: int = 0
    refused_beyond_limits: int = 0
    day_one: int = 0
    """Requests within the record's first day."""
    campaigns: dict[str, float] = field(default_factory=dict)
    """Campaigns that it was told to be part of, and since when."""
    linked_at: float | None = None
    before_link: int = 0


@dataclass
class Row:
    """One population."""

    name: str
    label: str
    accounts: dict[str, Account] = field(default_factory=dict)
    requests: int = 0
    words: dict[str, int] = field(default_factory=dict)
    delays: array[float] = field(default_factory=lambda: array("f"))
    rules: dict[str, int] = field(default_factory=dict)
    """Refused lines by the rules that fired on them."""
    curve_asked: list[int] = field(default_factory=lambda: [0] * SLICES)
    curve_through: list[int] = field(default_factory=lambda: [0] * SLICES)


@dataclass
class Board:
    """All populations of one replay."""

    rows: dict[str, Row] = field(default_factory=dict)
    until: float = 0.0

    def told(self) -> dict[str, Any]:
        """As JSON holds it."""
        owners = self.owners()
        return {
            "until": self.until,
            "populations": {name: told(row, owners) for name, row in sorted(self.rows.items())},
            "campaigns": self.mixed(owners),
        }

    def owners(self) -> dict[str, str]:
        """
        Campaign that was told → whose it is: `harvest` where most of those who were ever in it harvest
        (two crews that work through one list may be told as one), else the population of most of them.
        """
        members: dict[str, Counter[str]] = {}
        for row in self.rows.values():
            whose = HARVEST if row.label == HARVEST else row.name
            for account in row.accounts.values():
                for name in account.campaigns:
                    members.setdefault(name, Counter())[whose] += 1
        owners = {}
        for name, of in members.items():
            ((whose, most),) = of.most_common(1)
            if 2 * most > of.total():
                owners[name] = whose
        return owners

    def mixed(self, owners: dict[str, str]) -> dict[str, int]:
        """Accounts that were told to be in a harvest's campaigns, by what they really are."""
        theirs = {name for name, whose in owners.items() if whose == HARVEST}
        found: Counter[str] = Counter()
        for row in self.rows.values():
            found[row.label] += sum(
                not theirs.isdisjoint(account.campaigns) for account in row.accounts.values()
            )
        return dict(found)


def lines(file: Path) -> Iterator[bytes]:
    """A file's lines, unpacked as its first bytes say."""
    with file.open("rb") as raw:
        first = raw.read(4)
        raw.seek(0)
        unpacked: IO[bytes] = raw
        if first[:2] == b"\x1f\x8b":
            unpacked = gzip.GzipFile(fileobj=raw)  # type: ignore[assignment]
        elif first == b"\x28\xb5\x2f\xfd":
            unpacked = zstd.ZstdFile(raw)
        yield from unpacked


def score(
    traffic: Iterable[bytes], decisions: Iterable[bytes], plain: frozenset[str], until: float
) -> Board:
    """
    The scoreboard. `plain` names the rules that are plain limits: what a caller can know and keep. Raises
    ValueError where the two files do not belong together.
    """
    board = Board(until=until)
    for number, (said, judged) in enumerate(zip(traffic, decisions, strict=True)):
        decision = orjson.loads(judged)
        if decision["i"] != number:
            raise ValueError(f"decision {number} is of line {decision['i']}")
        if decision["decision"] != "skipped":
            _add(board, orjson.loads(said), decision, plain)
    return board


def _add(
    board: Board, line: dict[str, Any], decision: dict[str, Any], plain: frozenset[str]
) -> None:
    t, word, through = line["t"], decision["decision"], decision["output_tokens"]
    row = board.rows.get(line["population"])
    if row is None:
        row = board.rows[line["population"]] = Row(line["population"], line["label"])
    account = row.accounts.get(line["account"])
    if account is None:
        account = row.accounts[line["account"]] = Account(t, "declared" in line)
    row.requests += 1
    row.words[word] = row.words.get(word, 0) + 1
    asked = line["response"]["output_tokens"] if "if_refused" not in line else 0
    at = min(int(t / board.until * SLICES), SLICES - 1)
    row.curve_asked[at] += asked
    row.curve_through[at] += through
    account.asked += asked
    account.through += through
    account.day_one += t < DAY
    if word in ENFORCED and account.acted_at is None:
        account.acted_at = t
    if account.acted_at is None:
        account.before += through
        account.requests_before += 1
    if word in REFUSED:
        _refused(row, account, decision["rules"], plain)
    else:
        row.delays.append(decision["delay_s"])
        account.sent += line["response"].get("input_tokens", 0)
    account.requests += 1
    campaign = decision.get("campaign")
    if campaign is not None:
        account.campaigns.setdefault(campaign, t)
        if account.linked_at is None:
            account.linked_at = t
    if account.linked_at is None:
        account.before_link += through


def _refused(row: Row, account: Account, rules: list[str], plain: frozenset[str]) -> None:
    if account.stopped_after is None:
        account.stopped_after = account.requests
    account.refused += 1
    # A plain limit refuses by itself; where suspicion has fired too, it counts against us.
    if not plain & set(rules) or "suspicion" in rules:
        account.refused_beyond_limits += 1
    for name in rules:
        row.rules[name] = row.rules.get(name, 0) + 1


def told(row: Row, owners: dict[str, str]) -> dict[str, Any]:
    """The columns of the traffic format, and what targets and charts need besides."""
    accounts = list(row.accounts.values())
    asked = sum(one.asked for one in accounts)
    acted = sorted(one.acted_at - one.first for one in accounts if one.acted_at is not None)
    stopped = sorted(one.stopped_after for one in accounts if one.stopped_after is not None)
    delays = sorted(row.delays)
    return {
        "label": row.label,
        "accounts": len(accounts),
        "declared": sum(one.declared for one in accounts),
        "requests": row.requests,
        **{
            word: share(sum(row.words.get(one, 0) for one in words), row.requests)
            for word, words in _COLUMNS.items()
        },
        "asked_tokens": asked,
        "through_tokens": sum(one.through for one in accounts),
        "input_tokens": sum(one.sent for one in accounts),
        "tokens_before": share(sum(one.before for one in accounts), asked),
        "tokens_through": share(sum(one.through for one in accounts), asked),
        "acted_accounts": len(acted),
        "acted_p50_s": quantile(acted, 0.5),
        "acted_p90_s": quantile(acted, 0.9),
        "refused_accounts": sum(one.refused > 0 for one in accounts),
        "refused_beyond_limits": sum(one.refused_beyond_limits > 0 for one in accounts),
        "stopped_accounts": len(stopped),
        "stopped_after_p50": quantile(stopped, 0.5),
        "stopped_after_max": stopped[-1] if stopped else None,
        "delay_p50_s": quantile(delays, 0.5),
        "delay_p99_s": quantile(delays, 0.99),
        "refusing_rules": dict(sorted(row.rules.items())),
        "links": links(accounts, asked, _own(row, owners)),
        "curve_asked": row.curve_asked,
        "curve_through": row.curve_through,
    }


def _own(row: Row, owners: dict[str, str]) -> frozenset[str]:
    whose = HARVEST if row.label == HARVEST else row.name
    return frozenset(name for name, owner in owners.items() if owner == whose)


def links(
    accounts: list[Account], asked: int, own: frozenset[str], least: int = 8
) -> dict[str, Any] | None:
    """
    How much of a population is told to be a campaign. Those who are banned tie nobody any more, so that
    one harvest may be told in several pieces: `own` are those that are its. Of
    accounts with at least so many requests on the first day, how many are in one of them by its end.
    """
    if not any(one.campaigns for one in accounts):
        return None
    busy = [one for one in accounts if one.day_one >= least]
    return {
        "campaigns": len(own & {name for one in accounts for name in one.campaigns}),
        "members": sum(not own.isdisjoint(one.campaigns) for one in accounts),
        "elsewhere": sum(bool(one.campaigns) and own.isdisjoint(one.campaigns) for one in accounts),
        "largest": max((sum(name in one.campaigns for one in accounts) for name in own), default=0),
        "busy": len(busy),
        "busy_linked_day_one": sum(
            any(since < DAY for name, since in one.campaigns.items() if name in own) for one in busy
        ),
        "tokens_before_link": share(sum(one.before_link for one in accounts), asked),
    }


def share(part: float, whole: float) -> float | None:
    """A share, or None of nothing."""
    return part / whole if whole else None


def quantile(ordered: list[Any], q: float) -> Any:
    """The nearest-rank quantile of what is ordered, or None of nothing."""
    if not ordered:
        return None
    rank = -(-len(ordered) * q // 1)
    return ordered[max(0, int(rank) - 1)]
